/**
 * Keeps totals and the list of freed contents exact, whatever other programs write: triggers count only valid sizes,
 * and indexes find a content by any spelling of its path.
 */
import type { MigrationStep } from '../schema/migration.ts';
import { contentKeyOf } from '../values/content-path.ts';
import { countedBytes, sumOfWhole } from '../values/counted-bytes.ts';
import { AS_STORED, kindOf, type Measure, totalTriggers, useTriggers } from './counting-triggers.ts';

const counted = (row: string) => countedBytes(`${row}.FileSize`);

/** Only whole numbers of bytes; any other size is unknown. */
export const COUNTED: Measure = {
  used: counted,
  bytes: counted,
  size: (row) => `(CASE WHEN typeof(${row}.FileSize) = 'integer' AND ${row}.FileSize <= 9007199254740991
    THEN ${row}.FileSize END)`,
};

const USE_TRIGGERS = ['catalog_version_inserted', 'catalog_version_resized', 'catalog_version_deleted'];

export const dropCounting = [...USE_TRIGGERS, ...Object.keys(totalTriggers(AS_STORED))].map(
  (name) => `DROP TRIGGER ${name}`,
);

/** Statements that create every counting trigger; `unless` as in {@link totalTriggers}. */
export const createCounting = (measure: Measure, unless?: string): readonly string[] => [
  ...useTriggers(measure, unless),
  ...Object.entries(totalTriggers(measure, unless)).map(([name, body]) => `CREATE TRIGGER ${name} ${body}`),
];

const isOdd = (table: string) => `(${table}.FileSize IS NOT NULL AND ${table}.FileSize IS NOT ${counted(table)})`;

const HAS_ODD = `EXISTS (SELECT 1 FROM files o WHERE ${isOdd('o')})`;

const ODD_CLIENTS = `SELECT f.ClientID FROM files f WHERE ${isOdd('f')}
  UNION SELECT f.ClientID FROM file_versions v JOIN files f ON f.ID = v.FileID WHERE ${isOdd('v')}`;

const FILE = kindOf('files', COUNTED);

/** An infinite size made a total infinite. Removing it made the total NaN, and every later change failed. */
const countedSizes: MigrationStep = {
  name: 'counted-sizes',
  up: [
    ...dropCounting,
    `DELETE FROM file_totals WHERE ${HAS_ODD}`,
    `INSERT INTO file_totals (Category, Extension, SizeBand, Verified, Files, Bytes)
      SELECT ${FILE.category}, ${FILE.extension}, ${FILE.band}, ${FILE.verified}, count(*), ${sumOfWhole(FILE.bytes)}
      FROM files WHERE ${HAS_ODD} GROUP BY 1, 2, 3, 4`,
    `UPDATE client_quotas SET
      FileBytes = (SELECT ${sumOfWhole(FILE.bytes)} FROM files WHERE files.ClientID = client_quotas.ClientID),
      UsedBytes = (SELECT ${sumOfWhole(counted('v'))} FROM file_versions v JOIN files f ON f.ID = v.FileID
        WHERE f.ClientID = client_quotas.ClientID)
      WHERE ClientID IN (${ODD_CLIENTS})`,
    ...createCounting(COUNTED),
  ],
  down: [...dropCounting, ...createCounting(AS_STORED)],
  cost: { table: 'files', upMicroseconds: 1.5, downMicroseconds: 0, bytes: 0 },
  safeVersion: 5,
};

/** Only deletions ask which rows name a content, and they ask for every spelling of its path. */
const contentKeys: MigrationStep = {
  name: 'content-keys',
  up: [
    'DROP INDEX idx_file_versions_path',
    'DROP INDEX idx_files_unversioned',
    `CREATE INDEX idx_file_versions_content ON file_versions(${contentKeyOf('PathName')})`,
    `CREATE INDEX idx_files_unversioned ON files(${contentKeyOf('PathName')}) WHERE HighestVersion = 0`,
  ],
  down: [
    'DROP INDEX idx_files_unversioned',
    'DROP INDEX idx_file_versions_content',
    'CREATE INDEX idx_files_unversioned ON files(PathName) WHERE HighestVersion = 0',
    'CREATE INDEX idx_file_versions_path ON file_versions(PathName)',
  ],
  cost: { table: 'files', upMicroseconds: 1, downMicroseconds: 1, bytes: 0 },
  safeVersion: 5,
};

export const exactnessSchema: readonly MigrationStep[] = [countedSizes, contentKeys];

/**
 * Totals that every change keeps current, so that statistics never scan files: by kind of file, by client, and by client
 * and day. Kept by triggers, so that raw SQL and an old server are counted as well. What they recorded is recomputed by
 * `analytics.audit`.
 */

import type { MigrationStep } from '../schema/migration.ts';
import { SIZE_BOUNDS } from '../values/size-bands.ts';

/** The band of a size as SQL: the place of its lower bound, -1 for a size that is not known. */
const bandOf = (size: string) => {
  const cases = [...SIZE_BOUNDS.entries()].reverse().map(([band, min]) => `WHEN ${size} >= ${min} THEN ${band}`);
  return `CASE ${cases.join(' ')} ELSE -1 END`;
};

/** The key and figures of a file in `file_totals`; `row` is NEW, OLD or a table. */
const kindOf = (row: string) => ({
  category: `coalesce(${row}.FileCategory, '')`,
  extension: `coalesce(${row}.FileExtension, '')`,
  band: bandOf(`${row}.FileSize`),
  verified: `CASE WHEN ${row}.Verified = 1 THEN 1 ELSE 0 END`,
  bytes: bytesOf(row),
});

const bytesOf = (row: string) => `CASE WHEN ${row}.FileSize > 0 THEN ${row}.FileSize ELSE 0 END`;

const countKind = (row: string) => {
  const { category, extension, band, verified, bytes } = kindOf(row);
  return `INSERT INTO file_totals (Category, Extension, SizeBand, Verified, Files, Bytes)
    VALUES (${category}, ${extension}, ${band}, ${verified}, 1, ${bytes})
    ON CONFLICT (Category, Extension, SizeBand, Verified)
    DO UPDATE SET Files = Files + 1, Bytes = Bytes + excluded.Bytes;`;
};

const uncountKind = (row: string) => {
  const { category, extension, band, verified, bytes } = kindOf(row);
  return `UPDATE file_totals SET Files = Files - 1, Bytes = Bytes - (${bytes})
    WHERE Category = ${category} AND Extension = ${extension} AND SizeBand = ${band} AND Verified = ${verified};`;
};

const countClient = (row: string, sign: '+' | '-') =>
  `UPDATE client_quotas SET FileCount = FileCount ${sign} 1, FileBytes = FileBytes ${sign} (${bytesOf(row)})
    WHERE ClientID = ${row}.ClientID;`;

// Written once a save: by the version that follows the file, so a change of the file alone records the day itself.
const recordDay = (row: string, condition: string) =>
  `INSERT INTO daily_totals (Date, ClientID, Files, Bytes, UsedBytes)
    SELECT date('now'), ClientID, FileCount, FileBytes, coalesce(UsedBytes, 0) FROM client_quotas
    WHERE ClientID = ${row}.ClientID AND ${condition}
    ON CONFLICT (ClientID, Date)
    DO UPDATE SET Files = excluded.Files, Bytes = excluded.Bytes, UsedBytes = excluded.UsedBytes;`;

const WATCHED = ['FileCategory', 'FileExtension', 'FileSize', 'Verified', 'ClientID'];

const TRIGGERS: Readonly<Record<string, string>> = {
  catalog_file_counted: `AFTER INSERT ON files BEGIN
    ${countKind('NEW')} ${countClient('NEW', '+')} ${recordDay('NEW', 'NEW.HighestVersion = 0')} END`,
  catalog_file_uncounted: `AFTER DELETE ON files BEGIN
    ${uncountKind('OLD')} ${countClient('OLD', '-')} ${recordDay('OLD', '1 = 1')} END`,
  catalog_file_recounted: `AFTER UPDATE OF ${WATCHED.join(', ')} ON files
    WHEN ${WATCHED.map((column) => `OLD.${column} IS NOT NEW.${column}`).join(' OR ')} BEGIN
      ${uncountKind('OLD')} ${countKind('NEW')} ${countClient('OLD', '-')} ${countClient('NEW', '+')}
      ${recordDay('OLD', 'OLD.ClientID IS NOT NEW.ClientID')}
      ${recordDay('NEW', 'NEW.HighestVersion = OLD.HighestVersion')} END`,
  catalog_day_recorded: `AFTER UPDATE OF UsedBytes ON client_quotas BEGIN ${recordDay('NEW', '1 = 1')} END`,
};

const TABLES: Readonly<Record<string, string>> = {
  file_totals: `(
    Category VARCHAR(50) NOT NULL,
    Extension VARCHAR(255) NOT NULL,
    SizeBand INTEGER NOT NULL,
    Verified INTEGER NOT NULL,
    Files INTEGER NOT NULL,
    Bytes INTEGER NOT NULL,
    PRIMARY KEY (Category, Extension, SizeBand, Verified)
  )`,
  daily_totals: `(
    Date TEXT NOT NULL,
    ClientID BLOB(16) NOT NULL REFERENCES clients(ID) ON DELETE CASCADE,
    Files INTEGER NOT NULL,
    Bytes INTEGER NOT NULL,
    UsedBytes INTEGER NOT NULL,
    PRIMARY KEY (ClientID, Date)
  )`,
  daily_sizes: `(
    Date TEXT PRIMARY KEY,
    DatabaseBytes INTEGER NOT NULL,
    FreeDiskBytes INTEGER NOT NULL,
    StorageBytes INTEGER,
    MeasuredAt TEXT NOT NULL
  )`,
};

const FILE = kindOf('files');

export const runningTotals: MigrationStep = {
  name: 'running-totals',
  up: [
    ...Object.entries(TABLES).map(([name, columns]) => `CREATE TABLE ${name} ${columns}`),
    'ALTER TABLE client_quotas ADD COLUMN FileCount INTEGER NOT NULL DEFAULT 0',
    'ALTER TABLE client_quotas ADD COLUMN FileBytes INTEGER NOT NULL DEFAULT 0',
    `INSERT INTO file_totals (Category, Extension, SizeBand, Verified, Files, Bytes)
      SELECT ${FILE.category}, ${FILE.extension}, ${FILE.band}, ${FILE.verified}, count(*), sum(${FILE.bytes})
      FROM files GROUP BY 1, 2, 3, 4`,
    `UPDATE client_quotas SET
      FileCount = (SELECT count(*) FROM files WHERE files.ClientID = client_quotas.ClientID),
      FileBytes = (SELECT coalesce(sum(${FILE.bytes}), 0) FROM files WHERE files.ClientID = client_quotas.ClientID)`,
    `INSERT INTO daily_totals (Date, ClientID, Files, Bytes, UsedBytes)
      SELECT date('now'), ClientID, FileCount, FileBytes, coalesce(UsedBytes, 0) FROM client_quotas WHERE FileCount > 0`,
    ...Object.entries(TRIGGERS).map(([name, body]) => `CREATE TRIGGER ${name} ${body}`),
  ],
  down: [
    ...Object.keys(TRIGGERS).map((name) => `DROP TRIGGER ${name}`),
    'ALTER TABLE client_quotas DROP COLUMN FileBytes',
    'ALTER TABLE client_quotas DROP COLUMN FileCount',
    ...Object.keys(TABLES).map((name) => `DROP TABLE ${name}`),
  ],
  declares: { up: ['UPDATE without WHERE'], down: ['DROP COLUMN', 'DROP TABLE'] },
  loses: 'the daily totals of clients, and the daily sizes of database, disk and folder of contents',
  cost: { table: 'files', upMicroseconds: 0.9, downMicroseconds: 0, bytes: 0 },
  safeVersion: 5,
};

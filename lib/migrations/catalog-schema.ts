/** Versions 6 and up: the schema that this product adds. The Python server's SQL still works on it. */
import {
  adoptClients,
  adoptFiles,
  adoptOrphans,
  adoptQuotas,
  adoptVersions,
  leaveAdoption,
} from '../legacy/adoption/adopt-rows.ts';
import { adoptIndexes, freeVersions } from '../legacy/adoption/adopt-schema.ts';
import { ADOPTION_TABLES } from '../legacy/adoption/quarantine.ts';
import type { MigrationStep } from '../schema/migration.ts';
import { AS_STORED, useTriggers } from './counting-triggers.ts';

const VERSION_FACTS: Readonly<Record<string, string>> = {
  ModificationDate: 'TEXT',
  CRC: 'INTEGER',
  Verified: 'BOOLEAN DEFAULT 0',
  MimeType: 'VARCHAR(100)',
  FileCategory: 'VARCHAR(50)',
  TransferDuration: 'INTEGER',
  TransferSpeed: 'INTEGER',
  CompressionRatio: 'REAL',
  OperationID: 'VARCHAR(128)',
};

// CurrentVersion is the number of the active version, HighestVersion the highest number ever given, so that none is
// reused. Both stay 0 in a row that an old server inserts.
const VERSION_NUMBERS = ['CurrentVersion', 'HighestVersion'];

const completeVersions: MigrationStep = {
  name: 'complete-versions',
  up: [
    ...Object.entries(VERSION_FACTS).map(([column, type]) => `ALTER TABLE file_versions ADD COLUMN ${column} ${type}`),
    ...VERSION_NUMBERS.map((column) => `ALTER TABLE files ADD COLUMN ${column} INTEGER NOT NULL DEFAULT 0`),
  ],
  down: [
    ...VERSION_NUMBERS.map((column) => `ALTER TABLE files DROP COLUMN ${column}`),
    ...Object.keys(VERSION_FACTS).map((column) => `ALTER TABLE file_versions DROP COLUMN ${column}`),
  ],
  declares: { down: ['DROP COLUMN'] },
  loses:
    'modification dates, checksums, verification, types, categories and transfer figures of versions but the current ' +
    'one, operation ids, and which numbers versions had that are gone: those may be given again',
  cost: { table: 'files', upMicroseconds: 0, downMicroseconds: 12, bytes: 0 },
  safeVersion: 5,
};

// Before the indexes and triggers of versions, so that each row is written once and the indexes are sorted at the end.
const adoption: MigrationStep = {
  name: 'adoption',
  up: ADOPTION_TABLES,
  down: [],
  work: {
    revision: 1,
    up: [adoptIndexes, freeVersions, adoptOrphans, adoptClients, adoptVersions, adoptFiles, adoptQuotas],
    down: [leaveAdoption],
  },
  declares: { up: ['DROP TABLE'], down: ['DROP TABLE'] },
  cost: { table: 'files', upMicroseconds: 110, downMicroseconds: 0, bytes: 120 },
  safeVersion: 5,
};

const versionIndexes: MigrationStep = {
  name: 'version-indexes',
  up: [
    'CREATE UNIQUE INDEX idx_file_versions_number ON file_versions(FileID, VersionNumber)',
    'CREATE UNIQUE INDEX idx_file_versions_operation ON file_versions(OperationID) WHERE OperationID IS NOT NULL',
    'CREATE INDEX idx_file_versions_path ON file_versions(PathName)',
    'CREATE INDEX idx_files_unversioned ON files(PathName) WHERE HighestVersion = 0',
  ],
  down: [
    'DROP INDEX idx_files_unversioned',
    'DROP INDEX idx_file_versions_path',
    'DROP INDEX idx_file_versions_operation',
    'DROP INDEX idx_file_versions_number',
  ],
  cost: { table: 'files', upMicroseconds: 1.5, downMicroseconds: 0.2, bytes: 50 },
  safeVersion: 5,
};

// One of the pairs covers an index on ClientID or Verified alone. A file is found by client, name and path: by name
// alone, a save among ten thousand files called index.js would examine each of them.
const leanIndexes: MigrationStep = {
  name: 'lean-indexes',
  up: [
    'DROP INDEX idx_files_client_id',
    'DROP INDEX idx_files_verified',
    'DROP INDEX idx_files_client_name',
    "CREATE INDEX idx_files_client_name ON files(ClientID, FileName, coalesce(OriginalPath, ''))",
    'CREATE INDEX idx_client_activity_client ON client_activity(ClientID)',
  ],
  down: [
    'DROP INDEX idx_client_activity_client',
    'DROP INDEX idx_files_client_name',
    'CREATE INDEX idx_files_client_name ON files(ClientID, FileName)',
    'CREATE INDEX idx_files_verified ON files(Verified)',
    'CREATE INDEX idx_files_client_id ON files(ClientID)',
  ],
  cost: { table: 'files', upMicroseconds: 1, downMicroseconds: 2.5, bytes: 0 },
  safeVersion: 5,
};

// Triggers, so that raw SQL and an old server are counted as well. Delete versions before their file, while the file
// still tells whose quota they used.
const quotaUse: MigrationStep = {
  name: 'quota-use',
  up: [
    ...useTriggers(AS_STORED),
    `CREATE TRIGGER catalog_file_deleted BEFORE DELETE ON files BEGIN
      DELETE FROM file_versions WHERE FileID = OLD.ID; END`,
  ],
  down: [
    'DROP TRIGGER catalog_file_deleted',
    'DROP TRIGGER catalog_version_deleted',
    'DROP TRIGGER catalog_version_resized',
    'DROP TRIGGER catalog_version_inserted',
  ],
  safeVersion: 5,
};

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  document: 'Texts, spreadsheets, presentations and books',
  image: 'Images and photographs',
  video: 'Films and recordings',
  audio: 'Music and sound',
  archive: 'Archives and packages',
  code: 'Source code, scripts and web pages',
  data: 'Data, settings and databases',
  other: 'Everything else',
};

const categoryExtensions: MigrationStep = {
  name: 'category-extensions',
  up: [
    `CREATE TABLE category_extensions (
      Extension VARCHAR(255) PRIMARY KEY,
      CategoryID INTEGER NOT NULL REFERENCES file_categories(ID) ON DELETE CASCADE
    )`,
    ...Object.entries(DESCRIPTIONS).map(
      ([name, description]) =>
        `INSERT INTO file_categories (Name, Description) VALUES ('${name}', '${description}') ON CONFLICT DO NOTHING`,
    ),
  ],
  down: ['DROP TABLE category_extensions'],
  declares: { down: ['DROP TABLE'] },
  loses: 'which extensions belong to categories of your own',
  safeVersion: 5,
};

const failureFacts: MigrationStep = {
  name: 'failure-facts',
  up: [
    'ALTER TABLE client_activity ADD COLUMN FileName VARCHAR(255)',
    'ALTER TABLE client_activity ADD COLUMN Reason TEXT',
  ],
  down: ['ALTER TABLE client_activity DROP COLUMN Reason', 'ALTER TABLE client_activity DROP COLUMN FileName'],
  declares: { down: ['DROP COLUMN'] },
  loses: 'file name and reason of transfers that failed',
  safeVersion: 5,
};

export const catalogSchema: readonly MigrationStep[] = [
  completeVersions,
  adoption,
  versionIndexes,
  leanIndexes,
  quotaUse,
  categoryExtensions,
  failureFacts,
];

/**
 * What closes gaps: a path changed by raw SQL that no version named, a repeated operation that stored nothing, and the
 * quota that one answered with.
 */
import type { MigrationStep } from '../schema/migration.ts';

// The paths a server may remove are those no version names. A server that moves contents by its own SQL changes only the
// file, so the current version follows; activating another version changes both and is left alone.
const carriedPaths: MigrationStep = {
  name: 'carried-paths',
  up: [
    `CREATE TRIGGER catalog_path_carried AFTER UPDATE OF PathName ON files
      WHEN NEW.PathName IS NOT OLD.PathName AND NEW.CurrentVersion = OLD.CurrentVersion BEGIN
      UPDATE file_versions SET PathName = NEW.PathName
        WHERE FileID = NEW.ID AND VersionNumber = NEW.CurrentVersion; END`,
  ],
  down: ['DROP TRIGGER catalog_path_carried'],
  safeVersion: 5,
};

// A save that found nothing new has no version to carry its operation id, and a repeated call must still be answered as
// the first was.
const unchangedOperations: MigrationStep = {
  name: 'unchanged-operations',
  up: [
    `CREATE TABLE unchanged_operations (
      OperationID VARCHAR(128) PRIMARY KEY,
      FileID BLOB(16) NOT NULL REFERENCES files(ID) ON DELETE CASCADE,
      VersionNumber INTEGER NOT NULL
    )`,
    'CREATE INDEX idx_unchanged_operations_file ON unchanged_operations(FileID)',
  ],
  down: ['DROP TABLE unchanged_operations'],
  declares: { down: ['DROP TABLE'] },
  loses: 'which operation ids found a file unchanged',
  safeVersion: 5,
};

// A repeated operation returns the first result, and what the client had used then cannot be told from anything else.
const operationQuotas: MigrationStep = {
  name: 'operation-quotas',
  up: [
    'ALTER TABLE file_versions ADD COLUMN OperationQuota TEXT',
    'ALTER TABLE unchanged_operations ADD COLUMN OperationQuota TEXT',
  ],
  down: [
    'ALTER TABLE unchanged_operations DROP COLUMN OperationQuota',
    'ALTER TABLE file_versions DROP COLUMN OperationQuota',
  ],
  declares: { down: ['DROP COLUMN'] },
  loses: 'what a client had used when an operation was first asked for: a repeated one tells the present use',
  safeVersion: 5,
};

export const operationSchema: readonly MigrationStep[] = [carriedPaths, unchangedOperations];

/** Came after the quota's own migration. */
export const operationQuotaSchema: readonly MigrationStep[] = [operationQuotas];

/**
 * Closes three gaps: a path that raw SQL changed and no version names, a repeated operation that stored nothing, and
 * the quota that an operation answered with.
 */
import type { MigrationStep } from '../schema/migration.ts';

// A server may remove a path that no version names. A server that moves contents with its own SQL changes only the
// file, so the current version follows; activating another version changes both and is ignored here.
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

// A save that found no change has no version to carry its operation id, but a repeated call must get the first answer.
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

// A repeated operation returns the first result, and nothing else records what the client had used then.
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

/** A later migration than that of the quota. */
export const operationQuotaSchema: readonly MigrationStep[] = [operationQuotas];

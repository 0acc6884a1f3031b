/**
 * Repeated operations: a save stores its operation id and the returned quota with its version or, if the file was
 * unchanged, in a separate row; the version holds the rest of the first result.
 */
import { ConflictError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { row, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import type { FileToSave } from '../values/file-input.ts';
import { idBytes } from '../values/ids.ts';
import { FILE, type FileRow, pastFileColumns } from './file-rows.ts';
import type { QuotaState, SaveLedger } from './save-ledger.ts';

/** The result of a save, as it leaves the engine's thread. */
export interface RowOutcome {
  readonly file: FileRow;
  readonly created: boolean;
  readonly changed: boolean;
  readonly quota: QuotaState;
  /** Whether the client's use reached its warning threshold. */
  readonly crossed: boolean;
}

/** The stored quota of a repeated operation, null without one; and the file of that time. */
type Answered = readonly [operationQuota: string | null, ...FileRow];

/** The quota stored with an operation. */
export const quotaOut = ({ quotaBytes, usedBytes, warning }: QuotaState): string =>
  JSON.stringify([quotaBytes, usedBytes, warning]);

function quotaIn(kept: string): QuotaState {
  const [quotaBytes, usedBytes, warning] = JSON.parse(kept) as [number | null, number, boolean];
  return { quotaBytes, usedBytes, warning };
}

const isThatFile = (row: FileRow, { clientId, fileName, originalPath }: FileToSave) =>
  row[FILE.clientId] === clientId &&
  row[FILE.fileName] === fileName &&
  (row[FILE.originalPath] ?? '') === (originalPath ?? '');

/** The result of the first call with this operation id. */
export function* earlierResult(file: FileToSave, ledger: SaveLedger, dialect: Dialect): Steps<RowOutcome | undefined> {
  const columns = pastFileColumns(dialect);
  const saved = yield* row<Answered>(sql`SELECT v.OperationQuota, ${columns} FROM file_versions v
    JOIN files f ON f.ID = v.FileID WHERE v.OperationID = ${dialect.unplanned(file.operationId)}`);
  const found =
    saved ??
    (yield* row<Answered>(sql`SELECT o.OperationQuota, ${columns} FROM unchanged_operations o
      JOIN file_versions v ON v.FileID = o.FileID AND v.VersionNumber = o.VersionNumber
      JOIN files f ON f.ID = v.FileID WHERE o.OperationID = ${dialect.unplanned(file.operationId)}`));
  if (found === undefined) return undefined;
  const [kept, ...answered] = found;
  if (!isThatFile(answered, file)) {
    throw new ConflictError(`the operationId ${JSON.stringify(file.operationId)} was used for another file`);
  }
  yield* ledger.userCategory(file);
  const changed = saved !== undefined;
  const quota = kept === null ? ledger.quota(file.clientId) : quotaIn(kept);
  return { file: answered, created: changed && answered[FILE.version] === 1, changed, quota, crossed: false };
}

/** Stores the operation id of an unchanged save; its version may be pruned later. */
export function* recordUnchanged(fileId: string, version: number, operationId: string, quota: QuotaState): Steps<void> {
  yield* run(sql`INSERT INTO unchanged_operations (OperationID, FileID, VersionNumber, OperationQuota)
    VALUES (${operationId}, ${idBytes(fileId)}, ${version}, ${quotaOut(quota)})
    ON CONFLICT (OperationID) DO UPDATE SET FileID = excluded.FileID, VersionNumber = excluded.VersionNumber,
    OperationQuota = excluded.OperationQuota`);
}

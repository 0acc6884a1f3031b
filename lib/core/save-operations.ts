/**
 * Operations that are asked for again: a save keeps its operation id and the quota it answered with, beside its version or,
 * where it found nothing new, in a row of their own; the rest of the first result is told by the version.
 */
import { ConflictError } from '../errors.ts';
import { type Dialect, perDialect } from '../sql/dialect.ts';
import { row, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import type { FileToSave } from '../values/file-input.ts';
import { idBytes } from '../values/ids.ts';
import type { FileRow } from './file-rows.ts';
import type { QuotaState, SaveLedger } from './save-ledger.ts';

/** What a save did, as it leaves the engine's thread. */
export type RowOutcome = readonly [
  file: FileRow,
  created: boolean,
  changed: boolean,
  quota: QuotaState,
  crossed: boolean,
];

const VERSION = 16; // its place in a FileRow

/** The file a repeated operation answered with, and the quota; null where none was kept. */
type Answered = readonly [...FileRow, operationQuota: string | null];

const OPERATION_QUOTA = 17; // its place in an Answered

/** A quota as it is kept with an operation. */
export const quotaOut = ({ quotaBytes, usedBytes, warning }: QuotaState): string =>
  JSON.stringify([quotaBytes, usedBytes, warning]);

function quotaIn(kept: string): QuotaState {
  const [quotaBytes, usedBytes, warning] = JSON.parse(kept) as [number | null, number, boolean];
  return { quotaBytes, usedBytes, warning };
}

/** What the call that first had this operation id returned. */
export function* earlierResult(file: FileToSave, ledger: SaveLedger, dialect: Dialect): Steps<RowOutcome | undefined> {
  const columns = operationColumns(dialect);
  const saved = yield* row<Answered>(sql`SELECT ${columns}, v.OperationQuota FROM file_versions v
    JOIN files f ON f.ID = v.FileID WHERE v.OperationID = ${dialect.unplanned(file.operationId)}`);
  const found =
    saved ??
    (yield* row<Answered>(sql`SELECT ${columns}, o.OperationQuota FROM unchanged_operations o
      JOIN file_versions v ON v.FileID = o.FileID AND v.VersionNumber = o.VersionNumber
      JOIN files f ON f.ID = v.FileID WHERE o.OperationID = ${dialect.unplanned(file.operationId)}`));
  if (found === undefined) return undefined;
  const [, clientId, fileName, , originalPath] = found;
  if (clientId !== file.clientId || fileName !== file.fileName || (originalPath ?? '') !== (file.originalPath ?? '')) {
    throw new ConflictError(`the operationId ${JSON.stringify(file.operationId)} was used for another file`);
  }
  yield* ledger.userCategory(file);
  const changed = saved !== undefined;
  const kept = found[OPERATION_QUOTA];
  const quota = kept === null ? ledger.quota(file.clientId) : quotaIn(kept);
  const answered = found.slice(0, OPERATION_QUOTA) as unknown as FileRow;
  return [answered, changed && found[VERSION] === 1, changed, quota, false];
}

/** Keeps the operation id of a save that found nothing new; the version it is kept with may be pruned meanwhile. */
export function* recordUnchanged(fileId: string, version: number, operationId: string, quota: QuotaState): Steps<void> {
  yield* run(sql`INSERT INTO unchanged_operations (OperationID, FileID, VersionNumber, OperationQuota)
    VALUES (${operationId}, ${idBytes(fileId)}, ${version}, ${quotaOut(quota)})
    ON CONFLICT (OperationID) DO UPDATE SET FileID = excluded.FileID, VersionNumber = excluded.VersionNumber,
    OperationQuota = excluded.OperationQuota`);
}

/** The columns of a FileRow as they were in version `v`. */
const operationColumns = perDialect(
  (dialect) => sql`${dialect.hex('f.ID')}, ${dialect.hex('f.ClientID')}, f.FileName, v.PathName, f.OriginalPath,
    v.FileSize, v.ModificationDate, v.CRC, v.Verified, v.FileCategory, v.MimeType, f.FileExtension, v.VersionHash,
    v.TransferDuration, v.TransferSpeed, v.CompressionRatio, v.VersionNumber`,
);

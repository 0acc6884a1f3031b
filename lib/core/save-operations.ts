/**
 * Operations that are asked for again: a save keeps its operation id and the quota it answered with, beside its version or,
 * where it found nothing new, in a row of their own; the rest of the first result is told by the version.
 */
import { ConflictError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { row, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import type { FileToSave } from '../values/file-input.ts';
import { idBytes } from '../values/ids.ts';
import { FILE, type FileRow, pastFileColumns } from './file-rows.ts';
import type { QuotaState, SaveLedger } from './save-ledger.ts';

/** What a save did, as it leaves the engine's thread. */
export interface RowOutcome {
  readonly file: FileRow;
  readonly created: boolean;
  readonly changed: boolean;
  readonly quota: QuotaState;
  /** Whether the client's use reached its warning threshold. */
  readonly crossed: boolean;
}

/** The quota that a repeated operation answered with, null where none was kept; and the file as it was then. */
type Answered = readonly [operationQuota: string | null, ...FileRow];

/** A quota as it is kept with an operation. */
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

/** What the call that first had this operation id returned. */
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

/** Keeps the operation id of a save that found nothing new; the version it is kept with may be pruned meanwhile. */
export function* recordUnchanged(fileId: string, version: number, operationId: string, quota: QuotaState): Steps<void> {
  yield* run(sql`INSERT INTO unchanged_operations (OperationID, FileID, VersionNumber, OperationQuota)
    VALUES (${operationId}, ${idBytes(fileId)}, ${version}, ${quotaOut(quota)})
    ON CONFLICT (OperationID) DO UPDATE SET FileID = excluded.FileID, VersionNumber = excluded.VersionNumber,
    OperationQuota = excluded.OperationQuota`);
}

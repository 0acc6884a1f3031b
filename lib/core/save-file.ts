/**
 * Saving a file: one transaction that checks the quota, writes the file row and its version with every fact, and
 * records use, activity and the day's transfers. Either all of it is stored or nothing.
 */

import { ConflictError, NotFoundError } from '../errors.ts';
import { type Dialect, perDialect } from '../sql/dialect.ts';
import { one, procedure, row, run, type Steps } from '../sql/procedure.ts';
import { sql, unplanned } from '../sql/template.ts';
import { UNLIMITED_BYTES } from './client-procedures.ts';
import { dateOut, dayOf, now } from './dates.ts';
import type { FileToSave } from './file-input.ts';
import { type CatalogFile, type FileRow, fileColumns, toFile } from './file-rows.ts';
import { idBytes, newId } from './ids.ts';
import { assertFits, type Room } from './quota-rows.ts';

/** A client's quota after a save. */
export interface QuotaState {
  /** Bytes the client may store; null for no limit. */
  readonly quotaBytes: number | null;
  /** Bytes of every stored version. */
  readonly usedBytes: number;
  /** Whether use has reached the warning threshold. */
  readonly warning: boolean;
}

/** What a save did. */
export interface SaveResult {
  readonly file: CatalogFile;
  /** The number of the file's current version. */
  readonly version: number;
  /** Whether the file is new. */
  readonly created: boolean;
  /** False when `ifChanged` found nothing new. */
  readonly changed: boolean;
  readonly quota: QuotaState;
}

/** What a save did, and whether it was the one that crossed the warning threshold. */
export interface SaveOutcome {
  readonly result: SaveResult;
  readonly crossedWarning: boolean;
}

interface ClientState extends Room {
  readonly warningThreshold: number;
  readonly userCategory: string | null;
}

type SaveWire = readonly [file: FileRow, created: boolean, changed: boolean, quota: QuotaState, crossed: boolean];

const toOutcome = ([file, created, changed, quota, crossedWarning]: SaveWire): SaveOutcome => ({
  result: { file: toFile(file), version: file[CURRENT_VERSION], created, changed, quota },
  crossedWarning,
});

function* clientState({ clientId, extension, category }: FileToSave, at: string): Steps<ClientState> {
  const wanted = category === null ? extension : null;
  const found = yield* one<ClientState>(sql`SELECT coalesce(q.QuotaBytes, ${UNLIMITED_BYTES}) AS "quotaBytes",
    coalesce(q.UsedBytes, 0) AS "usedBytes", coalesce(q.WarningThreshold, 0.8) AS "warningThreshold",
    (SELECT coalesce(sum(r.Bytes), 0) FROM quota_reservations r
      WHERE r.ClientID = c.ID AND r.ExpiresAt > ${at}) AS "reservedBytes",
    (SELECT k.Name FROM category_extensions e JOIN file_categories k ON k.ID = e.CategoryID
      WHERE e.Extension = ${unplanned(wanted)}) AS "userCategory"
    FROM clients c LEFT JOIN client_quotas q ON q.ClientID = c.ID WHERE c.ID = ${unplanned(idBytes(clientId))}`);
  if (found === undefined) throw new NotFoundError(`client ${clientId}`);
  return found;
}

const reachesWarning = ({ quotaBytes, warningThreshold }: ClientState, usedBytes: number) =>
  quotaBytes < UNLIMITED_BYTES && usedBytes >= quotaBytes * warningThreshold;

const quotaAfter = (client: ClientState, usedBytes: number): QuotaState => ({
  quotaBytes: client.quotaBytes >= UNLIMITED_BYTES ? null : client.quotaBytes,
  usedBytes,
  warning: reachesWarning(client, usedBytes),
});

/** A file's row and the highest version number it ever had. */
type StoredFile = readonly [...FileRow, highestVersion: number];

const storedColumns = perDialect((dialect) => sql`${fileColumns(dialect)}, f.HighestVersion AS "highestVersion"`);

const findStored = ({ clientId, fileName, originalPath }: FileToSave, dialect: Dialect) =>
  row<StoredFile>(sql`SELECT ${storedColumns(dialect)} FROM files f WHERE f.ClientID = ${idBytes(clientId)}
    AND f.FileName = ${fileName} AND coalesce(f.OriginalPath, '') = ${originalPath ?? ''} LIMIT 1`);

// Places in a StoredFile.
const CURRENT_VERSION = 16;
const HIGHEST_VERSION = 17;

function isUnchanged(stored: StoredFile, { fileSize, modificationDate, crc }: FileToSave): boolean {
  if (stored[CURRENT_VERSION] === 0) return false; // an old server's row without a version: the save gives it one
  return (
    stored[5] === fileSize &&
    (modificationDate === null || dateOut(stored[6]) === modificationDate) &&
    (crc === null || stored[7] === crc)
  );
}

/** The row a save leaves in `files`. */
const rowAfter = (id: string, version: number, category: string, file: FileToSave): FileRow => [
  id,
  file.clientId,
  file.fileName,
  file.pathName,
  file.originalPath,
  file.fileSize,
  file.modificationDate,
  file.crc,
  file.verified,
  category,
  file.mimeType,
  file.extension,
  file.fileHash,
  file.transferDuration,
  file.transferSpeed,
  file.compressionRatio,
  version,
];

function* insertFile(id: string, category: string, file: FileToSave): Steps<void> {
  yield* run(sql`INSERT INTO files (ID, FileName, PathName, Verified, FileSize, ModificationDate, CRC, ClientID,
    FileCategory, MimeType, FileExtension, OriginalPath, FileHash, TransferDuration, TransferSpeed, CompressionRatio,
    CurrentVersion, HighestVersion)
    VALUES (${idBytes(id)}, ${file.fileName}, ${file.pathName}, ${file.verified}, ${file.fileSize},
    ${file.modificationDate}, ${file.crc}, ${idBytes(file.clientId)}, ${category}, ${file.mimeType},
    ${file.extension}, ${file.originalPath}, ${file.fileHash}, ${file.transferDuration}, ${file.transferSpeed},
    ${file.compressionRatio}, 1, 1)`);
}

function* updateFile(id: string, version: number, category: string, file: FileToSave): Steps<void> {
  yield* run(sql`UPDATE files SET PathName = ${file.pathName}, Verified = ${file.verified},
    FileSize = ${file.fileSize}, ModificationDate = ${file.modificationDate}, CRC = ${file.crc},
    FileCategory = ${category}, MimeType = ${file.mimeType}, FileExtension = ${file.extension},
    FileHash = ${file.fileHash}, TransferDuration = ${file.transferDuration}, TransferSpeed = ${file.transferSpeed},
    CompressionRatio = ${file.compressionRatio}, CurrentVersion = ${version}, HighestVersion = ${version}
    WHERE ID = ${idBytes(id)}`);
  yield* run(sql`UPDATE file_versions SET IsActive = 0 WHERE FileID = ${idBytes(id)} AND IsActive = 1`);
}

/** A new version of a file: its number, that of the version it follows (0 for none), and when it came. */
interface NewVersion {
  readonly id: string;
  readonly version: number;
  readonly parent: number;
  readonly category: string;
  readonly seen: string;
}

function* insertVersion({ id, version, parent, category, seen }: NewVersion, file: FileToSave): Steps<void> {
  yield* run(sql`INSERT INTO file_versions (FileID, VersionNumber, PathName, FileSize, CreatedDate, IsActive,
    VersionHash, ParentVersionID, ModificationDate, CRC, Verified, MimeType, FileCategory, TransferDuration,
    TransferSpeed, CompressionRatio, OperationID)
    VALUES (${idBytes(id)}, ${version}, ${file.pathName}, ${file.fileSize}, ${seen}, 1, ${file.fileHash},
    (SELECT ID FROM file_versions WHERE FileID = ${idBytes(id)} AND VersionNumber = ${parent}),
    ${file.modificationDate}, ${file.crc}, ${file.verified}, ${file.mimeType}, ${category}, ${file.transferDuration},
    ${file.transferSpeed}, ${file.compressionRatio}, ${file.operationId})`);
}

function* recordTransfer({ clientId, fileSize, transferSpeed }: FileToSave, seen: string): Steps<void> {
  yield* run(sql`UPDATE clients SET LastSeen = ${seen} WHERE ID = ${idBytes(clientId)}`);
  yield* run(sql`INSERT INTO client_activity (ClientID, ActivityType, Timestamp, FileCount, BytesTransferred)
    VALUES (${idBytes(clientId)}, 'upload', ${seen}, 1, ${fileSize})`);
  yield* run(sql`INSERT INTO transfer_stats AS s (Date, TotalFiles, TotalBytes, SuccessfulTransfers, FailedTransfers,
    AverageFileSize, PeakTransferSpeed)
    VALUES (${dayOf(seen)}, 1, ${fileSize}, 1, 0, ${fileSize}, ${transferSpeed ?? 0})
    ON CONFLICT (Date) DO UPDATE SET TotalFiles = s.TotalFiles + 1, TotalBytes = s.TotalBytes + excluded.TotalBytes,
    SuccessfulTransfers = s.SuccessfulTransfers + 1,
    AverageFileSize = (s.TotalBytes + excluded.TotalBytes) / (s.SuccessfulTransfers + 1),
    PeakTransferSpeed = CASE WHEN excluded.PeakTransferSpeed > s.PeakTransferSpeed
      THEN excluded.PeakTransferSpeed ELSE s.PeakTransferSpeed END`);
}

/** What the call that first had this operation id returned. */
function* earlierResult(file: FileToSave, dialect: Dialect): Steps<SaveWire | undefined> {
  const columns = operationColumns(dialect);
  const saved = yield* row<FileRow>(sql`SELECT ${columns} FROM file_versions v
    JOIN files f ON f.ID = v.FileID WHERE v.OperationID = ${unplanned(file.operationId)}`);
  const found =
    saved ??
    (yield* row<FileRow>(sql`SELECT ${columns} FROM unchanged_operations o
      JOIN file_versions v ON v.FileID = o.FileID AND v.VersionNumber = o.VersionNumber
      JOIN files f ON f.ID = v.FileID WHERE o.OperationID = ${unplanned(file.operationId)}`));
  if (found === undefined) return undefined;
  const [, clientId, fileName, , originalPath] = found;
  if (clientId !== file.clientId || fileName !== file.fileName || (originalPath ?? '') !== (file.originalPath ?? '')) {
    throw new ConflictError(`the operationId ${JSON.stringify(file.operationId)} was used for another file`);
  }
  const client = yield* clientState(file, now());
  const changed = saved !== undefined;
  return [found, changed && found[CURRENT_VERSION] === 1, changed, quotaAfter(client, client.usedBytes), false];
}

/** Keeps the operation id of a save that found nothing new; the version it is kept with may be pruned meanwhile. */
function* recordUnchanged(fileId: string, version: number, operationId: string): Steps<void> {
  yield* run(sql`INSERT INTO unchanged_operations (OperationID, FileID, VersionNumber)
    VALUES (${operationId}, ${idBytes(fileId)}, ${version})
    ON CONFLICT (OperationID) DO UPDATE SET FileID = excluded.FileID, VersionNumber = excluded.VersionNumber`);
}

/** The columns of a FileRow as they were in version `v`. */
const operationColumns = perDialect(
  (dialect) => sql`${dialect.hex('f.ID')}, ${dialect.hex('f.ClientID')}, f.FileName, v.PathName, f.OriginalPath,
    v.FileSize, v.ModificationDate, v.CRC, v.Verified, v.FileCategory, v.MimeType, f.FileExtension, v.VersionHash,
    v.TransferDuration, v.TransferSpeed, v.CompressionRatio, v.VersionNumber`,
);

function* assertIdFree(id: string): Steps<void> {
  const taken = yield* one(sql`SELECT 1 AS "taken" FROM files WHERE ID = ${idBytes(id)}`);
  if (taken !== undefined) throw new ConflictError(`the file id ${id} belongs to another file`);
}

/** Writes the file row and its new version. */
function* storeVersion(
  file: FileToSave,
  stored: StoredFile | undefined,
  client: ClientState,
  seen: string,
): Steps<FileRow> {
  if (stored === undefined && file.id !== null) yield* assertIdFree(file.id);
  const id = stored?.[0] ?? file.id ?? newId();
  const version = (stored?.[HIGHEST_VERSION] ?? 0) + 1;
  const category = file.category ?? client.userCategory ?? file.derivedCategory;
  if (stored === undefined) yield* insertFile(id, category, file);
  else yield* updateFile(id, version, category, file);
  yield* insertVersion({ id, version, parent: stored?.[CURRENT_VERSION] ?? 0, category, seen }, file);
  return rowAfter(id, version, category, file);
}

export const saveFile = procedure(
  'files.save',
  'write',
  function* (file: FileToSave, dialect): Steps<SaveWire> {
    const earlier = file.operationId === null ? undefined : yield* earlierResult(file, dialect);
    if (earlier !== undefined) return earlier;
    const seen = now();
    const client = yield* clientState(file, seen);
    const stored = yield* findStored(file, dialect);
    if (stored !== undefined && file.ifChanged && isUnchanged(stored, file)) {
      const unchanged = stored.slice(0, HIGHEST_VERSION) as unknown as FileRow;
      if (file.operationId !== null) yield* recordUnchanged(stored[0], stored[CURRENT_VERSION], file.operationId);
      return [unchanged, false, false, quotaAfter(client, client.usedBytes), false];
    }
    if (client.quotaBytes < UNLIMITED_BYTES) assertFits(client, file.fileSize);
    const row = yield* storeVersion(file, stored, client, seen);
    yield* recordTransfer(file, seen);
    const quota = quotaAfter(client, client.usedBytes + file.fileSize);
    const crossed = quota.warning && !reachesWarning(client, client.usedBytes);
    return [row, stored === undefined, true, quota, crossed];
  },
  { decode: toOutcome },
);

/**
 * Saving a file: one transaction that checks the quota, writes the file row and its version with every fact, and
 * records use, activity and the day's transfers. Either all of it is stored or nothing.
 */
import {
  ConflictError,
  NotFoundError,
  QuotaExceededError,
  reviveError,
  toWireError,
  type WireError,
} from '../errors.ts';
import { takeInRows } from '../legacy/unversioned-rows.ts';
import { type Dialect, perDialect } from '../sql/dialect.ts';
import { one, procedure, rows, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { dateOut } from '../values/dates.ts';
import type { FileToSave } from '../values/file-input.ts';
import { idBytes, newId } from '../values/ids.ts';
import { changeRow } from './change-row.ts';
import { type CatalogFile, type FileRow, fileColumns, toFile } from './file-rows.ts';
import { type QuotaState, SaveLedger } from './save-ledger.ts';
import { earlierResult, quotaOut, type RowOutcome, recordUnchanged } from './save-operations.ts';

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

/** A client whose use has reached its warning threshold, by the save that crossed it. */
export interface QuotaWarning extends QuotaState {
  readonly clientId: string;
}

/** What a transaction stored. */
export interface Stored {
  /** How many versions. */
  readonly versions: number;
  /** The bytes of their files. */
  readonly bytes: number;
  /** How many files `ifChanged` found nothing new in. */
  readonly unchanged: number;
  /** The clients whose warning threshold it crossed. */
  readonly warnings: readonly QuotaWarning[];
}

/** What one save did, for its caller and for those who listen. */
export interface SaveOutcome extends Stored {
  readonly result: SaveResult;
}

const warningOf = ([file, , , quota, crossed]: RowOutcome): QuotaWarning[] =>
  crossed ? [{ clientId: file[1], ...quota }] : [];

const bytesOf = ([file, , changed]: RowOutcome): number => (changed ? (file[5] ?? 0) : 0);

const toOutcome = (outcome: RowOutcome): SaveOutcome => {
  const [file, created, changed, quota] = outcome;
  return {
    result: { file: toFile(file), version: file[CURRENT_VERSION], created, changed, quota },
    versions: changed ? 1 : 0,
    bytes: bytesOf(outcome),
    unchanged: changed ? 0 : 1,
    warnings: warningOf(outcome),
  };
};

/** A file's row and the highest version number it ever had. */
type StoredFile = readonly [...FileRow, highestVersion: number];

const storedColumns = perDialect((dialect) => sql`${fileColumns(dialect)}, f.HighestVersion AS "highestVersion"`);

const rowsOfFile = ({ clientId, fileName, originalPath }: FileToSave, dialect: Dialect) =>
  rows<StoredFile>(sql`SELECT ${storedColumns(dialect)} FROM files f WHERE f.ClientID = ${idBytes(clientId)}
    AND f.FileName = ${fileName} AND coalesce(f.OriginalPath, '') = ${originalPath ?? ''}`);

const hasVersion = (stored: StoredFile) => stored[HIGHEST_VERSION] > 0;

/** The file as it is stored, once rows of it that an old server wrote have their versions. */
function* findStored(file: FileToSave, ledger: SaveLedger, dialect: Dialect): Steps<StoredFile | undefined> {
  const found = yield* rowsOfFile(file, dialect);
  if (found.every(hasVersion)) return found[0];
  yield* takeInRows(file, ledger.at);
  yield* ledger.readAgain(file);
  const now = yield* rowsOfFile(file, dialect);
  return now.find(hasVersion) ?? now[0];
}

// Places in a StoredFile.
const CURRENT_VERSION = 16;
const HIGHEST_VERSION = 17;

const CHANGED = 2; // its place in a RowOutcome

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
  yield* changeRow(sql`INSERT INTO files (ID, FileName, PathName, Verified, FileSize, ModificationDate, CRC, ClientID,
    FileCategory, MimeType, FileExtension, OriginalPath, FileHash, TransferDuration, TransferSpeed, CompressionRatio,
    CurrentVersion, HighestVersion)
    VALUES (${idBytes(id)}, ${file.fileName}, ${file.pathName}, ${file.verified}, ${file.fileSize},
    ${file.modificationDate}, ${file.crc}, ${idBytes(file.clientId)}, ${category}, ${file.mimeType},
    ${file.extension}, ${file.originalPath}, ${file.fileHash}, ${file.transferDuration}, ${file.transferSpeed},
    ${file.compressionRatio}, 1, 1)`);
}

function* updateFile(id: string, version: number, category: string, file: FileToSave): Steps<void> {
  yield* changeRow(sql`UPDATE files SET PathName = ${file.pathName}, Verified = ${file.verified},
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
  readonly operationQuota: string | null;
}

function* insertVersion(
  { id, version, parent, category, seen, operationQuota }: NewVersion,
  file: FileToSave,
): Steps<void> {
  yield* changeRow(sql`INSERT INTO file_versions (FileID, VersionNumber, PathName, FileSize, CreatedDate, IsActive,
    VersionHash, ParentVersionID, ModificationDate, CRC, Verified, MimeType, FileCategory, TransferDuration,
    TransferSpeed, CompressionRatio, OperationID, OperationQuota)
    VALUES (${idBytes(id)}, ${version}, ${file.pathName}, ${file.fileSize}, ${seen}, 1, ${file.fileHash},
    (SELECT ID FROM file_versions WHERE FileID = ${idBytes(id)} AND VersionNumber = ${parent}),
    ${file.modificationDate}, ${file.crc}, ${file.verified}, ${file.mimeType}, ${category}, ${file.transferDuration},
    ${file.transferSpeed}, ${file.compressionRatio}, ${file.operationId}, ${operationQuota})`);
}

function* assertIdFree(id: string): Steps<void> {
  const taken = yield* one(sql`SELECT 1 AS "taken" FROM files WHERE ID = ${idBytes(id)}`);
  if (taken !== undefined) throw new ConflictError(`the file id ${id} belongs to another file`);
}

/** Writes the file row and its new version. */
function* storeVersion(
  file: FileToSave,
  stored: StoredFile | undefined,
  category: string,
  seen: string,
  quota: QuotaState,
): Steps<FileRow> {
  const id = stored?.[0] ?? file.id ?? newId();
  const version = (stored?.[HIGHEST_VERSION] ?? 0) + 1;
  if (stored === undefined) yield* insertFile(id, category, file);
  else yield* updateFile(id, version, category, file);
  const operationQuota = file.operationId === null ? null : quotaOut(quota);
  yield* insertVersion({ id, version, parent: stored?.[CURRENT_VERSION] ?? 0, category, seen, operationQuota }, file);
  return rowAfter(id, version, category, file);
}

/** Saves a file; what refuses it does so before anything of the save itself is written. */
function* saveRow(file: FileToSave, ledger: SaveLedger, dialect: Dialect): Steps<RowOutcome> {
  const earlier = file.operationId === null ? undefined : yield* earlierResult(file, ledger, dialect);
  if (earlier !== undefined) return earlier;
  const userCategory = yield* ledger.userCategory(file);
  const stored = yield* findStored(file, ledger, dialect);
  if (stored !== undefined && file.ifChanged && isUnchanged(stored, file)) {
    const unchanged = stored.slice(0, HIGHEST_VERSION) as unknown as FileRow;
    const quota = ledger.quota(file.clientId);
    if (file.operationId !== null) yield* recordUnchanged(stored[0], stored[CURRENT_VERSION], file.operationId, quota);
    return [unchanged, false, false, quota, false];
  }
  ledger.assertFits(file);
  if (stored === undefined && file.id !== null) yield* assertIdFree(file.id);
  const category = file.category ?? userCategory ?? file.derivedCategory;
  const crossed = ledger.stored(file);
  const quota = ledger.quota(file.clientId);
  const row = yield* storeVersion(file, stored, category, ledger.at, quota);
  return [row, stored === undefined, true, quota, crossed];
}

export const saveFile = procedure(
  'files.save',
  'write',
  function* (file: FileToSave, dialect): Steps<RowOutcome> {
    const ledger = new SaveLedger();
    const outcome = yield* saveRow(file, ledger, dialect);
    yield* ledger.record();
    return outcome;
  },
  { decode: toOutcome },
);

/** What became of a batch of files. */
export interface BatchOutcome extends Stored {
  /** Files that were refused, by their places in the batch. */
  readonly failed: readonly { readonly place: number; readonly error: Error }[];
}

interface BatchWire extends Stored {
  readonly failed: readonly (readonly [place: number, error: WireError])[];
}

/** What refuses one file and leaves the others of its batch alone: these are thrown before anything is written. */
const isRefusal = (error: unknown) =>
  error instanceof NotFoundError || error instanceof QuotaExceededError || error instanceof ConflictError;

/** Saves a batch in the order given; a file that is refused costs only itself, any other failure the whole batch. */
export const saveBatch = procedure(
  'files.saveBatch',
  'write',
  function* (files: readonly FileToSave[], dialect): Steps<BatchWire> {
    const ledger = new SaveLedger();
    const warnings: QuotaWarning[] = [];
    const failed: [number, WireError][] = [];
    let [versions, bytes] = [0, 0];
    for (const [place, file] of files.entries()) {
      try {
        const outcome = yield* saveRow(file, ledger, dialect);
        versions += outcome[CHANGED] ? 1 : 0;
        bytes += bytesOf(outcome);
        warnings.push(...warningOf(outcome));
      } catch (error) {
        if (!isRefusal(error)) throw error;
        failed.push([place, toWireError(error)]);
      }
    }
    yield* ledger.record();
    return { versions, bytes, unchanged: files.length - versions - failed.length, failed, warnings };
  },
  {
    // Several streams would otherwise share one commit of thousands of rows, which other processes wait for.
    alone: true,
    decode: ({ failed, ...counts }): BatchOutcome => ({
      ...counts,
      failed: failed.map(([place, error]) => ({ place, error: reviveError(error) })),
    }),
  },
);

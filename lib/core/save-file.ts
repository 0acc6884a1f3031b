/**
 * Saves a file in one transaction: checks the quota, writes the file row and its version with every fact, and records
 * use, activity and the day's transfers. Everything is stored, or nothing.
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
import type { Dialect } from '../sql/dialect.ts';
import { insertInto, update } from '../sql/named-values.ts';
import { one, procedure, rows, run, type Settled, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { dateOut } from '../values/dates.ts';
import { CONTENT_FACTS, FILE_FACTS, inFiles, inFileVersions, NUMBER, VERSION_FACTS } from '../values/file-facts.ts';
import type { FileToSave } from '../values/file-input.ts';
import { idBytes, newId } from '../values/ids.ts';
import { changeRow } from './change-row.ts';
import { type CatalogFile, FILE, type FileRow, fileColumns, fileRowOf, toFile } from './file-rows.ts';
import { hasOtherTriggers } from './other-triggers.ts';
import { type QuotaState, SaveLedger } from './save-ledger.ts';
import { earlierResult, quotaOut, type RowOutcome, recordUnchanged } from './save-operations.ts';

/** The result of a save. */
export interface SaveResult {
  readonly file: CatalogFile;
  /** The number of the file's current version. */
  readonly version: number;
  /** Whether the file is new. */
  readonly created: boolean;
  /** False if `ifChanged` found no change. */
  readonly changed: boolean;
  readonly quota: QuotaState;
}

/** A client whose use has crossed its warning threshold with this save. */
export interface QuotaWarning extends QuotaState {
  readonly clientId: string;
}

/** The effects of a transaction. */
export interface Stored {
  /** How many versions. */
  readonly versions: number;
  /** The bytes of their files. */
  readonly bytes: number;
  /** How many files `ifChanged` found unchanged. */
  readonly unchanged: number;
  /** The clients whose warning threshold it crossed. */
  readonly warnings: readonly QuotaWarning[];
}

/** The result of a save, for its caller and for listeners. */
export interface SaveOutcome extends Stored {
  readonly result: SaveResult;
}

const warningOf = ({ file, quota, crossed }: RowOutcome): QuotaWarning[] =>
  crossed ? [{ clientId: file[FILE.clientId], ...quota }] : [];

const bytesOf = ({ file, changed }: RowOutcome): number => (changed ? (file[FILE.fileSize] ?? 0) : 0);

const toOutcome = (outcome: RowOutcome): SaveOutcome => {
  const { file, created, changed, quota } = outcome;
  return {
    result: { file: toFile(file), version: file[FILE.version], created, changed, quota },
    versions: changed ? 1 : 0,
    bytes: bytesOf(outcome),
    unchanged: changed ? 0 : 1,
    warnings: warningOf(outcome),
  };
};

/** A file's row, and the highest version number that this library or another program ever gave it. */
interface StoredFile {
  readonly row: FileRow;
  /** 0 where none was ever given here. */
  readonly highest: number;
  readonly highestStored: number;
}

function* rowsOfFile({ clientId, fileName, originalPath }: FileToSave, dialect: Dialect): Steps<StoredFile[]> {
  const found = yield* rows<[highest: number, highestStored: number, ...FileRow]>(sql`SELECT f.HighestVersion,
    coalesce((SELECT max(v.VersionNumber) FROM file_versions v WHERE v.FileID = f.ID), 0), ${fileColumns(dialect)}
    FROM files f WHERE f.ClientID = ${idBytes(clientId)} AND f.FileName = ${fileName}
    AND coalesce(f.OriginalPath, '') = ${originalPath ?? ''}`);
  return found.map(([highest, highestStored, ...row]) => ({ highest, highestStored, row }));
}

const hasVersion = ({ highest }: StoredFile) => highest > 0;

/** The stored file, after rows of an old server have got their versions. */
function* findStored(file: FileToSave, ledger: SaveLedger, dialect: Dialect): Steps<StoredFile | undefined> {
  const found = yield* rowsOfFile(file, dialect);
  if (found.every(hasVersion)) return found.at(0);
  yield* ledger.letTriggersCount();
  yield* takeInRows(file, ledger.at);
  yield* ledger.readAgain(file);
  const now = yield* rowsOfFile(file, dialect);
  return now.find(hasVersion) ?? now.at(0);
}

function isUnchanged(row: FileRow, { fileSize, modificationDate, crc }: FileToSave): boolean {
  if (row[FILE.version] === 0) return false; // an old server's row without a version: the save gives it one
  return (
    row[FILE.fileSize] === fileSize &&
    (modificationDate === null || dateOut(row[FILE.modificationDate]) === modificationDate) &&
    (crc === null || row[FILE.crc] === crc)
  );
}

const HIGHEST = { name: 'highest', column: 'HighestVersion' } as const;

const insertFile = insertInto('files', [...inFiles(FILE_FACTS), HIGHEST]);

const updateFile = update('files', [...inFiles([...CONTENT_FACTS, NUMBER]), HIGHEST], { name: 'id', column: 'ID' });

const insertVersion = insertInto('file_versions', [
  ...inFileVersions(VERSION_FACTS),
  { name: 'seen', column: 'CreatedDate' },
  { name: 'active', column: 'IsActive' },
  { name: 'parent', column: 'ParentVersionID' },
  { name: 'operationId', column: 'OperationID' },
  { name: 'operationQuota', column: 'OperationQuota' },
]);

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
  const id = stored?.row[FILE.id] ?? file.id ?? newId();
  const version = Math.max(stored?.highest ?? 0, stored?.highestStored ?? 0) + 1;
  const current = stored?.row[FILE.version] ?? 0;
  const bytes = idBytes(id);
  const values = {
    ...file,
    id: bytes,
    clientId: idBytes(file.clientId),
    category,
    version,
    highest: version,
    seen,
    active: 1,
    parent: sql`(SELECT ID FROM file_versions WHERE FileID = ${bytes}
      AND VersionNumber = ${current})`,
    operationQuota: file.operationId === null ? null : quotaOut(quota),
  };
  if (stored === undefined) yield* changeRow(insertFile(values));
  else {
    yield* changeRow(updateFile(values));
    // By its number: searching for the active version would take longer with each version.
    yield* run(sql`UPDATE file_versions SET IsActive = 0 WHERE FileID = ${bytes} AND VersionNumber = ${current}`);
  }
  yield* changeRow(insertVersion(values));
  return fileRowOf({ ...file, id, category, version });
}

/** Saves a file; a refusal comes before the first write. */
function* saveRow(file: FileToSave, ledger: SaveLedger, dialect: Dialect): Steps<RowOutcome> {
  const earlier = file.operationId === null ? undefined : yield* earlierResult(file, ledger, dialect);
  if (earlier !== undefined) return earlier;
  const userCategory = yield* ledger.userCategory(file);
  const stored = yield* findStored(file, ledger, dialect);
  if (stored !== undefined && file.ifChanged && isUnchanged(stored.row, file)) {
    const { row } = stored;
    const quota = ledger.quota(file.clientId);
    if (file.operationId !== null) yield* recordUnchanged(row[FILE.id], row[FILE.version], file.operationId, quota);
    return { file: row, created: false, changed: false, quota, crossed: false };
  }
  ledger.assertFits(file);
  if (stored === undefined && file.id !== null) yield* assertIdFree(file.id);
  const category = file.category ?? userCategory ?? file.derivedCategory;
  const crossed = ledger.stored(file);
  const quota = ledger.quota(file.clientId);
  yield* ledger.willStore(stored?.row);
  const row = yield* storeVersion(file, stored, category, ledger.at, quota);
  ledger.counted(row, stored?.row);
  return { file: row, created: stored === undefined, changed: true, quota, crossed };
}

/** Errors that refuse only one file: they are thrown before anything of that file is written. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof NotFoundError || error instanceof QuotaExceededError || error instanceof ConflictError;

/**
 * Saves files in order; a refused file affects only itself.
 * @throws any other failure, which affects them all; with `strict`, also the refusal of a file after a write on its
 *   behalf: a missing quota, versions of an old server's rows
 */
function* saveRows(
  files: readonly FileToSave[],
  dialect: Dialect,
  { strict }: { readonly strict: boolean },
): Steps<Settled<RowOutcome>[]> {
  const counts = !(yield* hasOtherTriggers(dialect)); // others may read the totals, or change what they count
  const ledger = new SaveLedger(dialect, { counts });
  const settled: Settled<RowOutcome>[] = [];
  for (const file of files) {
    const { writes } = ledger;
    if (!counts) ledger.forget();
    try {
      settled.push({ value: yield* saveRow(file, ledger, dialect) });
    } catch (error) {
      if (!isRefusal(error) || (strict && ledger.writes !== writes)) throw error;
      settled.push({ refused: error });
    }
  }
  yield* ledger.record();
  return settled;
}

export const saveFile = procedure(
  'files.save',
  'write',
  function* (file: FileToSave, dialect): Steps<RowOutcome> {
    const ledger = new SaveLedger(dialect);
    const outcome = yield* saveRow(file, ledger, dialect);
    yield* ledger.record();
    return outcome;
  },
  { together: (files, dialect) => saveRows(files, dialect, { strict: true }), decode: toOutcome },
);

/** The result of a batch of files. */
export interface BatchOutcome extends Stored {
  /** Refused files, by their index in the batch. */
  readonly failed: readonly { readonly place: number; readonly error: Error }[];
}

interface BatchWire extends Stored {
  readonly failed: readonly (readonly [place: number, error: WireError])[];
}

/** Saves a batch in order; a refused file affects only itself, any other failure the whole batch. */
export const saveBatch = procedure(
  'files.saveBatch',
  'write',
  function* (files: readonly FileToSave[], dialect): Steps<BatchWire> {
    const warnings: QuotaWarning[] = [];
    const failed: [number, WireError][] = [];
    let [versions, bytes] = [0, 0];
    for (const [place, outcome] of (yield* saveRows(files, dialect, { strict: false })).entries()) {
      if ('refused' in outcome) failed.push([place, toWireError(outcome.refused)]);
      else {
        versions += outcome.value.changed ? 1 : 0;
        bytes += bytesOf(outcome.value);
        warnings.push(...warningOf(outcome.value));
      }
    }
    return { versions, bytes, unchanged: files.length - versions - failed.length, failed, warnings };
  },
  {
    // Otherwise several streams would share a commit of thousands of rows, and other processes would wait for it.
    alone: true,
    decode: ({ failed, ...counts }): BatchOutcome => ({
      ...counts,
      failed: failed.map(([place, error]) => ({ place, error: reviveError(error) })),
    }),
  },
);

/**
 * Prepares the database file for SQLite: creates it with the right mode, and refuses places where its locks cannot
 * work. An existing file is never opened here: closing any descriptor of it would drop the locks of this process
 * (https://sqlite.org/howtocorrupt.html, section 2.2).
 */
import { access, constants, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { hintOfCause } from '../errors/hints.ts';
import { DatabaseError, ValidationError } from '../errors.ts';

import { sizeOf } from '../runtime/files.ts';
import { createPrivateFile } from '../runtime/private-file.ts';
import { hasCode } from '../runtime/thrown.ts';
import { type FileSystemOf, refuseSecondName, sharedFileSystem } from './file-place.ts';

import { sqliteCode } from './sqlite-errors.ts';

export interface FileRules {
  readonly create: boolean;
  readonly readOnly: boolean;
  readonly allowRollbackJournal: boolean;
}

/**
 * Creates the file if allowed, and returns its real path, with links resolved, and whether it is new.
 * @throws {ValidationError} for a path that SQLite would not treat as a file
 * @throws {DatabaseError} CATALOG_NOT_FOUND if the file is missing and may not be created, CATALOG_IO on a network file
 *   system, for a file with a second name opened for writing, or if it cannot be created, CATALOG_CONFLICT or
 *   CATALOG_CORRUPT if a log exists without its file
 */
export async function prepareDatabaseFile(
  database: string,
  rules: FileRules,
  fileSystemOf?: FileSystemOf,
): Promise<{ path: string; created: boolean }> {
  refuseSpecialNames(database);
  const path = await realDatabase(resolve(database));
  refuseSpecialNames(path); // the target of a link
  if (!rules.allowRollbackJournal) await refuseNetwork(path, fileSystemOf);
  if (!rules.readOnly) await refuseSecondName(path);
  if (!rules.readOnly) await refuseLeftLog(path, rules.create);
  const created = rules.create && !rules.readOnly && (await createPrivate(path));
  if (!created) await assertRegularFile(path, rules);
  return { path, created };
}

const MAX_NAME = 255; // bytes, on nearly every file system
const LONGEST_SUFFIX = '-journal'.length;

/** Checked before the file is created, because its log could not be. */
function refuseLongName(path: string): void {
  const bytes = Buffer.byteLength(basename(path));
  if (bytes + LONGEST_SUFFIX <= MAX_NAME) return;
  const accepted = `a name of at most ${MAX_NAME - LONGEST_SUFFIX} bytes, because the log beside it has a longer name`;
  throw new ValidationError({ field: 'database', received: `a name of ${bytes} bytes`, accepted });
}

function refuseSpecialNames(database: string): void {
  refuseLongName(database);
  const isSpecial = database === '' || database.startsWith(':') || database.startsWith('file:');
  // The driver trims names and would open a different file.
  const isTrimmed = database === database.trim();
  if (!isSpecial && isTrimmed && !database.includes('\0') && database.isWellFormed()) return;
  const accepted = 'the path of a file (not a URI, not in memory), without NUL, lone surrogates or spaces around it';
  throw new ValidationError({ field: 'database', received: JSON.stringify(database), accepted });
}

const MAX_LINKS = 40; // as many as Linux follows

/**
 * The real path of a database, whichever name opens it: its log and backups lie beside the real file. For a dangling
 * link it is the path where the file will be created.
 */
export async function realDatabase(path: string): Promise<string> {
  let place = path;
  for (let links = 0; links < MAX_LINKS; links += 1) {
    const real = await realpath(place).catch(() => undefined);
    if (real !== undefined) return real;
    const folder = await realpath(dirname(place)).catch(() => dirname(place));
    place = join(folder, basename(place));
    const target = await readlink(place).catch(() => undefined);
    if (target === undefined) return place;
    place = resolve(folder, target);
  }
  return path;
}

async function refuseNetwork(path: string, fileSystemOf: FileSystemOf | undefined): Promise<void> {
  const name = await sharedFileSystem(path, fileSystemOf);
  if (name === undefined) return;
  throw new DatabaseError('CATALOG_IO', `${path} is on a network file system (${name}), whose locks are not reliable`, {
    hint: 'Move the database to a local disk, or set allowRollbackJournal if only one machine ever opens it.',
  });
}

/**
 * A log without its database holds acknowledged changes, and SQLite deletes it when it creates a new file. Check the
 * log before the file: a process that creates a database now creates the file before the log.
 */
async function refuseLeftLog(path: string, create: boolean): Promise<void> {
  const [wal = 0, journal = 0] = await Promise.all([sizeOf(`${path}-wal`), sizeOf(`${path}-journal`)]);
  if (wal + journal === 0) return;
  const size = await sizeOf(path);
  const hint =
    'Put the database back beside it. If the database is lost, move the log away, because creating a new file deletes it.';
  if (size === undefined && create) {
    const log = `${path}-${wal > 0 ? 'wal' : 'journal'}`;
    throw new DatabaseError('CATALOG_CONFLICT', `${log} holds changes of a missing database`, { hint });
  }
  if (size === 0 && wal > 0)
    throw new DatabaseError('CATALOG_CORRUPT', `${path} is empty, but its log is not`, { hint });
}

async function createPrivate(path: string): Promise<boolean> {
  try {
    return await createPrivateFile(path);
  } catch (error) {
    throw new DatabaseError('CATALOG_IO', `${path} cannot be created`, {
      cause: error,
      hint: hintOfCause(error) ?? 'Check that the folder exists and that you may write to it.',
    });
  }
}

async function assertRegularFile(path: string, { readOnly }: FileRules): Promise<void> {
  let isFile: boolean;
  try {
    isFile = (await stat(path)).isFile();
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw new DatabaseError('CATALOG_IO', `${path} cannot be read`, { cause: error });
    throw new DatabaseError('CATALOG_NOT_FOUND', `${path} does not exist`, {
      cause: error,
      hint: readOnly
        ? 'Check the path: with readOnly no file is created.'
        : 'Check the path, or open with create: true.',
    });
  }
  if (!isFile)
    throw new ValidationError({ field: 'database', received: JSON.stringify(path), accepted: 'the path of a file' });
}

const UNPLACED = /^SQLITE_(?:CANTOPEN|READONLY|PERM)/;

/** Whether SQLite could not open a file, or could not write to it or its folder. */
export const isUnplaced = (error: unknown): error is DatabaseError =>
  error instanceof DatabaseError && UNPLACED.test(sqliteCode(error.cause));

const may = (path: string, mode: number) =>
  access(path, mode).then(
    () => true,
    () => false,
  );

/** Which permission is missing on a file or its folder, in words; undefined if none is. */
async function forbidden(path: string): Promise<string | undefined> {
  const folder = dirname(path);
  const { R_OK, W_OK, X_OK } = constants;
  if (!(await may(folder, X_OK))) return `the folder ${folder} cannot be entered`;
  if (!(await may(path, R_OK))) return 'the file cannot be read';
  if (!(await may(folder, W_OK))) return `the folder ${folder} cannot be written, and SQLite keeps its log there`;
  return (await may(path, W_OK)) ? undefined : 'the file cannot be written';
}

const PLACE_HINT = 'Check the owner and mode of the file and its folder, and how the disk is mounted.';
const LOG_HINT =
  'Its log holds changes of a killed process: open it once for writing, or copy the file and its log to a writable folder and open the copy.';

/** Size of a database's logs in bytes. */
async function logBytes(path: string): Promise<number> {
  const [wal = 0, journal = 0] = await Promise.all([sizeOf(`${path}-wal`), sizeOf(`${path}-journal`)]);
  return wal + journal;
}

/** SQLite's error that it cannot open or write a file, with the path and the missing permission. */
export async function placed(error: unknown, path: string): Promise<unknown> {
  if (!isUnplaced(error)) return error;
  const why = (await forbidden(path)) ?? error.message;
  return new DatabaseError(error.code, `${path} cannot be opened: ${why}`, {
    cause: error.cause,
    hint: (await logBytes(path)) > 0 ? LOG_HINT : PLACE_HINT,
  });
}

/**
 * The database file itself, before SQLite has it: made with the right mode, and refused where its locks cannot work.
 * The file is never opened here when it exists: closing any descriptor of it would drop the locks of this process
 * (https://sqlite.org/howtocorrupt.html, section 2.2).
 */
import { access, constants, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { hintOfCause } from '../error-hints.ts';
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
 * Makes the file if it may be made, and tells its real path, links resolved, and whether it is new.
 * @throws {ValidationError} for a path that SQLite would not take as a file
 * @throws {DatabaseError} CATALOG_NOT_FOUND when the file is missing and may not be made, CATALOG_IO on a network file
 *   system, for a file with a second name that is to be written, or when it cannot be made, CATALOG_CONFLICT or
 *   CATALOG_CORRUPT when the log of a file is there without it
 */
export async function prepareDatabaseFile(
  database: string,
  rules: FileRules,
  fileSystemOf?: FileSystemOf,
): Promise<{ path: string; created: boolean }> {
  refuseSpecialNames(database);
  const path = await realDatabase(resolve(database));
  refuseSpecialNames(path); // what a link leads to
  if (!rules.allowRollbackJournal) await refuseNetwork(path, fileSystemOf);
  if (!rules.readOnly) await refuseSecondName(path);
  if (!rules.readOnly) await refuseLeftLog(path, rules.create);
  const created = rules.create && !rules.readOnly && (await createPrivate(path));
  if (!created) await assertRegularFile(path, rules);
  return { path, created };
}

const MAX_NAME = 255; // bytes, on nearly every file system
const LONGEST_SUFFIX = '-journal'.length;

/** Refused before the file is made: its log could not be. */
function refuseLongName(path: string): void {
  const bytes = Buffer.byteLength(basename(path));
  if (bytes + LONGEST_SUFFIX <= MAX_NAME) return;
  const accepted = `a name of ${MAX_NAME - LONGEST_SUFFIX} bytes at most, since the log beside it has a longer one`;
  throw new ValidationError({ field: 'database', received: `a name of ${bytes} bytes`, accepted });
}

function refuseSpecialNames(database: string): void {
  refuseLongName(database);
  const isSpecial = database === '' || database.startsWith(':') || database.startsWith('file:');
  // The driver trims names, and would open another file than the one prepared here.
  const isTrimmed = database === database.trim();
  if (!isSpecial && isTrimmed && !database.includes('\0') && database.isWellFormed()) return;
  const accepted = 'the path of a file (not a URI, not in memory), without NUL, lone surrogates or spaces around it';
  throw new ValidationError({ field: 'database', received: JSON.stringify(database), accepted });
}

const MAX_LINKS = 40; // as many as Linux follows

/**
 * Where a database really is, whichever name it is opened by: its log and its backups are beside the file itself. Of a
 * link that leads to no file yet, it is where the file is to be made.
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
  throw new DatabaseError(
    'CATALOG_IO',
    `${path} is on a network file system (${name}), whose locks cannot be trusted`,
    {
      hint: 'Move the database to a local disk, or set allowRollbackJournal if only one machine ever opens it.',
    },
  );
}

/**
 * A log without its database holds changes that were acknowledged, and SQLite deletes it where it makes a new file.
 * Looked at before the file: whoever makes a database at this moment has the file before the log.
 */
async function refuseLeftLog(path: string, create: boolean): Promise<void> {
  const [wal = 0, journal = 0] = await Promise.all([sizeOf(`${path}-wal`), sizeOf(`${path}-journal`)]);
  if (wal + journal === 0) return;
  const size = await sizeOf(path);
  const hint =
    'Put the database back beside it; if it is gone for good, move the log away: a new file would delete it.';
  if (size === undefined && create) {
    const log = `${path}-${wal > 0 ? 'wal' : 'journal'}`;
    throw new DatabaseError('CATALOG_CONFLICT', `${log} holds changes of a database that is not there`, { hint });
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
      hint: hintOfCause(error) ?? 'Check that the folder exists and may be written.',
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
      hint: readOnly ? 'Check the path: with readOnly no file is made.' : 'Check the path, or open with create: true.',
    });
  }
  if (!isFile)
    throw new ValidationError({ field: 'database', received: JSON.stringify(path), accepted: 'the path of a file' });
}

const UNPLACED = /^SQLITE_(?:CANTOPEN|READONLY|PERM)/;

/** Whether SQLite could not open a file, or write it or its folder. */
export const isUnplaced = (error: unknown): error is DatabaseError =>
  error instanceof DatabaseError && UNPLACED.test(sqliteCode(error.cause));

const may = (path: string, mode: number) =>
  access(path, mode).then(
    () => true,
    () => false,
  );

/** What is not allowed of a file and its folder, in words; undefined where all of it is. */
async function forbidden(path: string): Promise<string | undefined> {
  const folder = dirname(path);
  const { R_OK, W_OK, X_OK } = constants;
  if (!(await may(folder, X_OK))) return `the folder ${folder} cannot be entered`;
  if (!(await may(path, R_OK))) return 'the file cannot be read';
  if (!(await may(folder, W_OK))) return `the folder ${folder} cannot be written, and SQLite keeps its log there`;
  return (await may(path, W_OK)) ? undefined : 'the file cannot be written';
}

const PLACE_HINT = 'Check the owner and the mode of the file and its folder, and how the disk is mounted.';
const LOG_HINT =
  'Its log holds changes of a process that was killed: open it once to be written, or copy the file and its log into a folder that can be written, and open the copy.';

/** Bytes that a database's logs hold. */
async function logBytes(path: string): Promise<number> {
  const [wal = 0, journal = 0] = await Promise.all([sizeOf(`${path}-wal`), sizeOf(`${path}-journal`)]);
  return wal + journal;
}

/** An error of SQLite's that it cannot open or write a file, with the file's path and what is not allowed of it. */
export async function placed(error: unknown, path: string): Promise<unknown> {
  if (!isUnplaced(error)) return error;
  const why = (await forbidden(path)) ?? error.message;
  return new DatabaseError(error.code, `${path} cannot be opened: ${why}`, {
    cause: error.cause,
    hint: (await logBytes(path)) > 0 ? LOG_HINT : PLACE_HINT,
  });
}

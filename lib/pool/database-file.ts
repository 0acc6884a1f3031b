/**
 * The database file itself, before SQLite has it: made with the right mode, and refused where its locks cannot work.
 * The file is never opened here when it exists: closing any descriptor of it would drop the locks of this process
 * (https://sqlite.org/howtocorrupt.html, section 2.2).
 */
import { open, stat, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { DatabaseError, ValidationError } from '../errors.ts';

/** statfs(2) magic numbers of file systems whose locks do not hold across machines. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
]);

export interface FileRules {
  readonly create: boolean;
  readonly readOnly: boolean;
  readonly allowRollbackJournal: boolean;
}

/**
 * Makes the file if it may be made, and tells its absolute path and whether it is new.
 * @throws {ValidationError} for a path that SQLite would not take as a file
 * @throws {DatabaseError} CATALOG_NOT_FOUND when the file is missing and may not be made, CATALOG_IO on a network file
 *   system or when it cannot be made
 */
export async function prepareDatabaseFile(
  database: string,
  rules: FileRules,
  fileSystemOf: FileSystemOf = typeOfFileSystem,
): Promise<{ path: string; created: boolean }> {
  refuseSpecialNames(database);
  const path = resolve(database);
  if (!rules.allowRollbackJournal) await refuseNetwork(path, fileSystemOf);
  const created = rules.create && !rules.readOnly && (await createPrivate(path));
  if (!created) await assertRegularFile(path);
  return { path, created };
}

function refuseSpecialNames(database: string): void {
  const isSpecial = database === '' || database.startsWith(':') || database.startsWith('file:');
  // The driver trims names, and would open another file than the one prepared here.
  const isTrimmed = database === database.trim();
  if (!isSpecial && isTrimmed && !database.includes('\0')) return;
  const accepted = 'the path of a file (not a URI, not in memory), without NUL or spaces around it';
  throw new ValidationError({ field: 'database', received: JSON.stringify(database), accepted });
}

/** The statfs(2) type of the file system that holds a path. @throws when there is no such path */
type FileSystemOf = (path: string) => Promise<number>;

const typeOfFileSystem: FileSystemOf = async (path) => (await statfs(path)).type;

async function refuseNetwork(path: string, fileSystemOf: FileSystemOf): Promise<void> {
  // The file itself where it exists, because a link may lead to another file system than its folder's.
  const type = await fileSystemOf(path)
    .catch(() => fileSystemOf(dirname(path)))
    .catch(() => 0);
  const name = NETWORK_FILE_SYSTEMS.get(type >>> 0);
  if (name === undefined) return;
  throw new DatabaseError(
    'CATALOG_IO',
    `${path} is on a network file system (${name}), whose locks cannot be trusted`,
    {
      hint: 'Move the database to a local disk, or set allowRollbackJournal if only one machine ever opens it.',
    },
  );
}

async function createPrivate(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', 0o600)).close();
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw new DatabaseError('CATALOG_IO', `${path} cannot be created`, {
      cause: error,
      hint: 'Check that the folder exists and may be written.',
    });
  }
}

async function assertRegularFile(path: string): Promise<void> {
  let isFile: boolean;
  try {
    isFile = (await stat(path)).isFile();
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw new DatabaseError('CATALOG_IO', `${path} cannot be read`, { cause: error });
    throw new DatabaseError('CATALOG_NOT_FOUND', `${path} does not exist`, {
      cause: error,
      hint: 'Check the path, or open with create: true.',
    });
  }
  if (!isFile) throw new ValidationError({ field: 'database', received: path, accepted: 'a regular file' });
}

const hasCode = (error: unknown, code: string) => error instanceof Error && 'code' in error && error.code === code;

/**
 * Checks the path of a backup before opening anything: a link must not lead out of its folder, and a file that is open
 * here as a database is only read through SQLite.
 */

import { randomBytes } from 'node:crypto';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import { DatabaseError, NotFoundError, ValidationError } from '../errors.ts';
import { isOpenHere } from '../runtime/open-files.ts';
import { hasCode } from '../runtime/thrown.ts';
import { checkText, refuse } from '../validation.ts';
import { timeName } from '../values/dates.ts';
import { MAX_PATH } from '../values/file-input.ts';

const isInside = (path: string, folder: string) => {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`);
};

/** Like {@link isInside}, but without the folder itself. */
const isBelow = (path: string, folder: string) => path !== folder && isInside(path, folder);

function refuseLink(field: string, path: string): never {
  throw new ValidationError({
    field,
    received: `a link out of its folder: ${path}`,
    accepted: 'a path without such a link',
  });
}

/** Makes a path absolute. @throws {ValidationError} if the driver would open another file */
function checkPath(value: unknown, field: string): string {
  const path = checkText(value, field, { max: MAX_PATH });
  // The driver trims names.
  return path === path.trim() ? resolve(path) : refuse(field, value, 'a path without spaces around it');
}

/**
 * The real path of a backup to read.
 * @throws {ValidationError} for a path with NUL, a link out of its folder, or a database that is open here
 * @throws {NotFoundError} if there is no such file
 */
export async function checkSource(value: unknown, field: string, backupDir: string): Promise<string> {
  const path = checkPath(value, field);
  let real: string;
  try {
    real = await realpath(path);
    const folder = await realpath(dirname(path));
    if (!isInside(real, folder)) refuseLink(field, path);
    await assertStays(path, folder, field, backupDir);
    if (!(await stat(real)).isFile()) refuse(field, value, 'a regular file');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) {
      const hint = 'Check the path; list the backups that exist (`backups.list`, CLI: `backups`).';
      throw new NotFoundError(`the backup ${path}`, { cause: error, hint });
    }
    if (error instanceof DatabaseError) throw error;
    throw new DatabaseError('CATALOG_IO', `${path} cannot be read`, { cause: error });
  }
  if (await isOpenHere(real)) refuse(field, value, 'a backup, not an open database');
  return real;
}

/** A folder inside the folder of backups must not be a link that leads elsewhere. */
async function assertStays(path: string, folder: string, field: string, backupDir: string): Promise<void> {
  if (!isBelow(path, backupDir)) return;
  const home = await realpath(backupDir).catch(() => backupDir);
  if (!isInside(folder, home)) refuseLink(field, path);
}

/** The real path of the nearest existing parent folder. */
async function realAncestor(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch (error) {
    if (!hasCode(error, 'ENOENT') || dirname(folder) === folder) throw error;
    return join(await realAncestor(dirname(folder)), basename(folder));
  }
}

// SQLite would use files with these names as the log or lock file of a database beside them.
const OF_A_DATABASE = /-(?:wal|shm|journal|mj[0-9a-f]+)$/i;
const OF_A_BACKUP = /\.(?:manifest\.json|partial)$/i;

/** @throws {ValidationError} for a name reserved for another kind of file: a log, a manifest, an unfinished backup */
export function refuseTakenName(path: string, field: string): void {
  const accepted = 'a name that does not end in -wal, -shm, -journal, .manifest.json or .partial';
  if (OF_A_DATABASE.test(path) || OF_A_BACKUP.test(path)) refuse(field, path, accepted);
}

const COMPRESSED = '.zst';

function checkExtension(path: string, field: string, compress: boolean): void {
  if (compress && !path.endsWith(COMPRESSED)) refuse(field, path, `a name that ends in ${COMPRESSED}, with compress`);
  if (!compress && path.toLowerCase().endsWith(COMPRESSED)) {
    refuse(field, path, `a name that does not end in ${COMPRESSED}, or compress`);
  }
}

/** Creates only the folder of backups itself: any other missing folder is probably a misspelling. */
async function assertFolder(folder: string, field: string, backupDir: string): Promise<void> {
  const found = await stat(folder).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (found !== undefined && !found.isDirectory()) refuse(field, folder, 'a path in a folder');
  if (found !== undefined || folder === backupDir) return;
  throw new NotFoundError(`the folder ${folder}`, { hint: 'Create it first, or check the path; nothing was created.' });
}

/** The folder of backups and its database. */
export interface TargetRules {
  readonly database: string;
  readonly backupDir: string;
  readonly compress: boolean;
}

/**
 * The path of a new backup.
 * @throws {ValidationError} for a path with NUL, a path that leaves the folder of backups by a link, a name that
 *   belongs to a database or another backup, and an extension that does not fit `compress`
 * @throws {NotFoundError} if the folder does not exist; only the folder of backups is created
 */
export async function checkTarget(
  value: unknown,
  field: string,
  { database, backupDir, compress }: TargetRules,
): Promise<string> {
  const path = checkPath(value, field);
  refuseTakenName(path, field);
  checkExtension(path, field, compress);
  try {
    const [folder, home] = [await realAncestor(dirname(path)), await realAncestor(backupDir)];
    if (isBelow(path, backupDir) && !isInside(folder, home)) refuseLink(field, path);
    const real = await realpath(database).catch(() => database);
    if ([database, real].includes(join(folder, basename(path)))) refuse(field, path, 'a file other than the catalogue');
    await assertFolder(dirname(path), field, backupDir);
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    throw new DatabaseError('CATALOG_IO', `${path} cannot be written`, { cause: error });
  }
  return path;
}

/** A name for temporary work, unique in this process even within a millisecond. */
export const workName = (what: string): string => `${what}-${timeName()}-${randomBytes(4).toString('hex')}`;

let lastInstant = 0;

/** The current time, or the next millisecond that names no other backup of this process. */
function ownInstant(): Date {
  lastInstant = Math.max(Date.now(), lastInstant + 1);
  return new Date(lastInstant);
}

/** `catalogue-20251120T101500123Z.db` in the folder of backups: sorts by time among those of one database. */
export function backupPath(database: string, backupDir: string, what: string, compress = false): string {
  const extension = extname(database);
  const middle = what === '' ? '' : `-${what}`;
  const name = `${basename(database, extension)}${middle}-${timeName(ownInstant())}${extension || '.db'}`;
  return join(backupDir, compress ? `${name}${COMPRESSED}` : name);
}

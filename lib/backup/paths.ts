/**
 * Where backups may be and which file is meant: a path is checked before anything is opened by it, and a link may not
 * lead out of the folder it stands in. No file that is open as a database here is ever read past SQLite.
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

/** As {@link isInside}, the folder itself apart. */
const isBelow = (path: string, folder: string) => path !== folder && isInside(path, folder);

function refuseLink(field: string, path: string): never {
  throw new ValidationError({
    field,
    received: `a link out of its folder: ${path}`,
    accepted: 'a path without such a link',
  });
}

/** The absolute form of a path. @throws {ValidationError} for one that opens another file than it says */
function checkPath(value: unknown, field: string): string {
  const path = checkText(value, field, { max: MAX_PATH });
  // The driver trims names.
  return path === path.trim() ? resolve(path) : refuse(field, value, 'a path without spaces around it');
}

/**
 * The real path of a backup that is to be read.
 * @throws {ValidationError} for a path with NUL, a link out of its folder, or a database that is open here
 * @throws {NotFoundError} when there is no such file
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
  if (await isOpenHere(real)) refuse(field, value, 'a backup, not a database that is open');
  return real;
}

/** A folder inside the folder of backups may not be a link that leads elsewhere. */
async function assertStays(path: string, folder: string, field: string, backupDir: string): Promise<void> {
  if (!isBelow(path, backupDir)) return;
  const home = await realpath(backupDir).catch(() => backupDir);
  if (!isInside(folder, home)) refuseLink(field, path);
}

/** The nearest folder above that exists, as it really is. */
async function realAncestor(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch (error) {
    if (!hasCode(error, 'ENOENT') || dirname(folder) === folder) throw error;
    return join(await realAncestor(dirname(folder)), basename(folder));
  }
}

// SQLite keeps such files beside a database of the name before, and plays them into it or takes them for its locks.
const OF_A_DATABASE = /-(?:wal|shm|journal|mj[0-9a-f]+)$/i;
const OF_A_BACKUP = /\.(?:manifest\.json|partial)$/i;

/** @throws {ValidationError} for a name that belongs to another file: a log, a manifest, an unfinished backup */
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

/** Only the folder of backups itself is made: a folder that is missing elsewhere was misspelt. */
async function assertFolder(folder: string, field: string, backupDir: string): Promise<void> {
  const found = await stat(folder).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (found !== undefined && !found.isDirectory()) refuse(field, folder, 'a path in a folder');
  if (found !== undefined || folder === backupDir) return;
  throw new NotFoundError(`the folder ${folder}`, { hint: 'Make it first, or check the path; nothing was made.' });
}

/** Where a backup may be written, and which database it is of. */
export interface TargetRules {
  readonly database: string;
  readonly backupDir: string;
  readonly compress: boolean;
}

/**
 * Where a backup is to be written.
 * @throws {ValidationError} for a path with NUL, one that leaves the folder of backups by a link, a name that belongs to a
 *   database or to another backup, and one whose extension does not say whether it is compressed
 * @throws {NotFoundError} when the folder does not exist; only the folder of backups is made
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
    if ([database, real].includes(join(folder, basename(path)))) refuse(field, path, 'another file than the catalogue');
    await assertFolder(dirname(path), field, backupDir);
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    throw new DatabaseError('CATALOG_IO', `${path} cannot be written`, { cause: error });
  }
  return path;
}

/** A name for work under way that no other work of this process has, also in the same millisecond. */
export const workName = (what: string): string => `${what}-${timeName()}-${randomBytes(4).toString('hex')}`;

let lastInstant = 0;

/** The present instant, or the next millisecond that no backup of this process is named by. */
function ownInstant(): Date {
  lastInstant = Math.max(Date.now(), lastInstant + 1);
  return new Date(lastInstant);
}

/** `catalogue-20251120T101500123Z.db`, in the folder of backups: sorts by time among those of one database. */
export function backupPath(database: string, backupDir: string, what: string, compress = false): string {
  const extension = extname(database);
  const middle = what === '' ? '' : `-${what}`;
  const name = `${basename(database, extension)}${middle}-${timeName(ownInstant())}${extension || '.db'}`;
  return join(backupDir, compress ? `${name}${COMPRESSED}` : name);
}

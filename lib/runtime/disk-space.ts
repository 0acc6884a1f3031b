/** Checks for free disk space before work begins, rather than running out of it halfway. */
import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { DatabaseError } from '../errors.ts';
import { hasCode, resultCodeOf, SQLITE } from './thrown.ts';

/** Bytes that this user can still write to the file system of a folder. */
export type FreeBytes = (folder: string) => Promise<number>;

/** Asks the folder itself. @throws when it does not exist */
export const freeBytesOf: FreeBytes = async (folder) => {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
};

/** Asks the nearest existing folder above. */
export const freeBytes: FreeBytes = async (folder) => {
  const path = resolve(folder);
  try {
    return await freeBytesOf(path);
  } catch (error) {
    if (dirname(path) === path) throw error;
    return freeBytes(dirname(path));
  }
};

/**
 * Checks that this many bytes fit.
 * @throws {DatabaseError} CATALOG_FULL if they do not; nothing was written
 */
export async function assertRoom(folder: string, needed: number, what: string, free: FreeBytes): Promise<void> {
  const available = await free(folder);
  if (available >= needed) return;
  const bytes = `${Math.ceil(needed)} bytes`;
  throw new DatabaseError('CATALOG_FULL', `${what} needs ${bytes} in ${folder}, and ${available} are free`, {
    hint: 'Free some disk space, or move the folder to a larger disk; nothing was changed.',
  });
}

/** Whether the system or SQLite reports a full disk or an exhausted disk quota. */
export const saysFull = (thrown: unknown): boolean =>
  hasCode(thrown, 'ENOSPC', 'EDQUOT', 'EFBIG', 'SQLITE_FULL') || resultCodeOf(thrown) === SQLITE.FULL;

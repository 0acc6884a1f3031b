/** The room on a disk, asked for before anything is begun: a full disk half-way helps nobody. */
import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { DatabaseError } from '../errors.ts';
import { hasCode, resultCodeOf, SQLITE } from './thrown.ts';

/** Bytes that a process of this user may still write to the file system of a folder. */
export type FreeBytes = (folder: string) => Promise<number>;

/** Asks the folder itself. @throws when it does not exist */
export const freeBytesOf: FreeBytes = async (folder) => {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
};

/** Asks the nearest folder above that exists. */
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
 * Makes sure that so many bytes fit.
 * @throws {DatabaseError} CATALOG_FULL when they do not; nothing was written
 */
export async function assertRoom(folder: string, needed: number, what: string, free: FreeBytes): Promise<void> {
  const available = await free(folder);
  if (available >= needed) return;
  const bytes = `${Math.ceil(needed)} bytes`;
  throw new DatabaseError('CATALOG_FULL', `${what} needs ${bytes} in ${folder}, and ${available} are free`, {
    hint: 'Free some disk space, or move the folder to a larger disk; nothing was changed.',
  });
}

/** Whether the system or SQLite says that a disk, or what its user may have of it, is full. */
export const saysFull = (thrown: unknown): boolean =>
  hasCode(thrown, 'ENOSPC', 'EDQUOT', 'EFBIG', 'SQLITE_FULL') || resultCodeOf(thrown) === SQLITE.FULL;

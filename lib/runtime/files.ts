/**
 * Helpers for files and folders. Nothing here opens a file that may be a database in use, because that would drop its
 * locks.
 */
import { constants } from 'node:fs';
import { lstat, open, stat } from 'node:fs/promises';
import { hasCode } from './thrown.ts';

/** Size of a file in bytes; undefined if it cannot be seen. */
export const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );

/** Whether the name exists, even as a dangling link. @throws any other error of the file system */
export const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error: unknown) => {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
      throw error;
    },
  );

/** Flushes a folder's entries to the disk. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // Windows cannot open folders, and a rename is durable there
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

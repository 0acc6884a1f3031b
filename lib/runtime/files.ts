/** Files and folders by their names. Nothing here opens a file that may be a database in use: that would drop its locks. */
import { constants } from 'node:fs';
import { lstat, open, stat } from 'node:fs/promises';
import { hasCode } from './thrown.ts';

/** Bytes of a file; undefined where none can be seen. */
export const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );

/** Whether something of this name exists; a link that leads nowhere does. @throws what else the file system says */
export const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error: unknown) => {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
      throw error;
    },
  );

/** Puts the names of a folder on the disk. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // folders cannot be opened there, and a rename is durable by itself
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * The databases that are open in this process. Reading such a file without SQLite drops SQLite's locks on it
 * (https://sqlite.org/howtocorrupt.html, section 2.2), so code that reads a file asks here first.
 */
import { stat } from 'node:fs/promises';

/** How many times each file is open, by device and inode. */
const openFiles = new Map<string, number>();

// stat opens no descriptor, so the locks of this process stay.
const inodeOf = async (path: string): Promise<string> => {
  const { dev, ino } = await stat(path, { bigint: true });
  return `${dev}:${ino}`;
};

/** Records that a database is open here; returns a function that removes the record. */
export async function rememberOpen(database: string): Promise<() => void> {
  const inode = await inodeOf(database);
  openFiles.set(inode, (openFiles.get(inode) ?? 0) + 1);
  let isOpen = true;
  return () => {
    if (!isOpen) return;
    isOpen = false;
    const left = (openFiles.get(inode) ?? 1) - 1;
    if (left === 0) openFiles.delete(inode);
    else openFiles.set(inode, left);
  };
}

/** Whether a file is a database that is open in this process. @throws when there is no such file */
export async function isOpenHere(path: string): Promise<boolean> {
  return openFiles.has(await inodeOf(path));
}

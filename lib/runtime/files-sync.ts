/** The same, synchronous, for threads and processes that do nothing else meanwhile. */
import { closeSync, fsyncSync, openSync, statSync } from 'node:fs';

/** Size of a file in bytes; undefined if there is none. stat opens no descriptor, so the locks of this process stay. */
export const sizeOfSync = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.size;

/** Flushes a file to the disk; it must not be open as a database in this process. */
export function syncFileSync(path: string): void {
  const descriptor = openSync(path, 'r+');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

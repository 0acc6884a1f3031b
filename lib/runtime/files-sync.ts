/** The same for threads and processes that have nothing else to do meanwhile. */
import { closeSync, fsyncSync, openSync, statSync } from 'node:fs';

/** Bytes of a file; undefined where there is none. stat opens no descriptor, so it leaves the locks of this process alone. */
export const sizeOfSync = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.size;

/** Puts the content of a file on the disk; it must not be open as a database in this process. */
export function syncFileSync(path: string): void {
  const descriptor = openSync(path, 'r+');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Whether a database is closed: nobody has it open for writing, and no log holds changes that the file lacks. Asks the file
 * system only, so the main thread can ask without loading the SQLite driver.
 */
import { accessSync, constants, statSync } from 'node:fs';

// stat opens no descriptor, so the locks of this process stay.
const statOf = (path: string) => statSync(path, { bigint: true, throwIfNoEntry: false });

const isEmpty = (path: string) => (statOf(path)?.size ?? 0n) === 0n;

/** The state of a closed file, which differs after every write; undefined while somebody writes, or where it cannot be read. */
export function stateOfClosed(path: string): string | undefined {
  try {
    const stats = statOf(path);
    if (stats === undefined || !isEmpty(`${path}-wal`) || !isEmpty(`${path}-journal`)) return undefined;
    const { dev, ino, size, mtimeNs } = stats;
    return [dev, ino, size, mtimeNs].join(' ');
  } catch {
    return undefined;
  }
}

/** Whether every writer has closed a database, so that no log holds changes that the file lacks. */
export const isClosed = (path: string): boolean => stateOfClosed(path) !== undefined;

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether reading a closed file would leave a log beside it that the reader cannot remove and the owner of the file may
 * not be able to write.
 */
export const wouldLeaveLog = (path: string): boolean =>
  isClosed(path) && statOf(`${path}-shm`) === undefined && !mayWrite(path);

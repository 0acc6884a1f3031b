/**
 * Finds out whether a database is closed: nobody has it open for writing, and no log holds changes that the file lacks.
 * It asks only the file system, so the main thread need not load the SQLite driver.
 */
import { accessSync, constants, statSync } from 'node:fs';

// stat opens no descriptor, so this process keeps its locks.
const statOf = (path: string) => statSync(path, { bigint: true, throwIfNoEntry: false });

const isEmpty = (path: string) => (statOf(path)?.size ?? 0n) === 0n;

/** The state of a closed file, which changes with every write; undefined if it is unreadable or somebody writes it. */
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
 * Whether reading a closed file would leave a log beside it that the reader cannot remove and that the owner of the
 * file may be unable to write.
 */
export const wouldLeaveLog = (path: string): boolean =>
  isClosed(path) && statOf(`${path}-shm`) === undefined && !mayWrite(path);

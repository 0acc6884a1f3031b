/**
 * Removes the empty write-ahead log that a read-only connection leaves: SQLite creates one, and only a writer removes
 * it.
 */

import Database from 'better-sqlite3';
import { sizeOfSync } from '../runtime/files-sync.ts';

/**
 * Makes SQLite remove the empty log of a database. Does nothing while another process has the database open, or if it
 * cannot be written.
 */
export function removeEmptyLog(path: string): void {
  try {
    if (sizeOfSync(`${path}-wal`) !== 0) return;
    const database = new Database(path, { fileMustExist: true, timeout: 0 });
    try {
      database.pragma('schema_version'); // the first statement opens the log, and closing removes it
    } finally {
      database.close();
    }
  } catch {
    // An empty log is harmless.
  }
}

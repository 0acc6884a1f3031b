/** The write-ahead log that a connection leaves which may only read: SQLite makes one, and has it removed by who may write. */

import Database from 'better-sqlite3';
import { sizeOfSync } from '../runtime/files-sync.ts';

/**
 * Has SQLite remove the empty log of a database. Nothing happens while somebody else has the database open, or where it
 * cannot be written.
 */
export function removeEmptyLog(path: string): void {
  try {
    if (sizeOfSync(`${path}-wal`) !== 0) return;
    const database = new Database(path, { fileMustExist: true, timeout: 0 });
    try {
      database.pragma('schema_version'); // the log is opened by the first statement, and removed when it was open
    } finally {
      database.close();
    }
  } catch {
    // An empty log does no harm.
  }
}

/**
 * Holds a database exclusively, on a separate thread, until the owner of the thread releases it: nobody else has it
 * open, and whoever opens it waits.
 */
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { DatabaseError, toWireError } from '../../errors.ts';
import { contentMark } from '../marks.ts';
import type { ExclusiveMessage, ExclusiveOrder } from './exclusive.ts';

const { path, waitMs, gate } = workerData as ExclusiveOrder;
const send = (message: ExclusiveMessage) => parentPort?.postMessage(message);

function hold(): void {
  const database = new Database(path, { fileMustExist: true, timeout: waitMs });
  try {
    database.pragma('trusted_schema = OFF');
    // Without a log the file is complete under any name. SQLite refuses to remove the log while others have the file
    // open.
    database.pragma('journal_mode = DELETE');
    database.exec('BEGIN EXCLUSIVE');
    // Another process may have started a new log between the two statements.
    if (database.pragma('journal_mode', { simple: true }) !== 'delete') {
      throw new DatabaseError('CATALOG_BUSY', `${path} is open elsewhere`);
    }
    send({ kind: 'held', found: contentMark((query) => database.prepare(query).pluck().get() ?? null) });
    Atomics.wait(new Int32Array(gate), 0, 0);
    database.exec('ROLLBACK');
  } finally {
    database.close();
  }
}

try {
  hold();
} catch (error) {
  send({ kind: 'failed', error: toWireError(error) });
}

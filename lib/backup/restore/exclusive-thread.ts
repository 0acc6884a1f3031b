/**
 * Keeps a database from everybody else, on a thread of its own, until its owner says that it may let go: nobody else has
 * it open then, and whoever opens it waits.
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
    // Without a log the file is complete under any name. Whoever else has it open keeps it from being given up.
    database.pragma('journal_mode = DELETE');
    database.exec('BEGIN EXCLUSIVE');
    // Somebody may have come between the two, and have begun a log again.
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

/**
 * Copies a database on a separate thread, through SQLite and a read-only connection. The copy and the reported counts
 * show the state at one instant. Another process verifies the copy.
 */
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { toWireError } from '../errors.ts';
import type { CatalogCounts } from './manifest.ts';
import type { SnapshotMessage, SnapshotOrder } from './snapshot.ts';

const PAGES_A_STEP = 4_000; // 16 MB between two checks of the signal

const { source, target, stop } = workerData as SnapshotOrder;
const stopped = new Int32Array(stop);
const send = (message: SnapshotMessage) => parentPort?.postMessage(message);

function rowsOf(database: Database.Database, table: string): number {
  const type = database.prepare("SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = ?").pluck();
  return type.get(table) === 'table' ? Number(database.prepare(`SELECT count(*) FROM ${table}`).pluck().get()) : 0;
}

const countsOf = (database: Database.Database): CatalogCounts => ({
  clients: rowsOf(database, 'clients'),
  files: rowsOf(database, 'files'),
  versions: rowsOf(database, 'file_versions'),
});

/** Copies inside one read transaction; otherwise each commit of others would restart the copy. */
async function copy(): Promise<SnapshotMessage> {
  const database = new Database(source, { readonly: true, fileMustExist: true });
  try {
    database.pragma('trusted_schema = OFF');
    const pageSize = Number(database.pragma('page_size', { simple: true }));
    database.exec('BEGIN');
    const counts = countsOf(database);
    const takenAt = new Date().toISOString();
    await database.backup(target, {
      progress: ({ totalPages, remainingPages }) => {
        if (Atomics.load(stopped, 0) !== 0) throw new Error('the copy was stopped');
        send({ kind: 'progress', done: (totalPages - remainingPages) * pageSize, total: totalPages * pageSize });
        return PAGES_A_STEP;
      },
    });
    return { kind: 'done', counts, takenAt };
  } finally {
    database.close();
  }
}

send(await copy().catch((error: unknown): SnapshotMessage => ({ kind: 'failed', error: toWireError(error) })));

/**
 * Copies a database on a thread of its own, through SQLite and on a connection that only reads, and proves the copy:
 * every page and index is checked, and every table that counts has the rows the source had at that moment.
 */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fsyncSync, openSync, statSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { DatabaseError, toWireError } from '../errors.ts';
import type { SnapshotCounts, SnapshotMessage, SnapshotOrder } from './snapshot.ts';

const PAGES_A_STEP = 4_000; // 16 MB between two reports of progress
const MAX_PROBLEMS = 10;

const { source, target } = workerData as SnapshotOrder;
const send = (message: SnapshotMessage) => parentPort?.postMessage(message);

const hasTable = (database: Database.Database, table: string) =>
  database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(table) !== undefined;

function rowsOf(database: Database.Database, table: string): number {
  if (!hasTable(database, table)) return 0;
  return Number(database.prepare(`SELECT count(*) FROM ${table}`).pluck().get());
}

const countsOf = (database: Database.Database): SnapshotCounts => ({
  clients: rowsOf(database, 'clients'),
  files: rowsOf(database, 'files'),
  versions: rowsOf(database, 'file_versions'),
});

const versionOf = (database: Database.Database): number | null => {
  if (!hasTable(database, 'catalog_migrations')) return null;
  const found = database.prepare('SELECT max(version) FROM catalog_migrations').pluck().get();
  return typeof found === 'number' ? found : null;
};

/** Copies inside one read transaction: otherwise each commit of others would make the copy begin anew. */
async function copy(): Promise<SnapshotCounts> {
  const database = new Database(source, { readonly: true, fileMustExist: true });
  try {
    database.pragma('trusted_schema = OFF');
    database.exec('BEGIN');
    const counts = countsOf(database);
    await database.backup(target, {
      progress: ({ totalPages, remainingPages }) => {
        send({ kind: 'progress', done: totalPages - remainingPages, total: totalPages });
        return PAGES_A_STEP;
      },
    });
    return counts;
  } finally {
    database.close();
  }
}

const invalid = (message: string) =>
  new DatabaseError('CATALOG_CORRUPT', message, {
    hint: 'The database itself is damaged: keep it as it is, and restore the newest verified backup.',
  });

function verify(expected: SnapshotCounts): number | null {
  const database = new Database(target, { fileMustExist: true });
  try {
    database.pragma('trusted_schema = OFF');
    database.pragma('journal_mode = DELETE'); // a copy in WAL mode would leave a log beside it whenever it is read
    const found = database.prepare(`PRAGMA integrity_check(${MAX_PROBLEMS})`).pluck().all();
    if (found.length !== 1 || found[0] !== 'ok') throw invalid(`the copy does not verify: ${found.join('; ')}`);
    const counts = countsOf(database);
    if (JSON.stringify(counts) !== JSON.stringify(expected)) throw invalid('the copy lacks rows of the database');
    return versionOf(database);
  } finally {
    database.close();
  }
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r+');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

try {
  const counts = await copy();
  const schemaVersion = verify(counts);
  sync(target);
  send({
    kind: 'done',
    snapshot: { counts, schemaVersion, bytes: statSync(target).size, sha256: await hashOf(target) },
  });
} catch (error) {
  send({ kind: 'failed', error: toWireError(error) });
}

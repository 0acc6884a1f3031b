/**
 * The process that inspects a file which is not evidently a catalogue of this library. It is a separate process because
 * a hostile or damaged file can keep SQLite busy for ever, and because only here may the file be read without SQLite.
 * It changes nothing, leaves nothing beside the file, and prints its verdict as JSON.
 */

import { closeSync, copyFileSync, existsSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { DatabaseError, toWireError } from '../errors.ts';
import { sizeOfSync } from '../runtime/files-sync.ts';
import { resultCodeOf, SQLITE } from '../runtime/thrown.ts';
import { baseSchema } from '../schema/base-schema.ts';
import { assertFits, type JournalRow } from '../schema/journal-check.ts';
import {
  assertOwnNames,
  assertStoredColumns,
  type ComputedColumn,
  computedColumns,
  SCHEMA_OBJECTS,
  type SchemaObject,
} from '../schema/own-objects.ts';
import { schemaChange } from '../schema/schema-objects.ts';
import { MIB } from '../values/byte-units.ts';
import type { FileVerdict, Inspection, InspectionOrder } from './inspection.ts';

const MAGIC = 'SQLite format 3\0';
const WAL_FORMAT = 2; // the file's read version, byte 19 of its header
const HEADER_BYTES = 100;
const TRACE_BYTES = MIB;
const MAX_PROBLEMS = 10;
const TRACES = /catalog_migrations|CREATE TABLE (?:IF NOT EXISTS )?"?(?:clients|files)"?\s*\(/i;

const sizeOf = (path: string) => sizeOfSync(path) ?? 0;

function bytesOf(path: string, length: number): Buffer {
  const descriptor = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, length, 0));
  } finally {
    closeSync(descriptor);
  }
}

const foreign = (message: string, cause?: unknown) => new DatabaseError('CATALOG_FOREIGN_DATABASE', message, { cause });

const damaged = (message: string, cause?: unknown) =>
  new DatabaseError('CATALOG_CORRUPT', message, {
    cause,
    hint: 'Keep the file unchanged and restore the newest verified backup; nothing was changed.',
  });

/** A file that SQLite does not recognise: ours if it has traces of a catalogue, else unknown. */
function assertHeader(path: string): void {
  if (bytesOf(path, HEADER_BYTES).toString('latin1').startsWith(MAGIC)) return;
  if (TRACES.test(bytesOf(path, TRACE_BYTES).toString('latin1'))) throw damaged(`the header of ${path} is damaged`);
  throw foreign(`${path} is not a SQLite database`);
}

/** Opens the file without leaving a trace: directly if a reader leaves none, else without locks or as a copy. */
function withDatabase<Result>(path: string, use: (database: DatabaseSync) => Result): Result {
  const needsRecovery = sizeOf(`${path}-journal`) > 0 || (sizeOf(`${path}-wal`) > 0 && !existsSync(`${path}-shm`));
  if (needsRecovery) return withCopy(path, use);
  const isQuietWal = bytesOf(path, HEADER_BYTES)[19] === WAL_FORMAT && sizeOf(`${path}-wal`) === 0;
  const url = pathToFileURL(path);
  if (isQuietWal) url.search = '?immutable=1';
  return withOpen(url, true, use);
}

function withCopy<Result>(path: string, use: (database: DatabaseSync) => Result): Result {
  const folder = mkdtempSync(join(tmpdir(), 'catalogue-look-'));
  try {
    for (const suffix of ['', '-wal', '-journal']) {
      if (existsSync(`${path}${suffix}`)) copyFileSync(`${path}${suffix}`, join(folder, `copy${suffix}`));
    }
    return withOpen(pathToFileURL(join(folder, 'copy')), false, use);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function withOpen<Result>(url: URL, readOnly: boolean, use: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(url, { readOnly });
  try {
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA busy_timeout = 5000');
    return use(database);
  } finally {
    database.close();
  }
}

interface StoredTable {
  readonly name: string;
  readonly type: string;
  readonly wr: number;
}

// Check types first: querying a view in place of a table may run for ever.
const tablesOf = (database: DatabaseSync) =>
  database
    .prepare("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name NOT GLOB 'sqlite_*'")
    .all() as unknown as StoredTable[];

function columnsOf(database: DatabaseSync, table: string): Set<string> {
  const rows = database.prepare('SELECT lower(name) AS name FROM pragma_table_xinfo(?)').all(table);
  return new Set(rows.map(({ name }) => String(name)));
}

/** The columns of the old server's first tables. */
const FIRST_TABLES = new Map(
  (baseSchema[0]?.up ?? []).flatMap((statement) => {
    const change = schemaChange(statement);
    return change?.does === 'create'
      ? [[change.name, change.columns.map(({ name }) => name.toLowerCase())] as const]
      : [];
  }),
);

/** Whether a table of the name is one of the old server's. */
function isFirstTable(database: DatabaseSync, { name, type, wr }: StoredTable): boolean {
  const columns = columnsOf(database, name);
  return (
    type === 'table' && wr === 0 && (FIRST_TABLES.get(name.toLowerCase()) ?? []).every((column) => columns.has(column))
  );
}

function assertLegacy(database: DatabaseSync, path: string, tables: readonly StoredTable[]): void {
  const first = tables.filter(({ name }) => FIRST_TABLES.has(name.toLowerCase()));
  const other = first.find((table) => !isFirstTable(database, table));
  if (other !== undefined) throw foreign(`${path} has a ${other.type} ${other.name}, which no backup server made`);
  if (first.length === 0) throw foreign(`${path} has tables, but not those of a backup server`);
  const found = database.prepare(`PRAGMA integrity_check(${MAX_PROBLEMS})`).all();
  const problems = found.map((row) => String(Object.values(row)[0])).filter((text) => text !== 'ok');
  if (problems.length > 0) throw damaged(`${path} is damaged: ${problems.join('; ')}`);
}

function readJournal(database: DatabaseSync, tables: readonly StoredTable[]): JournalRow[] {
  const journal = tables.find(({ name }) => name === 'catalog_migrations');
  if (journal?.type !== 'table') return [];
  const rows = database.prepare(`SELECT version, name, checksum, applied_at AS "appliedAt",
    applied_by AS "appliedBy", safe_version AS "safeVersion"
    FROM catalog_migrations ORDER BY version`);
  return rows.all() as unknown as JournalRow[];
}

/** Refuses objects that would run somebody else's SQL when queried. */
function assertNames(database: DatabaseSync, { own, columns }: InspectionOrder): void {
  assertOwnNames(database.prepare(SCHEMA_OBJECTS).all() as unknown as SchemaObject[], own);
  const computed = database.prepare(computedColumns(own)).all() as unknown as ComputedColumn[];
  assertStoredColumns(computed, own, columns);
}

function judge(database: DatabaseSync, order: InspectionOrder): FileVerdict {
  const { path, known } = order;
  assertNames(database, order);
  const tables = tablesOf(database);
  const journal = readJournal(database, tables);
  if (journal.length > 0) {
    assertFits(journal, known);
    return 'ours';
  }
  if (tables.every(({ name }) => name === 'catalog_migrations')) return 'empty';
  assertLegacy(database, path, tables);
  return 'legacy';
}

function explained(error: unknown, path: string): unknown {
  if (error instanceof DatabaseError) return error;
  const code = resultCodeOf(error);
  if (code === SQLITE.CORRUPT || code === SQLITE.NOTADB) return damaged(`${path} is damaged`, error);
  if (code !== undefined) return foreign(`${path} cannot be read as a catalogue`, error);
  return new DatabaseError('CATALOG_IO', `${path} cannot be inspected`, { cause: error });
}

function inspect(order: InspectionOrder): Inspection {
  const { path } = order;
  try {
    if (sizeOf(path) === 0 && sizeOf(`${path}-wal`) === 0) return { verdict: 'empty' };
    assertHeader(path);
    return { verdict: withDatabase(path, (database) => judge(database, order)) };
  } catch (error) {
    return { error: toWireError(explained(error, path)) };
  }
}

process.stdout.write(JSON.stringify(inspect(JSON.parse(process.argv[2] ?? ''))));

/**
 * The process that reads backups: checks, stages and compresses them. It is a separate process because checking a large
 * or hostile file may never end and cannot be interrupted, and because closing a descriptor of a database here does not
 * release the locks of the server's process. Prints its answer as JSON.
 */

import { createHash } from 'node:crypto';
import { createWriteStream, statSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { PassThrough, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import { toWireError } from '../errors.ts';
import { syncFileSync } from '../runtime/files-sync.ts';
import { codeOf, resultCodeOf, SQLITE } from '../runtime/thrown.ts';
import { MIB } from '../values/byte-units.ts';
import type { CheckAnswer, CheckOrder, Findings, ReleaseSchema } from './checker.ts';
import type { CatalogCounts, Manifest } from './manifest.ts';
import { MARKS, recordedSequence, type StageMark } from './marks.ts';
import { NotRegular, openRegular, readFirst } from './regular-file.ts';
import { Bounded, isZstd, Unsound } from './unpacking.ts';

const MAX_PROBLEMS = 10;
const TABLES = { clients: 'clients', files: 'files', versions: 'file_versions' } as const;

/** Opens a file in a folder that others may write to. @throws {Unsound} if it is not a regular file */
async function openContent(path: string): Promise<FileHandle> {
  return openRegular(path).catch((error: unknown) => {
    throw error instanceof NotRegular ? new Unsound(`${path} is not a regular file`) : error;
  });
}

const hashing = (hash: ReturnType<typeof createHash>) =>
  new Transform({
    transform(chunk, _, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });

/**
 * Streams a number of bytes from a file through transforms, and optionally into another file. Returns the checksums of
 * the bytes read and written.
 */
async function stream(file: FileHandle, size: number, to: string | null, through: readonly Transform[]) {
  if (size === 0) throw new Unsound('it is empty');
  const [read, written] = [createHash('sha256'), createHash('sha256')];
  const source = file.createReadStream({ start: 0, end: size - 1, highWaterMark: MIB, autoClose: false });
  const end = to === null ? new PassThrough().resume() : createWriteStream(to, { flags: 'r+' });
  await pipeline([source, hashing(read), ...through, hashing(written), end]);
  return { read: read.digest('hex'), written: written.digest('hex') };
}

interface TableRow {
  readonly name: string;
  readonly type: string;
}

// Check types first: reading the rows of a view that poses as a table may never end.
function typesOf(database: DatabaseSync): Map<string, string> {
  const list = "SELECT lower(name) AS name, type FROM pragma_table_list WHERE schema = 'main'";
  const rows = database.prepare(list).all() as unknown as TableRow[];
  return new Map(rows.map(({ name, type }) => [name, type]));
}

const single = (database: DatabaseSync, query: string): unknown =>
  Object.values(database.prepare(query).get() ?? {})[0] ?? null;

// SQLite creates its internal tables on demand.
const WRITTEN_OBJECTS = `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND sql NOT IN
  ('CREATE TABLE sqlite_sequence(name,seq)', 'CREATE TABLE sqlite_stat1(tbl,idx,stat)',
  'CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)') ORDER BY type, name`;

const rowsOf = (database: DatabaseSync, query: string) => JSON.stringify(database.prepare(query).all());

/** Whether a database has exactly the schema of a release, and therefore no foreign objects. */
function isPlainly(database: DatabaseSync, { statements, checksums }: ReleaseSchema): boolean {
  const model = new DatabaseSync(':memory:');
  try {
    for (const statement of statements) model.exec(statement);
    if (rowsOf(database, WRITTEN_OBJECTS) !== rowsOf(model, WRITTEN_OBJECTS)) return false;
  } finally {
    model.close();
  }
  const journal = rowsOf(database, 'SELECT version, checksum FROM catalog_migrations ORDER BY version');
  return journal === JSON.stringify(checksums.map((checksum, version) => ({ version, checksum })));
}

/** Returns the facts of a database after checking that it is sound. @throws {Unsound} */
function factsOf(database: DatabaseSync, release?: ReleaseSchema): Omit<Findings, 'sha256' | 'bytes'> {
  const types = typesOf(database);
  for (const name of [...Object.values(TABLES), 'catalog_migrations', 'catalog_identity']) {
    const type = types.get(name) ?? 'table';
    if (type !== 'table') throw new Unsound(`${name} is a ${type}, not a table: the file is not a catalogue`);
  }
  // One table is enough: an old server that was killed while it created its file left the other one out.
  if (!types.has('clients') && !types.has('files')) throw new Unsound('the file holds no catalogue');
  const found = database.prepare(`PRAGMA integrity_check(${MAX_PROBLEMS})`).all();
  const problems = found.map((row) => String(Object.values(row)[0])).filter((text) => text !== 'ok');
  if (problems.length > 0) throw new Unsound(`the file is damaged: ${problems.join('; ')}`);
  const rows = (table: string) => (types.has(table) ? Number(single(database, `SELECT count(*) FROM ${table}`)) : 0);
  const versions = types.has('catalog_migrations') ? 'SELECT max(version) FROM catalog_migrations' : 'SELECT NULL';
  const identity = types.has('catalog_identity') ? 'SELECT DatabaseID FROM catalog_identity' : 'SELECT NULL';
  const databaseId = single(database, identity);
  return {
    counts: { clients: rows(TABLES.clients), files: rows(TABLES.files), versions: rows(TABLES.versions) },
    schemaVersion: single(database, versions) as number | null,
    databaseId: typeof databaseId === 'string' ? databaseId : null,
    sequence: recordedSequence((query) => single(database, query)),
    isPlain: release !== undefined && isPlainly(database, release),
  };
}

function withDatabase<Result>(path: string, how: 'read' | 'write', use: (database: DatabaseSync) => Result): Result {
  const url = pathToFileURL(path);
  // As immutable: otherwise even a reader of a file in WAL mode would leave a log beside it.
  if (how === 'read') url.search = '?immutable=1';
  const database = new DatabaseSync(url, { readOnly: how === 'read' });
  try {
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON');
    return use(database);
  } finally {
    database.close();
  }
}

/** Gives our own file the form of a backup: no log, the wanted page size, flushed to disk. */
function settle(path: string, pageSize: number | null): void {
  withDatabase(path, 'write', (database) => {
    database.exec('PRAGMA synchronous = FULL; PRAGMA temp_store = FILE');
    if (single(database, 'PRAGMA journal_mode = DELETE') !== 'delete') throw new Unsound('its log cannot be closed');
    if (pageSize !== null && single(database, 'PRAGMA page_size') !== pageSize) {
      database.exec(`PRAGMA page_size = ${pageSize}; VACUUM`);
    }
  });
  syncFileSync(path);
}

const sameCounts = (a: CatalogCounts, b: CatalogCounts) =>
  a.clients === b.clients && a.files === b.files && a.versions === b.versions;

function compare(found: Omit<Findings, 'sha256' | 'bytes'>, manifest: Manifest): void {
  const { counts, schemaVersion, databaseId } = manifest;
  if (!sameCounts(found.counts, counts)) {
    throw new Unsound(`it holds ${JSON.stringify(found.counts)}, the manifest says ${JSON.stringify(counts)}`);
  }
  if (found.schemaVersion !== schemaVersion) {
    throw new Unsound(`its schema is version ${found.schemaVersion}, the manifest says ${schemaVersion}`);
  }
  if (found.databaseId !== databaseId) throw new Unsound('it belongs to another database than the manifest says');
}

type ReadOrder = Extract<CheckOrder, { kind: 'read' }>;

const START = 18; // the bytes that identify a zstd stream and announce its size

/** Reads the bytes of a backup, and writes them to the stage if there is one. @throws {Unsound} */
async function readBytes({ path, manifest, stage }: ReadOrder): Promise<Pick<Findings, 'bytes' | 'sha256'>> {
  const file = await openContent(path);
  try {
    const { size: bytes } = await file.stat();
    if (manifest !== null && bytes !== manifest.bytes) {
      throw new Unsound(`it has ${bytes} bytes, the manifest says ${manifest.bytes}`);
    }
    const start = Buffer.from(await readFirst(file, START));
    const compressed = manifest?.compressed ?? isZstd(start);
    const unpacking = compressed ? createZstdDecompress() : undefined;
    const through = unpacking === undefined ? [new Bounded(start, bytes)] : [unpacking, new Bounded(start)];
    const { read: sha256 } = await stream(file, bytes, stage, through);
    // Node.js may ignore bytes after the end of a stream.
    if (unpacking !== undefined && unpacking.bytesWritten !== bytes) {
      throw new Unsound(`it is longer than the ${unpacking.bytesWritten} bytes of its stream`);
    }
    if (manifest !== null && sha256 !== manifest.sha256)
      throw new Unsound('its checksum differs from that of the manifest');
    return { bytes, sha256 };
  } finally {
    await file.close();
  }
}

// Logs beside a file that was not made as a backup: its last changes, or the rollback journal of an unfinished
// transaction.
const LOGS = ['-wal', '-journal'] as const;

/** A value that changes when anybody writes the file or its logs. */
const stateOf = (path: string): string =>
  ['', ...LOGS]
    .map((suffix) => statSync(`${path}${suffix}`, { bigint: true, throwIfNoEntry: false }))
    .map((stats) => (stats === undefined ? 'none' : `${stats.ino} ${stats.size} ${stats.mtimeNs}`))
    .join();

/** Copies the present bytes of a log, if there is one. @throws {Unsound} if it is not a regular file */
async function copyLog(path: string, target: string): Promise<void> {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
  const file = await openContent(path);
  try {
    const { size } = await file.stat();
    if (size === 0) return;
    const source = file.createReadStream({ start: 0, end: size - 1, autoClose: false });
    await pipeline(source, createWriteStream(target, { mode: 0o600 }));
  } finally {
    await file.close();
  }
}

/**
 * Reads a file that was not made as a backup, with its logs. @throws {Unsound} if it changes meanwhile, because the
 * parts would not match
 */
async function readWithLogs(order: ReadOrder, stage: string): Promise<Pick<Findings, 'bytes' | 'sha256'>> {
  const { path } = order;
  const before = stateOf(path);
  const read = await readBytes(order);
  for (const log of LOGS) await copyLog(`${path}${log}`, `${stage}${log}`);
  if (stateOf(path) !== before) throw new Unsound('it changed while it was read: make a backup of it instead');
  return read;
}

/** Reads a backup and compares it with its manifest. @throws {Unsound} */
async function read(order: ReadOrder): Promise<Findings> {
  const { path, manifest, stage, release } = order;
  const read = manifest === null && stage !== null ? await readWithLogs(order, stage) : await readBytes(order);
  if (stage !== null) settle(stage, null);
  const found = withDatabase(stage ?? path, 'read', (database) => factsOf(database, release));
  if (manifest !== null) compare(found, manifest);
  return { ...found, ...read };
}

/** Verifies a new copy, and compresses it on request. @throws {Unsound} */
async function prove({ path, counts, compressTo }: Extract<CheckOrder, { kind: 'prove' }>): Promise<Findings> {
  settle(path, null);
  const found = withDatabase(path, 'read', (database) => factsOf(database));
  if (!sameCounts(found.counts, counts)) throw new Unsound('the copy lacks rows of the database');
  const { size } = statSync(path);
  const through = compressTo === null ? [] : [createZstdCompress({ pledgedSrcSize: size })];
  const file = await openContent(path);
  try {
    const { written } = await stream(file, size, compressTo, through);
    if (compressTo !== null) syncFileSync(compressTo);
    return { ...found, bytes: statSync(compressTo ?? path).size, sha256: written };
  } finally {
    await file.close();
  }
}

/** Marks the content of a stage, to recognise it after the swap. */
function mark(database: DatabaseSync, { token, sequence }: StageMark): void {
  const least = Math.max(
    sequence ?? 0,
    recordedSequence((query) => single(database, query)),
  );
  for (const [name, value] of [
    [MARKS.token, token],
    [MARKS.sequence, least],
  ] as const) {
    database.prepare('DELETE FROM sqlite_sequence WHERE name = ?').run(name);
    database.prepare('INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)').run(name, value);
  }
}

/** Prepares a migrated stage for replacing a catalogue. @throws {Unsound} */
function finish({ path, pageSize, stageMark }: Extract<CheckOrder, { kind: 'finish' }>): Findings {
  if (stageMark !== null) withDatabase(path, 'write', (database) => mark(database, stageMark));
  settle(path, pageSize);
  return { ...withDatabase(path, 'read', (database) => factsOf(database)), bytes: statSync(path).size, sha256: '' };
}

function carryOut(order: CheckOrder): Promise<Findings> | Findings {
  if (order.kind === 'read') return read(order);
  return order.kind === 'prove' ? prove(order) : finish(order);
}

const OF_THE_CONTENT: ReadonlySet<number | undefined> = new Set([SQLITE.ERROR, SQLITE.CORRUPT, SQLITE.NOTADB]);

/** Errors of SQLite and zlib that concern the content. Errors of the disk do not. */
function problemOf(error: unknown): string | undefined {
  if (error instanceof Unsound) return error.message;
  if (!(error instanceof Error)) return undefined;
  // A count or version column holds an integer beyond JavaScript's range.
  if (OF_THE_CONTENT.has(resultCodeOf(error)) || codeOf(error) === 'ERR_OUT_OF_RANGE')
    return `it cannot be read as a database: ${error.message}`;
  return /^(?:Z_|ZSTD_)/.test(codeOf(error)) ? `it cannot be decompressed: ${error.message}` : undefined;
}

async function answer(order: CheckOrder): Promise<CheckAnswer> {
  try {
    return { findings: await carryOut(order) };
  } catch (error) {
    const problem = problemOf(error);
    return problem === undefined ? { error: toWireError(error) } : { problem };
  }
}

process.stdout.write(JSON.stringify(await answer(JSON.parse(process.argv[2] ?? ''))));

/**
 * The process that reads backups: checks them in full, copies them to a stage, compresses them. A process of its own,
 * because a check of a large or hostile file may take for ever and cannot be interrupted, and because closing any
 * descriptor of a database here leaves the locks of the server's process alone. Prints its answer as JSON.
 */

import { createHash } from 'node:crypto';
import { copyFileSync, createReadStream, createWriteStream, existsSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { PassThrough, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import { toWireError } from '../errors.ts';
import { syncFileSync } from '../runtime/files-sync.ts';
import { codeOf, resultCodeOf, SQLITE } from '../runtime/thrown.ts';
import { MIB } from '../values/byte-units.ts';
import type { CheckAnswer, CheckOrder, Findings } from './checker.ts';
import type { CatalogCounts, Manifest } from './manifest.ts';

const MAX_PROBLEMS = 10;
const TABLES = { clients: 'clients', files: 'files', versions: 'file_versions' } as const;

/** What makes a file no backup of a catalogue; anything else that is thrown is the machine's failure. */
class Unsound extends Error {}

/** Streams a file, maybe through zstd, maybe into another file, and tells the checksum of what was read and written. */
async function stream(from: string, to: string | null, through: Transform) {
  const [read, written] = [createHash('sha256'), createHash('sha256')];
  const hashing = (hash: typeof read) =>
    new Transform({
      transform(chunk, _, done) {
        hash.update(chunk);
        done(null, chunk);
      },
    });
  const end = to === null ? new PassThrough().resume() : createWriteStream(to, { flags: 'r+', flush: true });
  await pipeline(createReadStream(from, { highWaterMark: MIB }), hashing(read), through, hashing(written), end);
  return { read: read.digest('hex'), written: written.digest('hex') };
}

interface TableRow {
  readonly name: string;
  readonly type: string;
}

// Types first: a view in the place of a table can run for ever once it is asked for its rows.
function typesOf(database: DatabaseSync): Map<string, string> {
  const list = "SELECT lower(name) AS name, type FROM pragma_table_list WHERE schema = 'main'";
  const rows = database.prepare(list).all() as unknown as TableRow[];
  return new Map(rows.map(({ name, type }) => [name, type]));
}

const single = (database: DatabaseSync, query: string): unknown =>
  Object.values(database.prepare(query).get() ?? {})[0] ?? null;

/** What a database holds, once it is known to be sound. @throws {Unsound} */
function factsOf(database: DatabaseSync): Pick<Findings, 'counts' | 'schemaVersion' | 'databaseId'> {
  const types = typesOf(database);
  for (const name of [...Object.values(TABLES), 'catalog_migrations', 'catalog_identity']) {
    const type = types.get(name) ?? 'table';
    if (type !== 'table') throw new Unsound(`${name} is a ${type}, not a table: the file is not a catalogue`);
  }
  // One of the two is enough: an old server that was killed while it made its file left the other one out.
  if (!types.has('clients') && !types.has('files')) throw new Unsound('the file holds no catalogue');
  const found = database.prepare(`PRAGMA integrity_check(${MAX_PROBLEMS})`).all();
  const problems = found.map((row) => String(Object.values(row)[0])).filter((text) => text !== 'ok');
  if (problems.length > 0) throw new Unsound(`the file is damaged: ${problems.join('; ')}`);
  const rows = (table: string) => (types.has(table) ? Number(single(database, `SELECT count(*) FROM ${table}`)) : 0);
  const versions = types.has('catalog_migrations') ? 'SELECT max(version) FROM catalog_migrations' : 'SELECT NULL';
  const identity = types.has('catalog_identity') ? 'SELECT DatabaseID FROM catalog_identity' : 'SELECT NULL';
  return {
    counts: { clients: rows(TABLES.clients), files: rows(TABLES.files), versions: rows(TABLES.versions) },
    schemaVersion: single(database, versions) as number | null,
    databaseId: single(database, identity) as string | null,
  };
}

function withDatabase<Result>(path: string, how: 'read' | 'write', use: (database: DatabaseSync) => Result): Result {
  const url = pathToFileURL(path);
  // As it is: a reader of a file in WAL mode would leave a log beside it.
  if (how === 'read') url.search = '?immutable=1';
  const database = new DatabaseSync(url, { readOnly: how === 'read' });
  try {
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON');
    return use(database);
  } finally {
    database.close();
  }
}

/** Brings a file of our own into the form of a backup: no log, the page size that is wanted, on the disk. */
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
  if (found.databaseId !== databaseId) throw new Unsound('it is of another database than the manifest says');
}

async function isZstd(path: string): Promise<boolean> {
  for await (const chunk of createReadStream(path, { end: 3 })) return (chunk as Buffer).readUInt32LE(0) === 0xfd2fb528;
  return false;
}

type ReadOrder = Extract<CheckOrder, { kind: 'read' }>;

/** Reads the bytes of a backup, into a stage unless it is null. @throws {Unsound} */
async function readBytes({ path, manifest, stage }: ReadOrder): Promise<Pick<Findings, 'bytes' | 'sha256'>> {
  const bytes = statSync(path).size;
  if (manifest !== null && bytes !== manifest.bytes) {
    throw new Unsound(`it has ${bytes} bytes, the manifest says ${manifest.bytes}`);
  }
  const compressed = manifest?.compressed ?? (bytes >= 4 && (await isZstd(path)));
  const { read: sha256 } = await stream(path, stage, compressed ? createZstdDecompress() : new PassThrough());
  if (manifest !== null && sha256 !== manifest.sha256) throw new Unsound('its checksum is not that of the manifest');
  return { bytes, sha256 };
}

// What a file that no backup made may have beside it: its last changes, or the way back out of half a transaction.
const LOGS = ['-wal', '-journal'] as const;

/** Tells a file and its logs from what they are once somebody has written them. */
const stateOf = (path: string): string =>
  ['', ...LOGS]
    .map((suffix) => statSync(`${path}${suffix}`, { bigint: true, throwIfNoEntry: false }))
    .map((stats) => (stats === undefined ? 'none' : `${stats.ino} ${stats.size} ${stats.mtimeNs}`))
    .join();

/** Reads a file that no backup made, with its logs. @throws {Unsound} when it is written meanwhile: no two parts would fit */
async function readWithLogs(order: ReadOrder, stage: string): Promise<Pick<Findings, 'bytes' | 'sha256'>> {
  const { path } = order;
  const before = stateOf(path);
  const read = await readBytes(order);
  for (const log of LOGS) if (existsSync(`${path}${log}`)) copyFileSync(`${path}${log}`, `${stage}${log}`);
  if (stateOf(path) !== before) throw new Unsound('it was written while it was read: make a backup of it instead');
  return read;
}

/** Reads a backup against its manifest. @throws {Unsound} */
async function read(order: ReadOrder): Promise<Findings> {
  const { path, manifest, stage } = order;
  const read = manifest === null && stage !== null ? await readWithLogs(order, stage) : await readBytes(order);
  if (stage !== null) settle(stage, null);
  const found = withDatabase(stage ?? path, 'read', factsOf);
  if (manifest !== null) compare(found, manifest);
  return { ...found, ...read };
}

/** Proves a copy that was just taken, and compresses it where that is wanted. @throws {Unsound} */
async function prove({ path, counts, compressTo }: Extract<CheckOrder, { kind: 'prove' }>): Promise<Findings> {
  settle(path, null);
  const found = withDatabase(path, 'read', factsOf);
  if (!sameCounts(found.counts, counts)) throw new Unsound('the copy lacks rows of the database');
  const last = compressTo ?? path;
  const { written } = await stream(path, compressTo, compressTo === null ? new PassThrough() : createZstdCompress());
  return { ...found, bytes: statSync(last).size, sha256: written };
}

/** Readies a migrated stage to be copied into a live file. @throws {Unsound} */
function finish({ path, pageSize }: Extract<CheckOrder, { kind: 'finish' }>): Findings {
  settle(path, pageSize);
  return { ...withDatabase(path, 'read', factsOf), bytes: statSync(path).size, sha256: '' };
}

function carryOut(order: CheckOrder): Promise<Findings> | Findings {
  if (order.kind === 'read') return read(order);
  return order.kind === 'prove' ? prove(order) : finish(order);
}

const OF_THE_CONTENT: ReadonlySet<number | undefined> = new Set([SQLITE.ERROR, SQLITE.CORRUPT, SQLITE.NOTADB]);

/** SQLite's and zlib's own complaints about a content; a failing disk is no property of the content. */
function problemOf(error: unknown): string | undefined {
  if (error instanceof Unsound) return error.message;
  if (!(error instanceof Error)) return undefined;
  if (OF_THE_CONTENT.has(resultCodeOf(error))) return `it cannot be read as a database: ${error.message}`;
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

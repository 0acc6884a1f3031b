/**
 * The public API as the compiler sees it: what must compile, and, marked by ts-expect-error, what must not. Nothing here
 * is run; `tsc` is the test. The same text is compiled against the published declarations.
 */
import {
  type Analytics,
  type CatalogFile,
  type CatalogModules,
  type CatalogStatus,
  type Categories,
  type Client,
  type ClientKeys,
  type Clients,
  DatabaseError,
  DatabaseManager,
  type Deletion,
  ERROR_CODES,
  type ErrorCode,
  type FileInput,
  type Files,
  type FileVersion,
  fold,
  type HealthCheck,
  healthCheck,
  type IdInput,
  type Maintenance,
  QuotaExceededError,
  type Quotas,
  type RawSql,
  type Reservation,
  type SaveResult,
  type Search,
  type SqlRow,
  type Transaction,
  ValidationError,
  type Versions,
} from '../../lib/index.ts';
import { all, one, type Procedure, procedure, run, type Steps, sql } from '../../lib/procedure-kit.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only where the value's type is exactly the one named. */
declare function exactly<Expected>(): <Actual>(value: Actual, same: Same<Actual, Expected>) => void;

declare const db: DatabaseManager;
declare const id: IdInput;
declare const signal: AbortSignal;
declare const bytes: Uint8Array;

export async function opening(): Promise<void> {
  await using first: DatabaseManager = await DatabaseManager.open();
  await (await DatabaseManager.open({ database: 'a.db', signal })).close();
  await (await DatabaseManager.openMigrations({ signal })).close();
  await DatabaseManager.open({ database: 'a.db', poolSize: 2, durability: 'normal', defaultQuotaBytes: null });
  await DatabaseManager.open({ procedureModules: [new URL('file:///a.js'), 'file:///b.js'], migrate: 'off' });
  exactly<Promise<void>>()(first.close(), true);
  // @ts-expect-error a misspelt option
  await DatabaseManager.open({ databse: 'a.db' });
  // @ts-expect-error not one of the choices
  await DatabaseManager.open({ durability: 'fast' });
  // @ts-expect-error a path, not options
  await DatabaseManager.open('a.db');
  // @ts-expect-error a catalogue is opened, not constructed
  new DatabaseManager();
  // @ts-expect-error a logger is pino's
  await DatabaseManager.open({ logger: console });
}

export function modules(tx: Transaction): void {
  exactly<Clients>()(db.clients, true);
  exactly<Files & Search>()(db.files, true);
  exactly<Versions>()(db.versions, true);
  exactly<Categories>()(db.categories, true);
  exactly<Quotas>()(db.quotas, true);
  exactly<Analytics>()(db.analytics, true);
  exactly<Maintenance>()(db.maintenance, true);
  exactly<RawSql['execute']>()(db.execute, true);
  exactly<CatalogModules>()(tx, true);
  const same: CatalogModules = db;
  const { save } = same.files;
  exactly<Files['save']>()(save, true);
  exactly<CatalogStatus>()(db.status, true);
  exactly<'opening' | 'open' | 'closing' | 'closed'>()(db.status, true);
  // @ts-expect-error the status is read, never set
  db.status = 'open';
  // @ts-expect-error a transaction is not opened or closed by itself
  tx.status;
}

export async function clients(): Promise<void> {
  exactly<Client>()(await db.clients.save({ name: 'a' }), true);
  exactly<Client | null>()(await db.clients.get(id, { signal }), true);
  exactly<Client | null>()(await db.clients.getByName('a'), true);
  exactly<{ clients: readonly Client[] }['clients'][number]>()((await db.clients.list({ limit: 1 })).clients[0]!, true);
  exactly<Client>()(await db.clients.touch(id, new Date()), true);
  exactly<Deletion>()(await db.clients.delete(bytes), true);
  exactly<ClientKeys>()(await db.clients.exportKeys(id), true);
  for await (const client of db.clients.listAll()) exactly<Client>()(client, true);
  await db.clients.save({ id, name: 'a', publicKey: bytes, aesKey: null }, { signal });

  const client = await db.clients.save({ name: 'a' });
  // @ts-expect-error no client holds its AES key
  client.aesKey;
  // @ts-expect-error results are read-only
  client.name = 'b';
  // @ts-expect-error a client needs a name
  await db.clients.save({ id });
  // @ts-expect-error a key is bytes
  await db.clients.save({ name: 'a', aesKey: 'secret' });
  // @ts-expect-error an unknown field
  await db.clients.save({ name: 'a', publickey: bytes });
  // @ts-expect-error an id is text or bytes
  await db.clients.get(7);
  // @ts-expect-error a client may be null
  (await db.clients.get(id)).name;
  // @ts-expect-error a signal, misspelt
  await db.clients.count({ sginal: signal });
}

export async function files(): Promise<void> {
  const input: FileInput = { clientId: id, fileName: 'a', pathName: '/a', fileSize: 1 };
  exactly<SaveResult>()(await db.files.save(input, { ifChanged: true, operationId: 'o', signal }), true);
  exactly<CatalogFile | null>()(await db.files.find(id, 'a', null), true);
  exactly<CatalogFile>()(await db.files.verify(id, { crc: 1 }), true);
  exactly<number>()(await db.files.totalBytes(), true);
  exactly<void>()(await db.files.recordFailure({ clientId: id, fileName: 'a' }), true);
  exactly<number | null>()((await db.files.save(input)).quota.quotaBytes, true);
  await db.files.save({ ...input, modificationDate: new Date(), originalPath: undefined, crc: null });
  for await (const file of db.files.searchAll({ term: 'a' })) exactly<CatalogFile>()(file, true);

  async function* stream(): AsyncGenerator<FileInput> {
    yield input;
  }
  await db.files.saveMany([input], { onProgress: ({ saved }) => exactly<number>()(saved, true) });
  const { failed } = await db.files.saveMany(stream(), { ifChanged: true });
  for (const { index, error } of failed) {
    exactly<number>()(index, true);
    exactly<DatabaseError>()(error, true);
  }
  // @ts-expect-error fileSize is missing
  await db.files.save({ clientId: id, fileName: 'a', pathName: '/a' });
  // @ts-expect-error sizes are numbers
  await db.files.save({ ...input, fileSize: 1n });
  // @ts-expect-error the extension is derived, never given
  await db.files.save({ ...input, extension: 'txt' });
  // @ts-expect-error saveMany has no operationId: it would name one row
  await db.files.saveMany([input], { operationId: 'o' });
  // @ts-expect-error one file is not a list of them
  await db.files.saveMany(input);
  // @ts-expect-error a cursor is text
  await db.files.list({ cursor: 1 });
}

export async function versionsAndQuotas(): Promise<void> {
  exactly<FileVersion[]>()(await db.versions.list(id), true);
  exactly<FileVersion | null>()(await db.versions.get(id, 1), true);
  exactly<CatalogFile>()(await db.versions.activate(id, 1), true);
  exactly<number | null | undefined>()((await db.quotas.get(id))?.quotaBytes, true);
  await db.quotas.set(id, { quotaBytes: null, warningThreshold: 0.5 });
  // @ts-expect-error versions are told by number
  await db.versions.get(id, '1');
  // @ts-expect-error a limit must be named: null is none
  await db.quotas.set(id, { warningThreshold: 0.5 });
  await using room: Reservation = await db.quotas.reserve(id, 10, { ttlMs: 1_000 });
  exactly<SaveResult>()(await room.commit({ clientId: id, fileName: 'a', pathName: '/a', fileSize: 1 }), true);
  // @ts-expect-error a reservation's room is fixed
  room.bytes = 20;
}

export async function retentionAndSearch(): Promise<void> {
  exactly<number>()((await db.versions.planPrune({ keepLast: 3, keepWithin: '30d' }, { clientId: id })).versions, true);
  exactly<string[]>()((await db.versions.prune({ keepDaily: 7 }, { fileId: id })).paths, true);
  exactly<CatalogFile[]>()((await db.files.search({ fileType: 'txt', sort: 'size', order: 'desc' })).files, true);
  // @ts-expect-error a rule, misspelt
  await db.versions.prune({ keepDayly: 7 });
  // @ts-expect-error planning has no progress to tell
  await db.versions.planPrune({ keepLast: 1 }, { onProgress: () => undefined });
  // @ts-expect-error not an order of results
  await db.files.search({ sort: 'age' });
  // @ts-expect-error sizes are bytes
  await db.files.search({ minSize: '1MiB' });
}

export async function wholeCatalogue(): Promise<void> {
  exactly<number | null>()((await db.analytics.forecast(id)).daysLeft, true);
  exactly<string | null>()((await db.migrations.up({ to: 3 })).backup, true);
  exactly<string>()((await db.backups.create({ compress: true })).sha256, true);
  exactly<boolean>()((await db.backups.verify('a.db')).ok, true);
  exactly<number>()((await db.maintenance.repair({ dryRun: true })).splitTransfers, true);
  // @ts-expect-error going down needs to know where to
  await db.migrations.down();
  // @ts-expect-error a restore needs to know from what
  await DatabaseManager.restore({ database: 'a.db' });
  // @ts-expect-error a transaction has no backups: they concern the catalogue as a whole
  await db.transaction(async (tx) => tx.backups);
}

export async function rawSql(): Promise<void> {
  exactly<SqlRow[]>()(await db.query('SELECT ?', [1, 'a', null, bytes, true, new Date(), 1n]), true);
  exactly<number>()((await db.execute('DELETE FROM notes')).changes, true);
  exactly<number>()(await db.executeMany('INSERT INTO notes VALUES (?)', [['a'], ['b']]), true);
  // @ts-expect-error values are bound by place, not by name
  await db.query('SELECT :a', { a: 1 });
  // @ts-expect-error undefined is no value
  await db.query('SELECT ?', [undefined]);
  // @ts-expect-error a list of lists
  await db.executeMany('INSERT INTO notes VALUES (?)', ['a']);
}

export async function transactions(): Promise<void> {
  const named = await db.transaction(async (tx) => {
    exactly<Transaction>()(tx, true);
    return (await tx.clients.save({ name: 'a' })).name;
  });
  exactly<string>()(named, true);
  await db.transaction(async () => undefined, { timeoutMs: 1_000, signal });
  // @ts-expect-error the callback is async
  await db.transaction(() => 1);
  // @ts-expect-error a transaction within one
  await db.transaction((tx) => tx.transaction(async () => 1));
  // @ts-expect-error closing inside one
  await db.transaction(async (tx) => tx.close());
  // @ts-expect-error a misspelt option
  await db.transaction(async () => 1, { timeout: 1_000 });
}

const addNote = procedure('notes.add', 'write', function* ({ text }: { readonly text: string }, dialect): Steps<{
  readonly notes: number;
}> {
  const { changes } = yield* run(sql`INSERT INTO notes VALUES (${text})`);
  const found = yield* all<{ id: string }>(sql`SELECT ${dialect.hex('ID')} AS "id" FROM notes`);
  exactly<number>()(changes, true);
  return { notes: found.length };
});

export async function procedures(): Promise<void> {
  exactly<Procedure<{ readonly text: string }, { readonly notes: number }>>()(addNote, true);
  exactly<number>()((await db.run(addNote, { text: 'a' })).notes, true);
  await db.transaction((tx) => tx.run(addNote, { text: 'a' }));
  const decoded = procedure(
    'notes.first',
    'read',
    function* (_: null): Steps<{ at: string } | undefined> {
      return yield* one<{ at: string }>(sql`SELECT At AS "at" FROM notes`);
    },
    { decode: (found): Date | null => (found === undefined ? null : new Date(found.at)) },
  );
  exactly<Date | null>()(await db.run(decoded, null), true);
  // @ts-expect-error the input is another
  await db.run(addNote, { txt: 'a' });
  // @ts-expect-error the input is missing
  await db.run(addNote);
  // @ts-expect-error a procedure reads or writes
  procedure('notes.odd', 'both', function* (_: null): Steps<void> {});
  procedure('notes.promised', 'read', function* (_: null): Steps<number> {
    // @ts-expect-error the row may not be there
    return (yield* one<{ n: number }>(sql`SELECT 1 AS "n"`)).n;
  });
}

export async function events(): Promise<void> {
  const off = db.on('quota-warning', ({ clientId, usedBytes, quotaBytes }) => {
    exactly<string>()(clientId, true);
    exactly<number>()(usedBytes, true);
    exactly<number | null>()(quotaBytes, true);
  });
  exactly<() => void>()(off, true);
  // @ts-expect-error there is no such event
  db.on('quota', () => undefined);
}

export async function errors(error: unknown): Promise<void> {
  if (error instanceof ValidationError) exactly<string>()(error.field, true);
  if (error instanceof QuotaExceededError) exactly<number>()(error.usedBytes, true);
  if (error instanceof DatabaseError) {
    exactly<ErrorCode>()(error.code, true);
    exactly<boolean>()(error.retryable, true);
    // @ts-expect-error there is no such code
    if (error.code === 'CATALOG_GONE') return;
  }
  exactly<false>()(ERROR_CODES.CATALOG_VALIDATION.retryable as false, true);
  // @ts-expect-error a code of the table
  new DatabaseError('E_OTHER', 'message');
}

export async function looking(): Promise<void> {
  exactly<HealthCheck>()(await healthCheck(db), true);
  exactly<'pass' | 'warn' | 'fail'>()((await db.health({ full: true })).status, true);
  exactly<number>()((await db.migrations.status()).current, true);
  exactly<number>()(db.stats().writes.rounds, true);
  exactly<string>()(fold('Ä'), true);
  exactly<string>()(await db.metrics(), true);
  // @ts-expect-error the text is awaited
  db.metrics().split('\n');
  // @ts-expect-error figures are not awaited
  db.stats().then(() => undefined);
  // @ts-expect-error modules are not replaced
  db.clients = { ...db.clients };
  // @ts-expect-error the engine is private
  db.engine;
}

/** The core API against the model: random histories, two processes, transactions that throw half-way. */
import { deepStrictEqual } from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import t from 'tap';
import { DatabaseManager, type Transaction } from '../lib/index.ts';
import { CatalogModel } from './catalog-model.ts';
import { holds } from './fixtures/property.ts';
import { openNew } from './fixtures/template.ts';
import { runs } from './fixtures/tier.ts';

// Histories in each tier: enough that the rarest kind of event is reached ten times.
const SAMPLE = 20;
const ALL = 100;
const DEFAULT_QUOTA = 5_000;
const CLIENT_IDS = [1, 2].map((n) => `c${n}`.padStart(32, '0'));
const FILE_IDS = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `f${n}`.padStart(32, '0'));

interface Call {
  readonly path: readonly [module: string, method: string];
  readonly args: readonly unknown[];
  /** Which of the saves before it in its history is made again, and what differs; `args` are not looked at then. */
  readonly again?: {
    readonly place: number;
    readonly differing: Readonly<Record<string, unknown>>;
    /** With the options it had, as a caller does that got no answer. */
    readonly isRetry: boolean;
  };
  /** Made by the second process. */
  readonly elsewhere: boolean;
}

type Save = readonly [file: Readonly<Record<string, unknown>>, options: { readonly operationId?: string }];

interface Step {
  readonly calls: readonly Call[];
  readonly kind: 'calls' | 'commit' | 'throw';
}

const clientId = fc.constantFrom(...CLIENT_IDS);
const fileId = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...FILE_IDS.slice(0, 4)) },
  fc.constantFrom(...FILE_IDS.slice(4)),
);
const clientName = fc.constantFrom('alpha', 'beta', "Ä'lpha");
// So few that most saves find their file; the first two names have the first ids.
const NAMES = ['a.txt', 'c.foo', 'README', 'd.zip'];
const fileName = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...NAMES.slice(0, 2)) },
  fc.constantFrom(...NAMES.slice(2)),
);
const idOf = (client: string, name: string) => FILE_IDS[2 * NAMES.indexOf(name) + CLIENT_IDS.indexOf(client)];

const originalPath = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(undefined, null, '') },
  fc.constantFrom('home/a', 'home/%_'),
);
const pathName = fc.constantFrom('/s/1', '/s/2', '/s/3');
const key = fc.option(fc.uint8Array({ minLength: 1, maxLength: 32 }), { nil: undefined });
const date = fc.constantFrom('2025-01-01T00:00:00.000Z', '2026-02-03T04:05:06.007Z');
const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
const rarely = <Value>(value: fc.Arbitrary<Value>) => fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, value);

const fileInput = fc
  .record(
    {
      id: rarely(fileId),
      clientId,
      fileName,
      originalPath,
      pathName,
      fileSize: fc.integer({ min: 0, max: 1_500 }),
      modificationDate: maybe(date),
      crc: maybe(fc.constantFrom(7, 2 ** 32 - 1)),
      verified: maybe(fc.boolean()),
      category: maybe(fc.constantFrom('mine')),
      mimeType: maybe(fc.constantFrom('text/x-mine')),
      fileHash: maybe(fc.constantFrom('abc')),
      transferDuration: maybe(fc.nat()),
      transferSpeed: maybe(fc.nat()),
      compressionRatio: maybe(fc.double({ min: 0, max: 10, noNaN: true, noDefaultInfinity: true })),
    },
    { requiredKeys: ['clientId', 'fileName', 'pathName', 'fileSize'] },
  )
  .map(({ id, ...file }) => ({ ...file, id: id ?? idOf(file.clientId, file.fileName) }));
const saveOptions = fc.record(
  { ifChanged: fc.boolean(), operationId: maybe(fc.constantFrom(...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => `op-${n}`))) },
  { requiredKeys: [] },
);

/** A save of what an earlier one saved, or of something that differs in one of the facts that `ifChanged` compares. */
const saveAgain = fc
  .record({
    place: fc.nat(4),
    differing: fc.constantFrom({}, {}, { crc: null }, { crc: 7 }, { modificationDate: null }, { fileSize: 9 }),
    isRetry: fc.boolean(),
  })
  .map((again) => ({ path: ['files', 'save'] as const, args: [], again }));

const callOf = (module: string, method: string, ...args: fc.Arbitrary<unknown>[]) =>
  fc.tuple(...args).map((given) => ({ path: [module, method] as const, args: given }));

const anyCall = fc.oneof(
  {
    weight: 4,
    arbitrary: callOf('clients', 'save', fc.record({ id: clientId, name: clientName, publicKey: key, aesKey: key })),
  },
  { weight: 12, arbitrary: callOf('files', 'save', fileInput, saveOptions) },
  { weight: 8, arbitrary: saveAgain },
  { weight: 3, arbitrary: callOf('clients', 'rename', clientId, clientName) },
  { weight: 1, arbitrary: callOf('clients', 'touch', clientId, date) },
  { weight: 1, arbitrary: callOf('clients', 'delete', clientId) },
  { weight: 1, arbitrary: callOf('clients', 'exportKeys', clientId) },
  { weight: 1, arbitrary: callOf('clients', 'get', clientId) },
  { weight: 1, arbitrary: callOf('clients', 'getByName', clientName) },
  { weight: 1, arbitrary: callOf('clients', 'list') },
  { weight: 6, arbitrary: callOf('files', 'verify', fileId, fc.record({ crc: fc.constantFrom(null, 7, 7) })) },
  { weight: 1, arbitrary: callOf('files', 'recordFailure', fc.record({ clientId, fileName })) },
  { weight: 2, arbitrary: callOf('files', 'delete', fileId) },
  { weight: 2, arbitrary: callOf('files', 'get', fileId) },
  { weight: 2, arbitrary: callOf('files', 'find', clientId, fileName, originalPath) },
  { weight: 1, arbitrary: callOf('files', 'forClient', clientId) },
  { weight: 1, arbitrary: callOf('files', 'totalBytes') },
  { weight: 1, arbitrary: callOf('versions', 'list', fileId) },
  { weight: 2, arbitrary: callOf('versions', 'get', fileId, fc.integer({ min: 1, max: 3 })) },
  { weight: 3, arbitrary: callOf('versions', 'activate', fileId, fc.integer({ min: 1, max: 3 })) },
  { weight: 1, arbitrary: callOf('quotas', 'get', clientId) },
  {
    weight: 1,
    arbitrary: callOf('quotas', 'set', clientId, fc.record({ quotaBytes: fc.constantFrom(null, 0, 1_000, 100_000) })),
  },
  {
    weight: 4,
    arbitrary: callOf(
      'categories',
      'save',
      fc.record(
        {
          name: fc.constantFrom('mine', 'yours'),
          extensions: fc.constantFrom(['foo'], ['txt', 'foo'], ['txt', 'foo'], []),
        },
        { requiredKeys: ['name'] },
      ),
    ),
  },
  { weight: 3, arbitrary: callOf('categories', 'delete', fc.constantFrom('mine', 'yours', 'other')) },
  { weight: 3, arbitrary: callOf('categories', 'rederive') },
  { weight: 1, arbitrary: callOf('categories', 'list') },
);

const single = fc
  .tuple(anyCall, fc.boolean())
  .map(([call, elsewhere]): Step => ({ kind: 'calls', calls: [{ ...call, elsewhere }] }));
const transaction = fc
  .tuple(fc.array(anyCall, { minLength: 1, maxLength: 6 }), fc.constantFrom('commit' as const, 'throw' as const))
  .map(([calls, kind]): Step => ({ kind, calls: calls.map((call) => ({ ...call, elsewhere: false })) }));
const history = fc.array(fc.oneof({ weight: 5, arbitrary: single }, { weight: 1, arbitrary: transaction }), {
  minLength: 40,
  maxLength: 80,
  size: 'max',
});

type Outcome = { readonly value: unknown } | { readonly code: string };
type Modules = Record<string, Record<string, (...args: unknown[]) => unknown>>;

/** Makes a call on anything that has the API, the model included. */
async function make(target: unknown, { path: [module, method], args }: Call): Promise<Outcome> {
  try {
    return { value: await (target as Modules)[module]?.[method]?.(...structuredClone([...args])) };
  } catch (error) {
    return { code: String((error as { code?: unknown }).code ?? error) };
  }
}

async function makeElsewhere(other: ChildProcess, call: Call): Promise<Outcome> {
  other.send({ path: call.path, args: call.args });
  const [answer] = (await once(other, 'message')) as [{ ok: boolean; value?: unknown; code?: string }];
  return answer.ok ? { value: answer.value } : { code: String(answer.code) };
}

/** Instants differ by when a call was made; freed paths come in no particular order. */
function comparable(outcome: Outcome): unknown {
  const strip = (value: unknown, name = ''): unknown => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
    if (Array.isArray(value)) return name === 'paths' ? [...value].sort() : value.map((item) => strip(item));
    if (typeof value !== 'object' || value === null) return value;
    const kept = Object.entries(value).filter(([key]) => key !== 'lastSeen' && key !== 'createdDate');
    return Object.fromEntries(kept.map(([key, inner]) => [key, strip(inner, key)]));
  };
  return strip(outcome);
}

/** What a call was about, by what the model made of it. */
function eventOf({ path, args, elsewhere }: Call, outcome: Outcome): string[] {
  const name = path.join('.');
  const place = elsewhere ? ['a call of another process'] : [];
  if ('code' in outcome) return [...place, `${name}: ${outcome.code}`];
  if (name === 'files.save') {
    const { created, changed } = outcome.value as { created: boolean; changed: boolean };
    return [...place, `${name}: ${created ? 'a new file' : changed ? 'a further version' : 'nothing new'}`];
  }
  if (name === 'files.verify')
    return [...place, `${name}: ${(args[1] as { crc: unknown }).crc === null ? 'without' : 'with'} a CRC`];
  const isEmpty = outcome.value === null || (outcome.value as { changed?: number } | undefined)?.changed === 0;
  return [...place, `${name}: ${isEmpty ? 'nothing' : 'done'}`];
}

/** What random histories reach; without one of these they would compare too little. */
const EVENTS = [
  'a call of another process',
  'a transaction that is taken back',
  'a transaction that is kept',
  'categories.delete: done',
  'categories.rederive: done',
  'categories.save: CATALOG_CONFLICT',
  'categories.save: done',
  'clients.delete: done',
  'clients.rename: CATALOG_DUPLICATE_CLIENT',
  'clients.rename: done',
  'clients.save: CATALOG_DUPLICATE_CLIENT',
  'clients.save: done',
  'files.delete: done',
  'files.find: done',
  'files.get: done',
  'files.recordFailure: done',
  'files.save: CATALOG_CONFLICT',
  'files.save: CATALOG_NOT_FOUND',
  'files.save: CATALOG_QUOTA_EXCEEDED',
  'files.save: a further version',
  'files.save: a new file',
  'files.save: an operation again',
  'files.save: nothing new',
  'files.verify: CATALOG_CHECKSUM_MISMATCH',
  'files.verify: with a CRC',
  'files.verify: without a CRC',
  'quotas.set: done',
  'versions.activate: CATALOG_NOT_FOUND',
  'versions.activate: done',
  'versions.get: done',
  'versions.list: done',
];

/** A catalogue, its model, and what a run of histories has reached. */
class Play {
  readonly reached = new Map<string, number>();
  readonly #db: DatabaseManager;
  readonly #other: ChildProcess;
  #model = new CatalogModel(DEFAULT_QUOTA);
  #saves: Save[] = [];
  #operations = new Set<string>();

  constructor(db: DatabaseManager, other: ChildProcess) {
    this.#db = db;
    this.#other = other;
  }

  begin(): CatalogModel {
    this.#saves = [];
    this.#operations = new Set();
    this.#model = new CatalogModel(DEFAULT_QUOTA);
    return this.#model;
  }

  #count(event: string): void {
    this.reached.set(event, (this.reached.get(event) ?? 0) + 1);
  }

  /** The call itself, or for a save that is made again what it saves. */
  #resolve(call: Call): Call {
    const { again } = call;
    if (again !== undefined) {
      const [file, options] = this.#saves.at(-1 - again.place) ?? this.#saves[0] ?? [];
      const isRetry = again.isRetry && options?.operationId !== undefined;
      return { ...call, args: isRetry ? [file, options] : [{ ...file, ...again.differing }, { ifChanged: true }] };
    }
    const { path, args } = call;
    if (path[0] === 'files' && path[1] === 'save') this.#saves.push(args as unknown as Save);
    return call;
  }

  async #compare(call: Call, makeReal: (call: Call) => Promise<Outcome>): Promise<void> {
    if (call.again !== undefined && this.#saves.length === 0) return;
    const resolved = this.#resolve(call);
    const real = await makeReal(resolved);
    const wanted = await make(this.#model, resolved);
    const told = `${call.path.join('.')} ${JSON.stringify(resolved.args)}`;
    deepStrictEqual(comparable(real), comparable(wanted), told);
    for (const event of eventOf(resolved, wanted)) this.#count(event);
    const operation = (resolved.args[1] as { operationId?: string } | undefined)?.operationId;
    if (operation === undefined || 'code' in wanted) return;
    if (this.#operations.has(operation)) this.#count('files.save: an operation again');
    this.#operations.add(operation);
  }

  async step(step: Step): Promise<void> {
    if (step.kind === 'calls') {
      for (const call of step.calls) {
        await this.#compare(call, (made) => (made.elsewhere ? makeElsewhere(this.#other, made) : make(this.#db, made)));
      }
      return;
    }
    const rollBack = this.#model.snapshot();
    const thrown = new Error('half-way');
    const play = async (tx: Transaction) => {
      for (const call of step.calls) await this.#compare(call, (made) => make(tx, made));
      if (step.kind === 'throw') throw thrown;
    };
    this.#count(`a transaction that is ${step.kind === 'throw' ? 'taken back' : 'kept'}`);
    await this.#db.transaction(play).catch((error: unknown) => {
      if (error !== thrown) throw error;
      rollBack();
    });
  }
}

const firstClients = CLIENT_IDS.map((id, place): Step => {
  const args = [{ id, name: ['alpha', 'beta'][place] }];
  return { kind: 'calls', calls: [{ path: ['clients', 'save'], args, elsewhere: false }] };
});

const TABLES = [
  'clients',
  'files',
  'file_versions',
  'client_quotas',
  'client_activity',
  'daily_totals',
  'quota_reservations',
  'unchanged_operations',
];

async function rowsOf(db: DatabaseManager): Promise<Record<string, unknown>> {
  const counts = TABLES.map(async (table) => [table, (await db.query(`SELECT count(*) AS n FROM ${table}`))[0]?.['n']]);
  return Object.fromEntries(await Promise.all(counts));
}

/** The statistics a model can predict, in one order. */
async function statisticsOf(db: DatabaseManager): Promise<unknown> {
  const { fileStats, clientStats } = await db.analytics.storage();
  const growth = await db.analytics.growth({ days: 1 });
  const groups = (found: readonly { name: string | null; files: number; bytes: number }[]) =>
    Object.fromEntries(found.map(({ name, files, bytes }) => [String(name), [files, bytes]]));
  return {
    totals: [fileStats.totalFiles, fileStats.totalBytes, fileStats.verifiedFiles],
    byCategory: groups(fileStats.byCategory),
    byExtension: groups(fileStats.byExtension),
    bySize: fileStats.bySize.filter(({ files }) => files > 0).map(({ min, files, bytes }) => [min, files, bytes]),
    clients: groups(clientStats.topClients),
    today: growth.map(({ files, bytes, usedBytes }) => [files, bytes, usedBytes]),
  };
}

/** Deletes every client by the API, and with raw SQL what has no client. */
async function empty(db: DatabaseManager): Promise<void> {
  for (const id of CLIENT_IDS) await db.clients.delete(id).catch(() => undefined);
  await db.execute("DELETE FROM file_categories WHERE Name IN ('mine', 'yours')");
  await db.execute('UPDATE file_categories SET DefaultPath = NULL');
  await db.execute('DELETE FROM category_extensions');
  await db.execute('DELETE FROM transfer_stats');
}

t.test(
  'random histories end as the model does, with calls from two processes and transactions that throw',
  async (t) => {
    const database = `${t.testdir()}/catalog.db`;
    const db = await DatabaseManager.open({ database, defaultQuotaBytes: DEFAULT_QUOTA });
    const other = fork(new URL('./fixtures/catalog-process.ts', import.meta.url), [database, String(DEFAULT_QUOTA)], {
      execArgv: [],
      serialization: 'advanced',
    });
    await once(other, 'message');
    const play = new Play(db, other);
    await holds(
      t,
      fc.asyncProperty(history, async (steps) => {
        await empty(db);
        const model = play.begin();
        for (const step of [...firstClients, ...steps]) await play.step(step);
        const [stats] =
          await db.query(`SELECT coalesce(sum(TotalFiles), 0) AS files, coalesce(sum(TotalBytes), 0) AS bytes,
        coalesce(sum(SuccessfulTransfers), 0) AS successes, coalesce(sum(FailedTransfers), 0) AS failures
        FROM transfer_stats`);
        deepStrictEqual(stats, model.attempts());
        deepStrictEqual(await db.query('PRAGMA foreign_key_check'), []);
        deepStrictEqual(
          await db.query('SELECT FileID FROM file_versions GROUP BY FileID HAVING sum(IsActive) <> 1'),
          [],
          'exactly one version of each file is active',
        );
        deepStrictEqual((await db.analytics.audit()).differences, [], 'running totals are what the rows say');
        deepStrictEqual(await statisticsOf(db), model.statistics());
        await empty(db);
        deepStrictEqual(
          await rowsOf(db),
          Object.fromEntries(TABLES.map((table) => [table, 0])),
          'deleting clients leaves no row',
        );
      }),
      { numRuns: ALL, sample: SAMPLE, endOnFailure: false },
    );
    t.comment(`reached: ${JSON.stringify(Object.fromEntries([...play.reached].sort()))}`);
    const missing = EVENTS.filter((event) => !play.reached.has(event));
    if (runs(SAMPLE, ALL) >= SAMPLE) t.same(missing, [], 'histories reach every kind of event');
    other.disconnect();
    await once(other, 'exit');
    await db.close();
  },
);

t.test('what a save, a verification and a failed transfer leave', async (t) => {
  const db = await openNew({ database: `${t.testdir()}/catalog.db`, poolSize: 1 });
  t.teardown(() => db.close());
  const { id: clientId } = await db.clients.save({ name: 'laptop' });
  const other = await db.clients.save({ name: 'tower' });
  t.equal((await db.clients.touch(clientId, '2020-01-01T00:00:00.000Z')).lastSeen, '2020-01-01T00:00:00.000Z');
  t.same(await db.clients.get(other.id), other, 'others are left alone');
  const page = await db.clients.list({ limit: 1 });
  t.same([page.clients.map(({ name }) => name), page.nextCursor === null], [['laptop'], false]);
  t.same(await db.clients.list({ limit: 1, cursor: page.nextCursor }), { clients: [other], nextCursor: null });
  const save = (fileSize: number, more: object = {}) =>
    db.files.save({ clientId, fileName: 'a', pathName: `store/${fileSize}`, fileSize, ...more }, { ifChanged: true });
  const { file } = await save(10);
  t.ok(String((await db.clients.get(clientId))?.lastSeen) > '2020-02', 'a save touches LastSeen');

  t.match(await save(10), { changed: false, version: 1 });
  t.match(await save(10, { crc: 7 }), { changed: true, version: 2 }, 'a CRC where none was known is a change');
  t.match(await save(10, { crc: 7 }), { changed: false, version: 2 });
  t.match(await save(10), { changed: false, version: 2 }, 'no CRC is none');
  await db.files.recordFailure({ clientId, fileName: 'a' });
  await save(40);
  t.same(
    await db.query(
      'SELECT TotalFiles, TotalBytes, SuccessfulTransfers, FailedTransfers, AverageFileSize FROM transfer_stats',
    ),
    [{ TotalFiles: 4, TotalBytes: 60, SuccessfulTransfers: 3, FailedTransfers: 1, AverageFileSize: 20 }],
    'the average of a day is over its successes',
  );

  await db.versions.activate(file.id, 2);
  await db.files.verify(file.id);
  const state = (await db.versions.list(file.id)).map((one) => [one.versionNumber, one.isActive, one.verified]);
  t.same(
    state,
    [
      [1, false, false],
      [2, true, true],
      [3, false, false],
    ],
    'the current version alone is verified',
  );
  await save(50);
  t.same(
    (await db.versions.list(file.id)).map(({ isActive }) => isActive),
    [false, false, false, true],
    'after a save one version is active',
  );
});

t.test('a file without versions, as an old server leaves it, gives its path back', async (t) => {
  const db = await openNew({ database: `${t.testdir()}/catalog.db`, poolSize: 1 });
  t.teardown(() => db.close());
  const { id: clientId } = await db.clients.save({ name: 'laptop' });
  const insert = async (fileName: string) => {
    const { file } = await db.files.save({ clientId, fileName, pathName: `store/${fileName}`, fileSize: 1 });
    await db.execute('DELETE FROM file_versions WHERE FileID = ?', [Buffer.from(file.id, 'hex')]);
    await db.execute('UPDATE files SET HighestVersion = 0, CurrentVersion = 0 WHERE ID = ?', [
      Buffer.from(file.id, 'hex'),
    ]);
    return file.id;
  };
  await insert('a');
  t.same((await db.files.delete(await insert('b'))).paths, ['store/b']);
  t.same((await db.clients.delete(clientId)).paths, ['store/a']);
});

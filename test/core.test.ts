/** The core API against the model: random histories, two processes, transactions that throw half-way. */
import { deepStrictEqual } from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import t from 'tap';
import { DatabaseManager, type Transaction } from '../lib/index.ts';
import { CatalogModel } from './catalog-model.ts';
import { holds } from './fixtures/property.ts';

const DEFAULT_QUOTA = 5_000;
const CLIENT_IDS = [1, 2, 3].map((n) => `c${n}`.padStart(32, '0'));
const FILE_IDS = [1, 2, 3, 4, 5, 6].map((n) => `f${n}`.padStart(32, '0'));

interface Call {
  readonly path: readonly [module: string, method: string];
  readonly args: readonly unknown[];
  /** Made by the second process. */
  readonly elsewhere: boolean;
}

interface Step {
  readonly calls: readonly Call[];
  readonly kind: 'calls' | 'commit' | 'throw';
}

const clientId = fc.constantFrom(...CLIENT_IDS);
const fileId = fc.constantFrom(...FILE_IDS);
const clientName = fc.constantFrom('alpha', 'Älpha', 'beta', "o'brien");
const fileName = fc.constantFrom('a.txt', 'b.jpg', 'c.foo', 'README', 'd.zip');
const originalPath = fc.constantFrom(undefined, null, '', 'home/a', 'home/%_');
const pathName = fc.constantFrom('/s/1', '/s/2', '/s/3', '/s/4');
const key = fc.option(fc.uint8Array({ minLength: 1, maxLength: 32 }), { nil: undefined });
const date = fc.constantFrom('2025-01-01T00:00:00.000Z', '2026-02-03T04:05:06.007Z');
const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });

const fileInput = fc.record(
  {
    id: fileId,
    clientId,
    fileName,
    originalPath,
    pathName,
    fileSize: fc.integer({ min: 0, max: 2_000 }),
    modificationDate: maybe(date),
    crc: maybe(fc.constantFrom(0, 7, 2 ** 32 - 1)),
    verified: maybe(fc.boolean()),
    category: maybe(fc.constantFrom('mine')),
    mimeType: maybe(fc.constantFrom('text/x-mine')),
    fileHash: maybe(fc.constantFrom('abc')),
    transferDuration: maybe(fc.nat()),
    transferSpeed: maybe(fc.nat()),
    compressionRatio: maybe(fc.double({ min: 0, max: 10, noNaN: true, noDefaultInfinity: true })),
  },
  { requiredKeys: ['id', 'clientId', 'fileName', 'pathName', 'fileSize'] },
);
const saveOptions = fc.record(
  { ifChanged: fc.boolean(), operationId: fc.constantFrom('op-1', 'op-2', 'op-3') },
  { requiredKeys: [] },
);

const callOf = (module: string, method: string, ...args: fc.Arbitrary<unknown>[]) =>
  fc.tuple(...args).map((given) => ({ path: [module, method] as const, args: given }));

const anyCall = fc.oneof(
  {
    weight: 4,
    arbitrary: callOf('clients', 'save', fc.record({ id: clientId, name: clientName, publicKey: key, aesKey: key })),
  },
  { weight: 12, arbitrary: callOf('files', 'save', fileInput, saveOptions) },
  { weight: 1, arbitrary: callOf('clients', 'rename', clientId, clientName) },
  { weight: 1, arbitrary: callOf('clients', 'touch', clientId, date) },
  { weight: 1, arbitrary: callOf('clients', 'delete', clientId) },
  { weight: 1, arbitrary: callOf('clients', 'exportKeys', clientId) },
  { weight: 1, arbitrary: callOf('clients', 'get', clientId) },
  { weight: 1, arbitrary: callOf('clients', 'getByName', clientName) },
  { weight: 1, arbitrary: callOf('clients', 'list') },
  { weight: 2, arbitrary: callOf('files', 'verify', fileId, fc.record({ crc: fc.constantFrom(null, 7) })) },
  { weight: 1, arbitrary: callOf('files', 'recordFailure', fc.record({ clientId, fileName })) },
  { weight: 2, arbitrary: callOf('files', 'delete', fileId) },
  { weight: 1, arbitrary: callOf('files', 'get', fileId) },
  { weight: 1, arbitrary: callOf('files', 'find', clientId, fileName, originalPath) },
  { weight: 1, arbitrary: callOf('files', 'forClient', clientId) },
  { weight: 1, arbitrary: callOf('files', 'totalBytes') },
  { weight: 1, arbitrary: callOf('versions', 'list', fileId) },
  { weight: 1, arbitrary: callOf('versions', 'get', fileId, fc.integer({ min: 1, max: 4 })) },
  { weight: 3, arbitrary: callOf('versions', 'activate', fileId, fc.integer({ min: 1, max: 4 })) },
  { weight: 1, arbitrary: callOf('quotas', 'get', clientId) },
  {
    weight: 1,
    arbitrary: callOf('quotas', 'set', clientId, fc.record({ quotaBytes: fc.constantFrom(null, 0, 1_000, 100_000) })),
  },
  {
    weight: 1,
    arbitrary: callOf(
      'categories',
      'save',
      fc.record(
        { name: fc.constantFrom('mine', 'yours'), extensions: fc.constantFrom(['foo'], ['txt', 'foo'], []) },
        { requiredKeys: ['name'] },
      ),
    ),
  },
  { weight: 1, arbitrary: callOf('categories', 'delete', fc.constantFrom('mine', 'yours', 'other')) },
  { weight: 1, arbitrary: callOf('categories', 'rederive') },
  { weight: 1, arbitrary: callOf('categories', 'list') },
);

const single = fc
  .tuple(anyCall, fc.boolean())
  .map(([call, elsewhere]): Step => ({ kind: 'calls', calls: [{ ...call, elsewhere }] }));
const transaction = fc
  .tuple(fc.array(anyCall, { minLength: 1, maxLength: 6 }), fc.constantFrom('commit' as const, 'throw' as const))
  .map(([calls, kind]): Step => ({ kind, calls: calls.map((call) => ({ ...call, elsewhere: false })) }));
const history = fc.array(fc.oneof({ weight: 5, arbitrary: single }, { weight: 1, arbitrary: transaction }), {
  minLength: 10,
  maxLength: 40,
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

async function playStep(db: DatabaseManager, other: ChildProcess, model: CatalogModel, step: Step): Promise<void> {
  const compare = async (call: Call, real: Outcome) => {
    const wanted = await make(model, call);
    deepStrictEqual(comparable(real), comparable(wanted), `${call.path.join('.')} ${JSON.stringify(call.args)}`);
  };
  if (step.kind === 'calls') {
    for (const call of step.calls) {
      await compare(call, call.elsewhere ? await makeElsewhere(other, call) : await make(db, call));
    }
    return;
  }
  const rollBack = model.snapshot();
  const thrown = new Error('half-way');
  const play = async (tx: Transaction) => {
    for (const call of step.calls) await compare(call, await make(tx, call));
    if (step.kind === 'throw') throw thrown;
  };
  await db.transaction(play).catch((error: unknown) => {
    if (error !== thrown) throw error;
    rollBack();
  });
}

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
    await holds(
      t,
      fc.asyncProperty(history, async (steps) => {
        await empty(db);
        const model = new CatalogModel(DEFAULT_QUOTA);
        for (const step of steps) await playStep(db, other, model, step);
        const [stats] =
          await db.query(`SELECT coalesce(sum(TotalFiles), 0) AS files, coalesce(sum(TotalBytes), 0) AS bytes,
        coalesce(sum(SuccessfulTransfers), 0) AS successes, coalesce(sum(FailedTransfers), 0) AS failures
        FROM transfer_stats`);
        deepStrictEqual(stats, model.attempts());
        deepStrictEqual(await db.query('PRAGMA foreign_key_check'), []);
        deepStrictEqual((await db.analytics.audit()).differences, [], 'running totals are what the rows say');
        deepStrictEqual(await statisticsOf(db), model.statistics());
        await empty(db);
        deepStrictEqual(
          await rowsOf(db),
          Object.fromEntries(TABLES.map((table) => [table, 0])),
          'deleting clients leaves no row',
        );
      }),
      { numRuns: 100, sample: 20, endOnFailure: false },
    );
    other.disconnect();
    await once(other, 'exit');
    await db.close();
  },
);

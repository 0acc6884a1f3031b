/** `db.metrics()` tells what happened, in every state of the catalogue, and nothing that is nobody's business. */
import { deepStrictEqual } from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type CatalogOptions, DatabaseManager, type Transaction } from '../lib/index.ts';
import { Metrics } from '../lib/metrics/metrics.ts';
import { CallLog } from '../lib/sql/call-log.ts';
import type { Engine } from '../lib/sql/engine.ts';
import { Histogram } from '../lib/sql/histogram.ts';
import { procedure } from '../lib/sql/procedure.ts';
import { type Family, parseExposition } from './fixtures/exposition.ts';
import { holds } from './fixtures/property.ts';
import { openNew } from './fixtures/template.ts';

t.setTimeout(300_000); // on a machine that is busy otherwise

async function open(t: Test, options: CatalogOptions = {}): Promise<DatabaseManager> {
  const database = options.database ?? join(t.testdir(), 'catalog.db');
  const db = await openNew({ poolSize: 2, ...options, database });
  t.teardown(() => db.close());
  return db;
}

const scrape = async (db: DatabaseManager) => parseExposition(await db.metrics());

/** A scrape in which such metrics have values: on a busy machine what they need may be late. */
async function answered(db: DatabaseManager, ...names: string[]): Promise<Map<string, Family>> {
  for (;;) {
    const found = await scrape(db);
    const isComplete = names.every((name) => found.get(name)?.series.size);
    if (isComplete && found.get('catalog_up')?.series.get('catalog_up') === 1) return found;
  }
}

/** A series as it is written; undefined where there is none. */
const seriesOf = (families: Map<string, Family>, series: string): number | undefined => {
  const name = series.replace(/\{.*/, '');
  return (families.get(name) ?? families.get(name.replace(/_(?:bucket|sum|count)$/, '')))?.series.get(series);
};

const values = (families: Map<string, Family>, ...series: string[]) =>
  Object.fromEntries(series.map((key) => [key, seriesOf(families, key)]));

const calls = (name: string, intent: 'read' | 'write', outcome: 'ok' | 'error') =>
  `catalog_procedure_duration_seconds_count{procedure="${name}",intent="${intent}",outcome="${outcome}"}`;

const fileOf = (clientId: string, fileName: string, fileSize = 100) => ({
  clientId,
  fileName,
  pathName: '/1',
  fileSize,
});

t.test('metrics tell what was done', async (t) => {
  const db = await open(t);
  const { id } = await db.clients.save({ name: 'laptop' });
  await db.quotas.set(id, { quotaBytes: 10_000 });
  await Promise.all(Array.from({ length: 40 }, (_, n) => db.files.save(fileOf(id, `${n}`))));
  await db.files.save(fileOf(id, '0', 200));
  await db.files.save(fileOf(id, '0', 200), { ifChanged: true });
  await t.rejects(db.files.save(fileOf(id, 'large', 10_000)), { code: 'CATALOG_QUOTA_EXCEEDED' });
  await t.rejects(db.clients.save({ name: 'laptop' }), { code: 'CATALOG_DUPLICATE_CLIENT' });
  await db.transaction(async (tx) => {
    await tx.files.save(fileOf(id, 'kept', 4_000));
    await t.rejects(tx.clients.touch('f'.repeat(32)), { code: 'CATALOG_NOT_FOUND' });
  });
  await t.rejects(
    db.transaction(async (tx) => {
      await tx.files.save(fileOf(id, 'lost', 50));
      throw new RangeError('no');
    }),
    RangeError,
  );
  await t.rejects(db.query('SELECT nonsense'), { code: 'CATALOG_SQL' });
  const many = await db.files.saveMany([fileOf(id, 'm', 1), fileOf(id, '0', 200), fileOf(id, 'n', 1)], {
    ifChanged: true,
  });
  t.match(many, { saved: 2, unchanged: 1 });
  const file = await db.files.find(id, '1');
  await db.files.verify(file?.id ?? '');
  await db.quotas.reserve(id, 500);
  await db.clients.save({ name: 'free' }).then((free) => db.quotas.set(free.id, { quotaBytes: null }));

  const found = await answered(db, 'catalog_wal_bytes', 'catalog_disk_free_bytes');
  const expected = {
    catalog_up: 1,
    'catalog_saves_total{result="stored"}': 44,
    'catalog_saves_total{result="unchanged"}': 2,
    catalog_saved_bytes_total: 8_202,
    catalog_quota_warnings_total: 1,
    [calls('files.save', 'write', 'ok')]: 44, // that of the transaction which was rolled back as well
    [calls('files.save', 'write', 'error')]: 1,
    [calls('clients.save', 'write', 'error')]: 1,
    [calls('files.find', 'read', 'ok')]: 1,
    'catalog_errors_total{code="CATALOG_QUOTA_EXCEEDED"}': 1,
    'catalog_errors_total{code="CATALOG_DUPLICATE_CLIENT"}': 1,
    'catalog_errors_total{code="CATALOG_NOT_FOUND"}': 1,
    'catalog_errors_total{code="CATALOG_SQL"}': 1,
    'catalog_errors_total{code="CATALOG_BUSY"}': 0,
    'catalog_transaction_duration_seconds_count{intent="write",outcome="rolled_back"}': 1,
    catalog_transactions_open: 0,
    catalog_clients: 2,
    catalog_files: 43,
    catalog_files_verified: 1,
    catalog_file_bytes: 8_102,
    catalog_stored_bytes: 8_202,
    catalog_versions_created_total: 44,
    'catalog_quota_clients{use="ok"}': 0,
    'catalog_quota_clients{use="warning"}': 1,
    'catalog_quota_clients{use="full"}': 0,
    'catalog_quota_clients{use="unlimited"}': 1,
    catalog_reservations: 1,
    catalog_reserved_bytes: 500,
    'catalog_connections_limit{role="readers"}': 1,
    'catalog_connections_limit{role="writers"}': 1,
    'catalog_queue_length{queue="writes"}': 0,
    'catalog_calls_refused_total{queue="reads"}': 0,
  };
  t.same(values(found, ...Object.keys(expected)), expected);

  const { reads, writes } = db.stats();
  t.same(
    values(found, 'catalog_calls_total{queue="reads"}', 'catalog_calls_total{queue="writes"}'),
    { 'catalog_calls_total{queue="reads"}': reads.calls, 'catalog_calls_total{queue="writes"}': writes.calls },
    'the queues as stats() has them',
  );
  t.equal(seriesOf(found, 'catalog_group_size_count'), writes.rounds);
  t.equal(seriesOf(found, 'catalog_group_size_sum'), writes.calls, 'every call travelled in a group');
  t.equal(seriesOf(found, 'catalog_commits_total{kind="group"}'), writes.rounds);
  t.equal(seriesOf(found, 'catalog_wait_seconds_count{queue="writes"}'), writes.calls);
  t.equal(seriesOf(found, 'catalog_wait_seconds_count{queue="reads"}'), reads.calls - reads.expired);
  const [{ page_size: pageSize }] = (await db.query('PRAGMA page_size')) as [{ page_size: number }];
  t.equal(seriesOf(found, 'catalog_page_bytes'), pageSize);
  t.ok((seriesOf(found, 'catalog_wal_bytes') ?? 0) > 0);
  t.ok((seriesOf(found, 'catalog_disk_free_bytes') ?? 0) > 0);
});

t.test('backups, drills and checks are told, and what other programs wrote into the history is not', async (t) => {
  const db = await open(t);
  const none = await answered(db);
  t.equal(none.get('catalog_maintenance_success_timestamp_seconds')?.series.size, 0, 'never: no value, not 0');
  t.equal(none.get('catalog_backup_bytes')?.series.size, 0);
  const backup = await db.backups.create();
  await db.backups.drill();
  await db.maintenance.checkIntegrity();
  await t.rejects(db.backups.create({ signal: AbortSignal.abort(new RangeError('no')) }), RangeError);
  await db.execute(
    "INSERT INTO maintenance_history (Kind, StartedAt, DurationMs, Succeeded) VALUES ('mine', '', 1, 1)",
  );
  const found = await answered(db, 'catalog_backup_bytes');
  const rows = (await db.query(
    "SELECT Kind AS kind, StartedAt AS at, DurationMs AS ms FROM maintenance_history WHERE Succeeded = 1 AND Kind <> 'mine'",
  )) as { kind: string; at: string; ms: number }[];
  t.same(rows.map(({ kind }) => kind).sort(), ['backup', 'check', 'drill', 'foreign-keys']);
  const timestamp = 'catalog_maintenance_success_timestamp_seconds';
  const duration = 'catalog_maintenance_success_duration_seconds';
  t.same(
    Object.fromEntries([...(found.get(timestamp)?.series ?? []), ...(found.get(duration)?.series ?? [])]),
    Object.fromEntries(
      rows.flatMap(({ kind, at, ms }) => [
        [`${timestamp}{kind="${kind}"}`, Date.parse(at) / 1_000],
        [`${duration}{kind="${kind}"}`, ms / 1_000],
      ]),
    ),
  );
  t.equal(seriesOf(found, 'catalog_maintenance_failed{kind="drill"}'), 0);
  t.equal(seriesOf(found, 'catalog_backup_bytes'), backup.bytes);
  rmSync(backup.path);
  t.equal((await answered(db)).get('catalog_backup_bytes')?.series.size, 0, 'the backup is gone');
});

t.test('every state of the catalogue is answered', async (t) => {
  t.test('closed', async (t) => {
    const db = await open(t);
    const { id } = await db.clients.save({ name: 'laptop' });
    await db.files.save(fileOf(id, 'a'));
    const open1 = await scrape(db);
    await db.close();
    const closed = await scrape(db);
    t.same([...closed.keys()], [...open1.keys()], 'the same metrics');
    const expected = {
      catalog_up: 0,
      'catalog_saves_total{result="stored"}': 1,
      catalog_clients: undefined,
      catalog_schema_version: undefined,
      'catalog_connections{role="writers",state="idle"}': 0,
      'catalog_errors_total{code="CATALOG_CLOSED"}': 0,
    };
    t.same(values(closed, ...Object.keys(expected)), expected, 'what is not known is left out');
    await t.rejects(db.clients.count(), { code: 'CATALOG_CLOSED' });
    t.equal(seriesOf(await scrape(db), 'catalog_errors_total{code="CATALOG_CLOSED"}'), 1);
  });

  /** A transaction of the one connection there is, and how to end it. */
  async function lendEverything(db: DatabaseManager) {
    const held = Promise.withResolvers<void>();
    const taken = Promise.withResolvers<void>();
    const transaction = db.transaction(() => {
      taken.resolve();
      return held.promise;
    });
    await taken.promise;
    return async () => {
      held.resolve();
      await transaction;
    };
  }

  t.test('no connection is free', async (t) => {
    const db = await open(t, { poolSize: 1, queueLimit: 2 });
    await db.transaction(async () => {
      t.equal(seriesOf(await scrape(db), 'catalog_up'), 0, 'from inside the transaction itself');
    });
    const giveBack = await lendEverything(db);
    const { calls: before } = db.stats().reads;
    const waited = await Promise.all([scrape(db), scrape(db)]);
    t.same(
      waited.map((found) => seriesOf(found, 'catalog_up')),
      [0, 0],
    );
    t.same(
      waited.map((found) => seriesOf(found, 'catalog_transactions_open')),
      [1, 1],
    );
    t.equal(db.stats().reads.calls - before, 1, 'scrapes side by side ask once');
    while (db.stats().reads.expired === 0) await setImmediate(); // their call has left the queue
    const counted = Promise.all([db.clients.count(), db.clients.count()]);
    const full = await scrape(db);
    const expected = {
      catalog_up: 0,
      'catalog_queue_length{queue="reads"}': 2,
      'catalog_calls_refused_total{queue="reads"}': 1,
      'catalog_errors_total{code="CATALOG_POOL_EXHAUSTED"}': 1,
    };
    t.same(values(full, ...Object.keys(expected)), expected, 'nor room in the queue');
    await giveBack();
    t.same(await counted, [0, 0]);
    t.equal(seriesOf(await answered(db), 'catalog_up'), 1);
  });

  t.test('a connection that never answers', async (t) => {
    const db = await open(t);
    let asked = 0;
    const engine = {
      stats: () => db.stats(),
      callLog: () => new CallLog().figures(),
      run: () => {
        asked += 1;
        return new Promise(() => undefined);
      },
    } as unknown as Engine;
    const saves = () => ({ stored: 0, unchanged: 0, bytes: 0, warnings: 0 });
    const metrics = new Metrics({ engine, libraryVersion: '0', openedAt: 0, saves });
    const texts = [...(await Promise.all([metrics.text(), metrics.text()])), await metrics.text()];
    t.same(
      texts.map((text) => seriesOf(parseExposition(text), 'catalog_up')),
      [0, 0, 0],
    );
    t.equal(asked, 1, 'it is not asked again while it owes an answer');
  });

  t.test('the file is gone', async (t) => {
    const db = await open(t);
    const { path } = (await db.analytics.storage()).databaseInfo;
    renameSync(path, `${path}.away`);
    t.equal((await scrape(db)).get('catalog_database_bytes')?.series.size, 0);
    renameSync(`${path}.away`, path);
    t.equal((await answered(db, 'catalog_database_bytes')).get('catalog_database_bytes')?.series.size, 1);
  });

  t.test('the schema was taken back', async (t) => {
    const db = await open(t);
    await db.migrations.down({ to: 5 });
    t.equal(seriesOf(await scrape(db), 'catalog_up'), 0);
  });

  t.test('read-only', async (t) => {
    const database = join(t.testdir(), 'catalog.db');
    await (await DatabaseManager.open({ database })).close();
    const db = await DatabaseManager.open({ database, readOnly: true });
    t.teardown(() => db.close());
    t.equal(seriesOf(await answered(db), 'catalog_up'), 1);
  });
});

t.test('two catalogues of one process are apart', async (t) => {
  const folder = t.testdir();
  mkdirSync(join(folder, 'a'));
  mkdirSync(join(folder, 'b'));
  const [one, two] = await Promise.all([
    open(t, { database: join(folder, 'a', 'catalog.db') }),
    open(t, { database: join(folder, 'b', 'catalog.db') }),
  ]);
  const { id } = await one.clients.save({ name: 'laptop' });
  await one.files.save(fileOf(id, 'a'));
  const [first, second] = await Promise.all([answered(one), answered(two)]);
  t.same([seriesOf(first, 'catalog_clients'), seriesOf(second, 'catalog_clients')], [1, 0]);
  const saves = 'catalog_saves_total{result="stored"}';
  t.same([seriesOf(first, saves), seriesOf(second, saves)], [1, 0]);
  const info = (found: Map<string, Family>) => [...(found.get('catalog_info')?.series.keys() ?? [])];
  t.not(info(first)[0], info(second)[0], 'their identities tell them apart');
});

/** Both ends of every secret, in each form in which it might be written. */
const forms = (secret: Uint8Array) => {
  const bytes = Buffer.from(secret);
  return [bytes.toString('hex'), bytes.toString('base64'), bytes.toString('latin1')];
};

t.test('metrics hold nothing that was stored or asked for', async (t) => {
  const db = await open(t);
  const [publicKey, aesKey] = [Buffer.alloc(160, 'P!'), Buffer.alloc(32, 'K?')];
  const { id } = await db.clients.save({ name: 'SECRET-client', publicKey, aesKey });
  const file = {
    clientId: id,
    fileName: 'SECRET.file',
    pathName: '/SECRET/path',
    fileSize: 1,
    originalPath: 'SECRET/o',
  };
  await db.files.save({ ...file, category: 'SECRET-category' }, { operationId: 'SECRET-operation' });
  await db.clients.exportKeys(id);
  await db.files.search({ term: 'SECRET' });
  await db.query('SELECT ? AS "SECRET"', ['SECRET']);
  await t.rejects(db.query("SELECT json('SECRET')"));
  await t.rejects(db.clients.save({ name: 'SECRET-client' }));
  await t.rejects(
    db.run(
      procedure('SECRET-name', 'read', function* () {}),
      null,
    ),
    { code: 'CATALOG_SQL' },
  );
  class SecretError extends Error {
    override name = 'SECRET error';
  }
  await t.rejects(db.transaction(() => Promise.reject(new SecretError('SECRET'))));
  await t.rejects(db.clients.count({ signal: AbortSignal.abort(new SecretError('SECRET')) }));
  await db.execute(
    "INSERT INTO maintenance_history (Kind, StartedAt, DurationMs, Succeeded) VALUES ('SECRET', '', 1, 1)",
  );
  await answered(db);
  const text = await db.metrics();
  for (const secret of [
    'SECRET',
    id,
    ...forms(publicKey),
    ...forms(aesKey),
    Buffer.from(id, 'hex').toString('base64'),
  ]) {
    t.notOk(text.includes(secret), `${secret} is not in it`);
  }
  t.match(text, 'procedure="other",intent="read",outcome="error"', 'a name that nothing is registered by is no label');
});

const clientIds = ['1', '2'].map((digit) => digit.repeat(32));

/** What a history did, counted by hand. */
class Tally {
  readonly saves = { stored: 0, unchanged: 0 };
  readonly calls = new Map<string, number>();
  readonly errors = new Map<string, number>();
  committed = 0;
  rolledBack = 0;

  add(map: Map<string, number>, key: string): void {
    map.set(key, (map.get(key) ?? 0) + 1);
  }
}

type Target = DatabaseManager | Transaction;
type Saved = { changed: boolean };

/** A call, what it is named, and what it counts as. */
const call = fc.oneof(
  fc.record({
    kind: fc.constant('save' as const),
    client: fc.constantFrom(...clientIds, 'f'.repeat(32)),
    name: fc.constantFrom('a', 'b', 'c'),
    size: fc.constantFrom(1, 10, 20_000),
    ifChanged: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('get' as const) }),
  fc.record({ kind: fc.constant('touch' as const), client: fc.constantFrom(...clientIds, 'f'.repeat(32)) }),
  fc.record({ kind: fc.constant('bad sql' as const) }),
);
type Call = typeof call extends fc.Arbitrary<infer Value> ? Value : never;

const NAMES = {
  save: ['files.save', 'write'],
  get: ['clients.count', 'read'],
  touch: ['clients.touch', 'write'],
  'bad sql': ['sql.query', 'read'],
} as const;

async function make(target: Target, made: Call): Promise<Saved | undefined> {
  switch (made.kind) {
    case 'save':
      return target.files.save(fileOf(made.client, made.name, made.size), { ifChanged: made.ifChanged });
    case 'get':
      await target.clients.count();
      return undefined;
    case 'touch':
      await target.clients.touch(made.client);
      return undefined;
    case 'bad sql':
      await target.query('SELECT nothing');
      return undefined;
  }
}

/** Makes a call and counts it; a save of a transaction is returned, to be counted when it commits. */
async function counted(target: Target, made: Call, tally: Tally): Promise<Saved | undefined> {
  const [name, intent] = NAMES[made.kind];
  try {
    const saved = await make(target, made);
    tally.add(tally.calls, calls(name, intent, 'ok'));
    return saved;
  } catch (error) {
    tally.add(tally.errors, String((error as { code?: unknown }).code));
    tally.add(tally.calls, `${intent} error`);
    return undefined;
  }
}

function countSave(tally: Tally, saved: Saved | undefined): void {
  if (saved === undefined) return;
  tally.saves[saved.changed ? 'stored' : 'unchanged'] += 1;
}

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ calls: fc.array(call, { minLength: 1, maxLength: 6 }), how: fc.constant('alone' as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      calls: fc.array(call, { maxLength: 4 }),
      how: fc.constantFrom('commit' as const, 'roll back' as const),
    }),
  },
);

t.test('over any history counters never go down and count each call exactly once', async (t) => {
  const db = await open(t, { durability: 'normal' });
  for (const id of clientIds) await db.clients.save({ id, name: id });
  for (const id of clientIds) await db.quotas.set(id, { quotaBytes: 10_000 });
  const names = Object.values(NAMES).map(([name, intent]) => [name, intent] as const);
  await holds(
    t,
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
      const tally = new Tally();
      let before = await answered(db);
      const start = before;
      for (const { how, calls: made } of steps) {
        if (how === 'alone') {
          for (const saved of await Promise.all(made.map((one) => counted(db, one, tally)))) countSave(tally, saved);
        } else {
          const saves: (Saved | undefined)[] = [];
          await db
            .transaction(async (tx) => {
              for (const one of made) saves.push(await counted(tx, one, tally));
              if (how === 'roll back') throw new RangeError('rolled back');
            })
            .catch((error: unknown) => {
              if (!(error instanceof RangeError)) throw error;
            });
          if (how === 'commit') for (const saved of saves) countSave(tally, saved);
          tally[how === 'commit' ? 'committed' : 'rolledBack'] += 1;
        }
        const after = await answered(db);
        for (const [name, { type, series }] of before) {
          if (type === 'gauge') continue;
          for (const [key, value] of series) {
            const now = after.get(name)?.series.get(key) ?? Number.NaN;
            if (!(now >= value)) throw new Error(`${key} went from ${value} to ${now}`);
          }
        }
        before = after;
      }
      const rise = (key: string) => (seriesOf(before, key) ?? 0) - (seriesOf(start, key) ?? 0);
      const failed = (intent: 'read' | 'write') =>
        names.filter(([, of]) => of === intent).reduce((sum, [name]) => sum + rise(calls(name, intent, 'error')), 0) +
        rise(calls('other', intent, 'error'));
      deepStrictEqual(
        {
          saves: Object.fromEntries(
            Object.keys(tally.saves).map((key) => [key, rise(`catalog_saves_total{result="${key}"}`)]),
          ),
          ok: names.map(([name, intent]) => rise(calls(name, intent, 'ok'))),
          failed: [failed('read'), failed('write')],
          errors: [...tally.errors.keys()].map((code) => [code, rise(`catalog_errors_total{code="${code}"}`)]),
          committed: rise('catalog_commits_total{kind="transaction"}'),
          rolledBack: rise('catalog_transaction_duration_seconds_count{intent="write",outcome="rolled_back"}'),
        },
        {
          saves: tally.saves,
          ok: names.map(([name, intent]) => tally.calls.get(calls(name, intent, 'ok')) ?? 0),
          failed: [tally.calls.get('read error') ?? 0, tally.calls.get('write error') ?? 0],
          errors: [...tally.errors],
          committed: tally.committed,
          rolledBack: tally.rolledBack,
        },
      );
    }),
    { numRuns: 50, sample: 10 },
  );
});

t.test('a histogram counts every value once, in the bucket of its size', async (t) => {
  const bounds = [1, 5, 10];
  await holds(
    t,
    fc.property(fc.array(fc.oneof(fc.constantFrom(0, 1, 5, 10), fc.integer({ min: 0, max: 20 }))), (all) => {
      const histogram = new Histogram(bounds);
      for (const value of all) histogram.observe(value);
      const between = (low: number, high: number) => all.filter((value) => value > low && value <= high).length;
      deepStrictEqual(histogram.figures(), {
        bounds,
        counts: [between(-1, 1), between(1, 5), between(5, 10), between(10, Number.POSITIVE_INFINITY)],
        sum: all.reduce((sum, value) => sum + value, 0),
      });
    }),
  );
});

t.test('names by which nothing succeeds share one row, however many there are', async (t) => {
  const log = new CallLog();
  for (let n = 0; n < 1_000; n += 1) log.answered(`made-up-${n}`, 'read', false, 1);
  log.answered('real', 'read', false, 1);
  log.answered('real', 'read', true, 1);
  log.answered('real', 'read', false, 1);
  const total = ({ counts }: { counts: readonly number[] }) => counts.reduce((sum, count) => sum + count, 0);
  t.same(
    log.figures().calls.map(({ procedure: name, ok, failed }) => [name, total(ok), total(failed)]),
    [
      ['other', 0, 1_001],
      ['real', 1, 1],
    ],
  );
});

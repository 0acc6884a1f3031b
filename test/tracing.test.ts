/** Tracing tools hear of every call once from start to end, and of nothing that was stored or asked for. */
import { deepStrictEqual } from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { channel, tracingChannel } from 'node:diagnostics_channel';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type DatabaseManager, type ProcedureTrace, TRACING_CHANNEL, type Transaction } from '../lib/index.ts';
import { holds } from './fixtures/property.ts';
import { openNew } from './fixtures/template.ts';

t.setTimeout(300_000); // on a machine that is busy otherwise

const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const;
type Event = (typeof EVENTS)[number];

/** What a subscriber heard, in order: the object of the call, and a copy of it as it was then. */
interface Heard {
  readonly event: Event;
  readonly call: object;
  readonly told: ProcedureTrace;
}

/** Listens until the test ends, or `stop` is called. */
function listen(t: Test) {
  const heard: Heard[] = [];
  const listeners = Object.fromEntries(
    EVENTS.map((event) => {
      const listener = (call: unknown) => {
        heard.push({ event, call: call as object, told: { ...(call as ProcedureTrace) } });
      };
      return [event, listener];
    }),
  ) as Record<Event, (call: unknown) => void>;
  tracingChannel(TRACING_CHANNEL).subscribe(listeners);
  const stop = () => tracingChannel(TRACING_CHANNEL).unsubscribe(listeners);
  t.teardown(stop);
  // What the catalogue does by itself now and then is no part of a history.
  const own = () => heard.filter(({ told }) => !/^(?:search|analytics)\./.test(told.procedure));
  return { heard: own, stop };
}

async function open(t: Test): Promise<DatabaseManager> {
  const db = await openNew({ database: join(t.testdir(), 'catalog.db'), poolSize: 2 });
  t.teardown(() => db.close());
  return db;
}

const missing = 'f'.repeat(32);

t.test('a call is told from its start to its end', async (t) => {
  const db = await open(t);
  const { path } = (await db.analytics.storage()).databaseInfo;
  const { heard } = listen(t);
  const { id } = await db.clients.save({ name: 'laptop' });
  await t.rejects(db.clients.touch(missing), { code: 'CATALOG_NOT_FOUND' });
  await db.transaction(async (tx) => {
    await tx.clients.count();
    await t.rejects(tx.clients.touch(missing), { code: 'CATALOG_NOT_FOUND' });
  });
  await t.rejects(db.clients.get(id, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  await db.close();
  await t.rejects(db.clients.count(), { code: 'CATALOG_CLOSED' });

  const about = (procedure: string, intent: 'read' | 'write', transaction: boolean) => ({
    procedure,
    intent,
    database: path,
    transaction,
  });
  const told = (call: object, error?: string) => {
    const ended = error === undefined ? { ...call, outcome: 'ok' } : { ...call, error, outcome: 'error' };
    const failed = error === undefined ? [] : [['error', ended]];
    return [['start', call], ['end', call], ...failed, ['asyncStart', ended], ['asyncEnd', ended]];
  };
  t.same(
    heard().map(({ event, told: what }) => [event, what]),
    [
      ...told(about('clients.save', 'write', false)),
      ...told(about('clients.touch', 'write', false), 'CATALOG_NOT_FOUND'),
      ...told(about('clients.count', 'read', true)),
      ...told(about('clients.touch', 'write', true), 'CATALOG_NOT_FOUND'),
      ...told(about('clients.get', 'read', false), 'AbortError'),
      ...told(about('clients.count', 'read', false), 'CATALOG_CLOSED'),
    ],
  );
});

t.test('stores bound to the start are those of the call, and of nothing after it', async (t) => {
  const db = await open(t);
  const store = new AsyncLocalStorage<string>();
  const { start, asyncEnd } = tracingChannel(TRACING_CHANNEL);
  start.bindStore(store, (call) => (call as ProcedureTrace).procedure);
  t.teardown(() => start.unbindStore(store));
  const seen: unknown[] = [];
  const listener = () => seen.push(store.getStore());
  asyncEnd.subscribe(listener);
  t.teardown(() => asyncEnd.unsubscribe(listener));
  await db.clients.count();
  t.same(seen, ['clients.count']);
  t.equal(store.getStore(), undefined);
});

t.test('nothing that is told holds what was stored or asked for', async (t) => {
  const db = await open(t);
  const { heard } = listen(t);
  const keys = { publicKey: Buffer.alloc(160, 'P!'), aesKey: Buffer.alloc(32, 'K?') };
  const { id } = await db.clients.save({ name: 'SECRET', ...keys });
  await db.files.save({ clientId: id, fileName: 'SECRET', pathName: '/SECRET', fileSize: 1 });
  await db.clients.exportKeys(id);
  await t.rejects(db.clients.save({ name: 'SECRET' }));
  await t.rejects(db.query("SELECT json('SECRET')"));
  const named = Object.assign(new Error('SECRET'), { name: 'SECRET error' });
  await t.rejects(db.clients.count({ signal: AbortSignal.abort(named) }));
  const text = JSON.stringify(heard());
  for (const secret of ['SECRET', id, 'P!P!', 'K?K?', keys.aesKey.toString('hex'), keys.aesKey.toString('base64')]) {
    t.notOk(text.includes(secret), `${secret} is not in it`);
  }
  const known = ['procedure', 'intent', 'database', 'transaction', 'outcome', 'error'];
  t.same(
    heard().flatMap(({ call }) => Object.keys(call).filter((key) => !known.includes(key))),
    [],
  );
});

t.test('without a listener nothing is built', async (t) => {
  const db = await open(t);
  const starts = channel(`tracing:${TRACING_CHANNEL}:start`);
  let asked = 0;
  const { runStores } = starts;
  starts.runStores = function (this: typeof starts, ...args: Parameters<typeof runStores>) {
    asked += 1;
    return Reflect.apply(runStores, this, args);
  } as typeof runStores;
  t.teardown(() => Reflect.deleteProperty(starts, 'runStores'));
  await db.clients.count();
  await db.transaction((tx) => tx.clients.count());
  t.equal(asked, 0);
  const { stop } = listen(t);
  await db.clients.count();
  await db.transaction((tx) => tx.clients.count());
  t.equal(asked, 2, 'the same is noticed with one');
  stop();
  await db.clients.count();
  t.equal(asked, 2, 'and no more without');
});

t.test(
  'a call that began before anybody listened is not told; one that began before they left is told to its end',
  async (t) => {
    const db = await open(t);
    const before = db.clients.count();
    const { heard, stop } = listen(t);
    await before;
    t.same(heard(), []);
    const after = db.clients.count();
    stop();
    const again = listen(t);
    await after;
    t.same(
      [...heard(), ...again.heard()].map(({ event }) => event),
      ['start', 'end', 'asyncStart', 'asyncEnd'],
    );
  },
);

const KINDS = {
  count: { name: 'clients.count', code: null, make: (on: Target) => on.clients.count() },
  touch: { name: 'clients.touch', code: 'CATALOG_NOT_FOUND', make: (on: Target) => on.clients.touch(missing) },
  query: { name: 'sql.query', code: 'CATALOG_SQL', make: (on: Target) => on.query('SELECT nothing') },
  execute: { name: 'sql.execute', code: null, make: (on: Target) => on.execute('UPDATE clients SET Name = Name') },
} as const;
type Target = DatabaseManager | Transaction;

const step = fc.record({
  calls: fc.array(fc.constantFrom(...(Object.keys(KINDS) as (keyof typeof KINDS)[])), { maxLength: 8 }),
  how: fc.constantFrom('alone' as const, 'commit' as const, 'roll back' as const),
});

t.test('over any history each call has one start and one end, and its own code', async (t) => {
  const db = await open(t);
  await holds(
    t,
    fc.asyncProperty(fc.array(step, { maxLength: 5 }), async (steps) => {
      const { heard, stop } = listen(t);
      for (const { calls, how } of steps) {
        const all = (on: Target) => Promise.allSettled(calls.map((kind) => KINDS[kind].make(on)));
        if (how === 'alone') await all(db);
        else {
          await db
            .transaction(async (tx) => {
              await all(tx);
              if (how === 'roll back') throw new RangeError('rolled back');
            })
            .catch((error: unknown) => {
              if (!(error instanceof RangeError)) throw error;
            });
        }
      }
      stop();
      const lives = [...Map.groupBy(heard(), ({ call }) => call).values()];
      deepStrictEqual(
        lives.map((life) => [
          life.at(-1)?.told.procedure,
          life.at(-1)?.told.transaction,
          life.at(-1)?.told.error ?? null,
          life.map(({ event }) => event),
        ]),
        steps.flatMap(({ calls, how }) =>
          calls.map((kind) => {
            const { name, code } = KINDS[kind];
            const failed = code === null ? [] : ['error'];
            return [name, how !== 'alone', code, ['start', 'end', ...failed, 'asyncStart', 'asyncEnd']];
          }),
        ),
      );
    }),
  );
});

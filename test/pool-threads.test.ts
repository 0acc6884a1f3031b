/** What becomes of calls when the thread that runs them dies, cannot be reached, or is still being started. */
import t, { type Test } from 'tap';
import type { SqliteEngine, SqliteEngineOptions } from '../lib/pool/sqlite-engine.ts';
import { hold, outcomes, texts } from './fixtures/conformance/setting.ts';
import { openEngine } from './fixtures/open-engine.ts';
import * as p from './fixtures/procedures.ts';
import * as q from './fixtures/sqlite-procedures.ts';

t.setTimeout(300_000);

async function withTables(t: Test, options: Partial<SqliteEngineOptions> = {}): Promise<SqliteEngine> {
  const engine = await openEngine(t, { poolSize: 2, ...options });
  await engine.run(p.createTables, null);
  return engine;
}

/** Waits, turn by turn of the event loop, for what another thread does in its own time. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

const lostBefore = { code: 'CATALOG_IO', retryable: true, message: /its changes were rolled back/ };

t.test('a thread that dies before its commit stores nothing of what it held, and is replaced', async (t) => {
  for (const death of ['before writing', 'after writing'] as const) {
    const engine = await withTables(t);
    const group = [
      engine.run(p.appendNote, 'neighbour'),
      engine.run(q.killThread, { death, note: { id: 80, text: 'unwanted' } }),
      engine.run(p.appendNote, 'neighbour'),
    ];
    await Promise.all(group.map((call) => t.rejects(call, lostBefore, death)));
    t.same(await texts(engine), []);
    t.equal(await engine.run(p.appendNote, 'after'), 1);
    t.match(engine.stats().writers, { open: 1, created: 2, lost: 1 });
    await engine.close();
  }
});

t.test('a thread that dies while its commit is under way leaves its calls indeterminate', async (t) => {
  const engine = await withTables(t);
  const note = { id: 80, text: 'who knows' };
  const group = [engine.run(p.appendNote, 'neighbour'), engine.run(q.killThread, { death: 'while committing', note })];
  const indeterminate = { code: 'CATALOG_INDETERMINATE', retryable: false, hint: /operationId/ };
  await Promise.all(group.map((call) => t.rejects(call, indeterminate)));
  t.equal(await engine.run(p.appendNote, 'after'), 1);
});

t.test('a commit that fails half-way leaves its calls indeterminate, and its connection is replaced', async (t) => {
  const engine = await withTables(t);
  const fail = (id: number) => [
    engine.run(p.failBeforeWriting, 1),
    engine.run(q.failCommit, { id, text: 'who knows' }),
  ];
  t.same(await outcomes(fail(80)), ['CATALOG_NOT_FOUND', 'CATALOG_INDETERMINATE']);
  t.match(engine.stats().writers, { open: 0, lost: 1 });
  t.equal(await engine.run(p.appendNote, 'after'), 1);
  const transaction = engine.transaction('write', (tx) => tx.run(q.failCommit, { id: 81, text: 'who knows' }));
  await t.rejects(transaction, { code: 'CATALOG_INDETERMINATE', cause: { message: 'disk I/O error' } });
  t.equal(await engine.transaction('write', (tx) => tx.run(p.appendNote, 'after')), 2);
  t.match(engine.stats().writers, { open: 1, created: 3, lost: 2 });
});

t.test('a thread that dies in a transaction ends the transaction', async (t) => {
  const engine = await withTables(t);
  const transaction = engine.transaction('write', async (tx) => {
    await tx.run(p.appendNote, 'lost');
    await t.rejects(tx.run(q.killThread, { death: 'before writing', note: { id: 1, text: '' } }), lostBefore);
    await t.rejects(tx.run(p.appendNote, 'never'), lostBefore);
  });
  await t.rejects(transaction, lostBefore);
  t.same(await texts(engine), []);
  t.match(engine.stats().writers, { lost: 1 });
});

t.test('a reader that dies fails what it held, and reads go on', async (t) => {
  const engine = await withTables(t);
  await Promise.all(
    [p.slowSum, q.killReader].map((read) => t.rejects(engine.run(q.killReader, null), lostBefore, read.name)),
  );
  t.equal(await engine.run(p.slowSum, 10), 55);
  t.match(engine.stats().readers, { open: 1, lost: engine.stats().readers.created - 1 });
});

t.test('a thread that crashes while nothing is asked of it is replaced at the next call', async (t) => {
  const engine = await withTables(t);
  await engine.run(q.crashWhenIdle, null);
  await until(() => engine.stats().writers.lost === 1);
  t.match(engine.stats().writers, { open: 0, busy: 0, idle: 0, created: 1 });
  t.equal(await engine.run(p.appendNote, 'after'), 1);
  t.match(engine.stats().writers, { open: 1, created: 2, lost: 1 });
  t.equal(await engine.transaction('write', (tx) => tx.run(p.appendNote, 'again')), 2);
});

t.test('an input that no thread can be sent fails alone, and is never run', async (t) => {
  const engine = await withTables(t);
  const unsendable = { id: 9, text: (() => 'a function') as unknown as string };
  const group = [
    engine.run(p.appendNote, 'one'),
    engine.run(p.addNote, unsendable),
    engine.run(p.appendNote, 'two'),
    engine.run(p.readNote, unsendable as unknown as number),
  ];
  t.same(await outcomes(group), [1, 'CATALOG_VALIDATION', 2, 'CATALOG_VALIDATION']);
  await t.rejects(engine.run(p.addNote, unsendable), { code: 'CATALOG_VALIDATION', field: 'input' });
  await engine.transaction('write', async (tx) => {
    await t.rejects(tx.run(p.addNote, unsendable), { code: 'CATALOG_VALIDATION', field: 'input' });
    await tx.run(p.appendNote, 'three');
  });
  t.same(await texts(engine), ['one', 'two', 'three']);
});

t.test('a result that no thread can send back is indeterminate for its caller alone', async (t) => {
  const engine = await withTables(t);
  const group = [
    engine.run(p.appendNote, 'one'),
    engine.run(q.returnFunction, { id: 2, text: 'stored all the same' }),
    engine.run(p.appendNote, 'three'),
  ];
  t.same(await outcomes(group), [1, 'CATALOG_INDETERMINATE', 3]);
  t.same(await texts(engine), ['one', 'stored all the same', 'three']);
});

t.test('nothing that a procedure throws ends its thread', async (t) => {
  const engine = await withTables(t);
  await t.rejects(engine.run(q.throwMonster, null), { name: 'Symbol(monster)', message: 'its own cause' });
  await t.rejects(engine.run(q.throwVoid, null), { name: 'Error', message: 'a value without a text' });
  t.match(engine.stats().writers, { open: 1, created: 1, lost: 0 });
});

t.test('whoever gave up waiting for a transaction keeps no connection that comes later, nor its failure', async (t) => {
  const engine = await withTables(t, { poolSize: 1, closeTimeoutMs: 20 });
  const abandon = async () => {
    const controller = new AbortController();
    const waiting = engine.transaction('write', async () => 'never', { signal: controller.signal });
    const refused = t.rejects(waiting, { name: 'AbortError' });
    controller.abort();
    await refused;
  };
  const first = await hold(engine, 'write');
  await abandon();
  await first.giveBack();
  t.equal(await engine.transaction('write', async () => 'granted'), 'granted');
  await hold(engine, 'write', { deadlineMs: Number.POSITIVE_INFINITY });
  await abandon();
  await engine.close();
  t.match(engine.stats(), { state: 'closed', writers: { open: 0, busy: 0 } });
});

t.test('a connection that is still being opened when the engine gives up closing is not kept', async (t) => {
  const engine = await withTables(t, { closeTimeoutMs: 1 });
  const read = t.rejects(engine.run(p.slowSum, 10), { code: 'CATALOG_CLOSED' });
  await engine.close();
  await read;
  await until(() => engine.stats().readers.created === 1);
  t.match(engine.stats(), { state: 'closed', readers: { open: 0, busy: 0, idle: 0, lost: 0 } });
});

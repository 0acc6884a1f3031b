/** The parts of the SQLite engine, each by itself: files, statements, queues, threads, and what drives a procedure. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { Pool } from 'generic-pool';
import t, { type Test } from 'tap';
import { Connection } from '../lib/pool/connection.ts';
import { ConnectionPool } from '../lib/pool/connection-pool.ts';
import { type FileRules, prepareDatabaseFile } from '../lib/pool/database-file.ts';
import { Dispatcher } from '../lib/pool/dispatcher.ts';
import type { Call } from '../lib/pool/protocol.ts';
import { StatementCache } from '../lib/pool/statement-cache.ts';
import { ThreadHandle } from '../lib/pool/thread-handle.ts';
import { type Ticket, WaitQueue } from '../lib/pool/wait-queue.ts';
import { ownEnvironment } from '../lib/runtime/environment.ts';
import { CallLog } from '../lib/sql/call-log.ts';
import { hold, outcomes } from './fixtures/conformance/setting.ts';
import { engineOptions, openEngine } from './fixtures/open-engine.ts';
import * as p from './fixtures/procedures.ts';
import { holds } from './fixtures/property.ts';
import * as q from './fixtures/sqlite-procedures.ts';

const broken = (invariant: string) => ({ name: 'InvariantError', invariant, message: /please report/ });

const RULES: FileRules = { create: true, readOnly: false, allowRollbackJournal: false };

t.test('a database file is made once, for its owner alone, and told by its absolute path', async (t) => {
  const path = join(t.testdir(), 'catalogue.db');
  t.same(await prepareDatabaseFile(relative(process.cwd(), path), RULES), { path, created: true });
  t.equal((await stat(path)).mode & 0o777, 0o600);
  t.same(await prepareDatabaseFile(path, RULES), { path, created: false });
  t.same(await prepareDatabaseFile(path, { ...RULES, create: false }), { path, created: false });
});

t.test('a file that is missing is only made where it may be', async (t) => {
  const path = join(t.testdir(), 'missing.db');
  const missing = { code: 'CATALOG_NOT_FOUND', message: `${path} does not exist`, hint: /create: true/ };
  await t.rejects(prepareDatabaseFile(path, { ...RULES, create: false }), missing);
  await t.rejects(prepareDatabaseFile(path, { ...RULES, readOnly: true }), {
    ...missing,
    hint: /readOnly no file is created/,
  });
  await t.rejects(prepareDatabaseFile(join(path, 'in.db'), RULES), { code: 'CATALOG_IO', hint: /the folder exists/ });
});

t.test('no database is made over the log of one that was moved away', async (t) => {
  const folder = t.testdir({ 'gone.db-wal': 'log', 'empty.db': '', 'empty.db-wal': 'log', 'back.db-journal': 'log' });
  const at = (name: string) => join(folder, name);
  const hint = /Put the database back/;
  for (const [name, code, message] of [
    ['gone.db', 'CATALOG_CONFLICT', 'gone.db-wal holds changes of a missing database'],
    ['back.db', 'CATALOG_CONFLICT', 'back.db-journal holds changes of a missing database'],
    ['empty.db', 'CATALOG_CORRUPT', 'empty.db is empty, but its log is not'],
  ] as const) {
    await t.rejects(prepareDatabaseFile(at(name), RULES), { code, message: at(message), hint });
  }
  t.same((await readdir(folder)).sort(), ['back.db-journal', 'empty.db', 'empty.db-wal', 'gone.db-wal'], 'as it was');
  const missing = { code: 'CATALOG_NOT_FOUND' };
  await t.rejects(prepareDatabaseFile(at('gone.db'), { ...RULES, create: false }), missing);
  await writeFile(at('gone.db'), 'the database');
  t.same(await prepareDatabaseFile(at('gone.db'), RULES), { path: at('gone.db'), created: false });
  await writeFile(at('new.db-wal'), '');
  t.same(await prepareDatabaseFile(at('new.db'), RULES), { path: at('new.db'), created: true }, 'an empty log is none');
});

t.test('what is no file, or no name the driver would take as it is, is refused', async (t) => {
  const folder = t.testdir({ file: '' });
  const refused = { name: 'ValidationError', field: 'database' };
  const names = ['', ':memory:', 'file:x.db', 'file:x.db?mode=memory', 'x\0.db', 'x.db ', '\tx.db', ' ', folder];
  for (const name of names) await t.rejects(prepareDatabaseFile(name, RULES), refused, JSON.stringify(name));
  await mkdir(join(folder, 'inner'));
  await t.rejects(prepareDatabaseFile(join(folder, 'inner'), RULES), { ...refused, accepted: 'the path of a file' });
  const inFile = join(folder, 'file', 'in.db');
  await t.rejects(prepareDatabaseFile(inFile, { ...RULES, create: false }), {
    code: 'CATALOG_IO',
    message: /cannot be read/,
  });
});

t.test(
  'a network file system is refused, whether the folder or the file is on it, unless that is allowed',
  async (t) => {
    const folder = t.testdir({ 'there.db': '' });
    await symlink(join(folder, 'there.db'), join(folder, 'link.db'));
    const [missing, there] = [join(folder, 'missing.db'), join(folder, 'there.db')];
    for (const [type, name] of [
      [0x6969, 'NFS'],
      [0x517b, 'SMB'],
      [0xff534d42 | 0, 'CIFS'],
      [0xfe534d42, 'SMB2'],
    ] as const) {
      const refused = { code: 'CATALOG_IO', message: new RegExp(`network file system \\(${name}\\)`) };
      await t.rejects(
        prepareDatabaseFile(missing, RULES, async () => type),
        refused,
      );
      const fileAlone = async (path: string) => (path === there ? type : 0xef53);
      await t.rejects(prepareDatabaseFile(there, RULES, fileAlone), refused);
      const folderAlone = async (path: string) => (path === folder ? type : Promise.reject(new Error('ENOENT')));
      await t.rejects(prepareDatabaseFile(missing, RULES, folderAlone), refused);
      const allowed = { ...RULES, allowRollbackJournal: true };
      t.same(await prepareDatabaseFile(there, allowed, async () => type), { path: there, created: false });
    }
    const unknown = () => Promise.reject(new Error('ENOSYS'));
    t.same(await prepareDatabaseFile(missing, RULES, unknown), { path: missing, created: true });
  },
);

t.test('a statement is prepared once, tuples apart from objects, and the longest unused is dropped', async (t) => {
  const database = new Database(':memory:');
  t.teardown(() => database.close());
  const cache = new StatementCache(database, 4);
  const get = (n: number, raw = false) => cache.get(`SELECT ${n} AS n`, raw);
  const first = get(1);
  t.equal(get(1), first);
  t.not(get(1, true), first);
  t.same([get(1).all([]), get(1, true).all([])], [[{ n: 1 }], [[1]]]);
  const [second, third] = [get(2), get(3)];
  t.equal(get(1), first, 'used again, so it outlives the others');
  t.same(
    [get(4), get(5)].map((statement) => statement.all([])),
    [[{ n: 4 }], [{ n: 5 }]],
  );
  t.equal(get(1), first);
  t.not(get(2), second);
  t.not(get(3), third);
  t.doesNotThrow(() => cache.get('CREATE TABLE made (n)', true).run([]));
});

t.test('a statement cache never holds more than its limit, whatever is asked of it', async (t) => {
  const database = new Database(':memory:');
  t.teardown(() => database.close());
  const property = fc.property(
    fc.array(fc.nat(20), { maxLength: 80 }),
    fc.integer({ min: 1, max: 8 }),
    (asked, limit) => {
      const cache = new StatementCache(database, limit);
      for (const n of asked) {
        const statement = cache.get(`SELECT ${n}`, true);
        deepStrictEqual(statement.get([]), [n]);
        strictEqual(cache.get(`SELECT ${n}`, true), statement);
        strictEqual(cache.size <= limit, true);
      }
    },
  );
  await holds(t, property);
});

t.test('a queue gives calls away in order, in rounds of a size, and those that run alone by themselves', async (t) => {
  const calls = fc.array(fc.boolean(), { maxLength: 40 });
  const property = fc.property(calls, fc.integer({ min: 1, max: 9 }), (alone, most) => {
    const queue = new WaitQueue({ limit: 100, timeoutMs: 60_000 });
    for (const [i, isAlone] of alone.entries()) void queue.add([`${i}`, null], { alone: isAlone, brief: false }, {});
    const rounds: Ticket[][] = [];
    while (queue.length > 0) rounds.push(queue.take(most));
    deepStrictEqual(
      rounds.flat().map(({ call: [name] }) => Number(name)),
      alone.map((_, i) => i),
    );
    strictEqual(
      rounds.every((round) => round.length <= most),
      true,
    );
    strictEqual(
      rounds.every((round) => round.length === 1 || round.every((ticket) => !ticket.alone)),
      true,
    );
    for (const round of rounds.slice(0, -1)) {
      const next = alone[rounds.slice(0, rounds.indexOf(round) + 1).flat().length];
      strictEqual(round.length === most || round[0]?.alone || next, true, 'a round is as full as it may be');
    }
    deepStrictEqual(queue.take(most), []);
    queue.rejectAll(new Error('nothing waits'));
  });
  await holds(t, property);
});

t.test('whoever gives up leaves the queue, and the others keep their order, however many go at once', async (t) => {
  const property = fc.asyncProperty(fc.array(fc.nat(2), { maxLength: 60 }), async (kinds) => {
    const queue = new WaitQueue({ limit: 100, timeoutMs: 60_000 });
    const controllers = [new AbortController(), new AbortController()];
    const outcomes = kinds.map((kind, i) =>
      queue
        .add([`${i}`, null], { alone: false, brief: false }, { signal: controllers[kind]?.signal })
        .catch((reason: unknown) => reason),
    );
    controllers[0]?.abort('enough');
    const left = kinds.map((kind, i) => ({ kind, i })).filter(({ kind }) => kind !== 0);
    strictEqual(queue.length, left.length);
    strictEqual(queue.figures.expired, kinds.length - left.length);
    const taken = queue.take(100);
    deepStrictEqual(
      taken.map(({ call: [name] }) => Number(name)),
      left.map(({ i }) => i),
    );
    controllers[1]?.abort('too late');
    for (const ticket of taken) ticket.resolve('answered');
    deepStrictEqual(
      await Promise.all(outcomes),
      kinds.map((kind) => (kind === 0 ? 'enough' : 'answered')),
    );
    queue.rejectAll(new Error('nothing waits'));
  });
  await holds(t, property);
});

t.test('a message carries no more than 256 reads or 512 writes', async (t) => {
  const engine = await openEngine(t, { poolSize: 2 });
  await engine.run(p.createTables, null);
  const [reading, writing] = [await hold(engine, 'read'), await hold(engine, 'write')];
  const reads = Array.from({ length: 600 }, () => engine.run(p.counted, 'nothing'));
  const writes = Array.from({ length: 1_200 }, () => engine.run(p.count, 'calls'));
  await Promise.all([reading.giveBack(), writing.giveBack()]);
  t.same(await outcomes(reads), Array(600).fill(0));
  t.same(
    await outcomes(writes),
    Array.from({ length: 1_200 }, (_, i) => i + 1),
  );
  t.match(engine.stats(), {
    reads: { calls: 600, rounds: 3, largestRound: 256, maxWaiting: 600 },
    writes: { calls: 1_201, rounds: 4, largestRound: 512, maxWaiting: 1_200 },
  });
});

async function openThread(t: Test): Promise<ThreadHandle> {
  const database = join(t.testdir(), 'catalogue.db');
  await writeFile(database, '');
  const thread = await ThreadHandle.open(engineOptions(database), { onLost() {}, onBeforeCommitFailed() {} });
  t.teardown(() => thread.close());
  return thread;
}

t.test('a thread takes one request at a time, and single calls only in a transaction', async (t) => {
  const thread = await openThread(t);
  const call: Call = [p.slowSum.name, 10];
  const first = thread.request({ kind: 'batch', calls: [call] });
  await t.rejects(thread.request({ kind: 'batch', calls: [call] }), broken('a connection has one request at a time'));
  t.match(await first, { outcomes: [{ ok: true, value: 55 }], broken: false });
  for (const request of [
    { kind: 'call', call },
    { kind: 'end', commit: true },
  ] as const) {
    const { outcomes } = await thread.request(request);
    t.match(outcomes, [
      { ok: false, error: { code: 'CATALOG_CONFLICT', message: 'the connection has no open transaction' } },
    ]);
  }
});

t.test('a thread that was ended is asked nothing, and what had committed before is not in doubt', async (t) => {
  const thread = await openThread(t);
  await thread.request({ kind: 'group', calls: [[p.createTables.name, null]] });
  await thread.kill();
  const lost = { code: 'CATALOG_IO', retryable: true };
  await t.rejects(thread.request({ kind: 'group', calls: [[p.appendNote.name, 'never']] }), lost);
});

t.test('the module of a connection runs nowhere but on a thread or in a process of its own', async (t) => {
  const module = fileURLToPath(new URL('../lib/pool/connection-thread.ts', import.meta.url));
  const run = promisify(execFile)(process.execPath, [module], { env: ownEnvironment() });
  await t.rejects(run, {
    code: 1,
    stderr: /TypeError: connection-thread.ts runs as a worker thread only, or as the process of a connection/,
  });
});

t.test('a pool that is closed gives nobody a connection', async (t) => {
  const database = join(t.testdir(), 'catalogue.db');
  await writeFile(database, '');
  const pool = new ConnectionPool(engineOptions(database), { size: 1, acquireTimeoutMs: 30_000, queueLimit: 1 });
  await pool.release(await pool.acquire());
  await pool.close();
  await t.rejects(pool.acquire(), { code: 'CATALOG_CLOSED' });
});

async function openPool(t: Test, size: number): Promise<ConnectionPool> {
  const database = join(t.testdir(), 'catalogue.db');
  await writeFile(database, '');
  const pool = new ConnectionPool(engineOptions(database), { size, acquireTimeoutMs: 30_000, queueLimit: 100 });
  t.teardown(() => pool.close());
  return pool;
}

const groupsOver = (pool: ConnectionPool, log = new CallLog()) =>
  new Dispatcher(pool, 'group', { limit: 100, timeoutMs: 30_000 }, log);

t.test('a call that is settled twice breaks an invariant; no call behind it waits for ever', async (t) => {
  const queue = new WaitQueue({ limit: 10, timeoutMs: 30_000 });
  const result = queue.add(['test.any', null], { alone: false, brief: false }, {});
  const [ticket] = queue.take(1);
  ticket?.resolve('first');
  t.throws(() => ticket?.resolve('second'), broken('a call is settled once'));
  t.throws(() => ticket?.reject(new RangeError('second')), broken('a call is settled once'));
  t.equal(await result, 'first');

  const pool = await openPool(t, 1);
  const log = new CallLog();
  const dispatcher = groupsOver(pool, log);
  await dispatcher.run(p.createTables, null, {});
  const { take } = WaitQueue.prototype;
  t.intercept(WaitQueue.prototype, 'take', {
    value(this: WaitQueue, most: number) {
      return take.call(this, most).flatMap((one, place) => (place === 0 ? [one, one] : [one]));
    },
  });
  const calls = ['one', 'two'].map((text) => dispatcher.run(p.appendNote, text, {}));
  t.same(await outcomes(calls), [1, 'InvariantError']);
  t.same(log.figures().failures, { other: 2 }, 'the defect and the call that it failed are counted');
});

t.test('two groups of writes at a time break an invariant', async (t) => {
  const pool = await openPool(t, 2);
  const dispatcher = groupsOver(pool);
  const gate = new SharedArrayBuffer(4);
  const first = dispatcher.run(q.writeUntil, gate, {});
  while (dispatcher.figures().rounds === 0) await new Promise(setImmediate);
  await t.rejects(dispatcher.run(p.createTables, null, {}), broken('one group writes at a time'));
  Atomics.store(new Int32Array(gate), 0, 1);
  Atomics.notify(new Int32Array(gate), 0);
  t.not(await first, 'timed-out', 'the first group is not disturbed');
});

t.test('a connection that is given to a second owner breaks an invariant, and so does one too many', async (t) => {
  const pool = await openPool(t, 1);
  const thread = await pool.acquire();
  const { acquire } = Pool.prototype;
  t.intercept(Pool.prototype, 'acquire', { value: async () => thread });
  await t.rejects(pool.acquire(), broken('a connection has one owner'));
  const other = await openThread(t);
  t.intercept(Pool.prototype, 'acquire', { value: async () => other });
  await t.rejects(pool.acquire(), broken('a pool lends no more connections than it has'));
  t.intercept(Pool.prototype, 'acquire', { value: acquire });
  await pool.release(thread);
});

t.test('a connection that leaves a transaction open is replaced, and its calls hear of the defect', async (t) => {
  const engine = await openEngine(t, { poolSize: 2 });
  await engine.run(p.createTables, null);
  const note = { id: 1, text: 'unwanted' };
  const left: Promise<unknown>[] = [engine.run(q.leaveOpen, note), engine.run(p.appendNote, 'unwanted')];
  for (const call of left) await t.rejects(call, broken('a returned connection is in no transaction'));
  t.equal(await engine.run(p.appendNote, 'after'), 1, 'nothing of it was stored');
  t.match(engine.stats().writers, { created: 2, lost: 1 });
});

t.test('an answer too few breaks an invariant for each call of the message', async (t) => {
  const engine = await openEngine(t, { poolSize: 2 });
  await engine.run(p.createTables, null);
  const { giveBack } = await hold(engine, 'read');
  const calls = [engine.run(p.readNote, 1), engine.run(q.loseAnswer, null), engine.run(p.readNote, 2)];
  const settled = outcomes(calls);
  await giveBack();
  t.same(await settled, Array(3).fill('InvariantError'));
  await t.rejects(engine.run(q.loseAnswer, null), broken('each call of a request has one answer'));
  t.equal(await engine.run(p.readNote, 1), null, 'another connection takes its place');
});

t.test(
  'a writing connection without a write-ahead log breaks an invariant, however the setting answered',
  async (t) => {
    const { pragma } = Database.prototype;
    t.intercept(Database.prototype, 'pragma', {
      value(this: Database.Database, text: string, options?: Database.PragmaOptions) {
        return text === 'journal_mode = WAL' ? 'wal' : pragma.call(this, text, options);
      },
    });
    const open = (settings: Parameters<typeof engineOptions>[1]) =>
      new Connection(engineOptions(':memory:', settings), new Map(), new Int32Array(1));
    t.throws(() => open({}), broken('a writing connection keeps a write-ahead log'));
    t.doesNotThrow(() => open({ allowRollbackJournal: true }).close());
  },
);

/** Transactions on one connection, disturbed where no whole engine can be: commits that fail, calls that cannot be undone. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DatabaseError } from '../lib/errors.ts';
import { BeforeCommit } from '../lib/pool/before-commit.ts';
import { runGroup } from '../lib/pool/commit-group.ts';
import { Connection } from '../lib/pool/connection.ts';
import { type Call, PHASE } from '../lib/pool/protocol.ts';
import { runBatch } from '../lib/pool/read-batch.ts';
import { classify, classifyStatement, commitFailedCleanly } from '../lib/pool/sqlite-errors.ts';
import { assertSqliteVersion } from '../lib/pool/sqlite-version.ts';
import { Transaction } from '../lib/pool/transaction.ts';
import { createRegistry } from '../lib/sql/procedure.ts';
import { engineOptions } from './fixtures/open-engine.ts';
import * as p from './fixtures/procedures.ts';
import * as q from './fixtures/sqlite-procedures.ts';

const driverError = (code: string, message = 'disturbed') => Object.assign(new Error(message), { code });

/** A connection whose commits, and other transaction control, fail as they are told to. */
class Disturbed extends Connection {
  commits: (Error | undefined)[] = [];
  refused: string | undefined;

  override commit(): void {
    const failure = this.commits.shift();
    if (failure !== undefined) throw failure;
    super.commit();
  }

  override control(text: Parameters<Connection['control']>[0]): void {
    if (text === this.refused) throw driverError('SQLITE_IOERR');
    super.control(text);
  }
}

async function disturbed(t: Test): Promise<{ connection: Disturbed; phase: Int32Array }> {
  const database = join(t.testdir(), 'catalogue.db');
  await writeFile(database, '');
  const phase = new Int32Array(new SharedArrayBuffer(4));
  const connection = new Disturbed(engineOptions(database), createRegistry([p, q]), phase);
  t.teardown(() => connection.close());
  runGroup(connection, [[p.createTables.name, null]]);
  return { connection, phase };
}

const append = (text: string): Call => [p.appendNote.name, text];
const failing: Call = [p.failAfterWriting.name, { id: 90, text: 'unwanted' }];

/** Values, and for failures their codes. */
const short = (outcomes: ReturnType<typeof runGroup>) =>
  outcomes.map((outcome) => (outcome.ok ? outcome.value : (outcome.error.code ?? outcome.error.name)));

const stored = (connection: Connection) => {
  const [outcome] = runBatch(connection, [[p.listNotes.name, null]]);
  return outcome?.ok && (outcome.value as p.Note[]).map(({ text }) => text);
};

t.test(
  'a commit that fails half-way leaves every call of its group indeterminate, and ends the connection',
  async (t) => {
    const { connection } = await disturbed(t);
    connection.commits = [driverError('SQLITE_IOERR_FSYNC')];
    const outcomes = runGroup(connection, [append('one'), [p.failBeforeWriting.name, 1], append('two')]);
    t.same(short(outcomes), ['CATALOG_INDETERMINATE', 'CATALOG_NOT_FOUND', 'CATALOG_INDETERMINATE']);
    t.match(outcomes[0], { error: { cause: { message: 'disturbed', fields: { driverCode: 'SQLITE_IOERR_FSYNC' } } } });
    t.equal(connection.broken, true);
    t.equal(connection.inTransaction, false);
  },
);

t.test('a commit that fails for want of room or by a lock is made again, call by call', async (t) => {
  for (const code of ['SQLITE_FULL', 'SQLITE_BUSY', 'SQLITE_CONSTRAINT_FOREIGNKEY']) {
    const { connection } = await disturbed(t);
    connection.commits = [driverError(code), undefined, driverError(code)];
    t.same(short(runGroup(connection, [append('one'), append('two'), append('three')])), [
      1,
      { SQLITE_FULL: 'CATALOG_FULL', SQLITE_BUSY: 'CATALOG_BUSY' }[code] ?? 'CATALOG_CONFLICT',
      2,
    ]);
    t.same(stored(connection), ['one', 'three'], code);
    t.equal(connection.broken, false);
  }
});

t.test('once a commit has failed half-way, the calls after it are not tried on that connection', async (t) => {
  const { connection } = await disturbed(t);
  connection.commits = [driverError('SQLITE_FULL'), driverError('SQLITE_IOERR_WRITE')];
  const outcomes = runGroup(connection, [append('one'), append('two'), append('three')]);
  t.same(short(outcomes), ['CATALOG_INDETERMINATE', 'CATALOG_IO', 'CATALOG_IO']);
  t.match(outcomes[1], { error: { fields: { retryable: true }, message: /nothing of this call was stored/ } });
});

t.test(
  'the phase says "committing" from the commit on, so that a dead thread is known to have been there',
  async (t) => {
    const { connection, phase } = await disturbed(t);
    Atomics.store(phase, 0, PHASE.begun);
    connection.beginImmediate();
    connection.run(append('one'), 'write');
    t.equal(Atomics.load(phase, 0), PHASE.begun);
    connection.commit();
    t.equal(Atomics.load(phase, 0), PHASE.committing);
  },
);

t.test('a call that cannot be undone alone takes its transaction with it; the others are stored', async (t) => {
  const { connection } = await disturbed(t);
  connection.refused = 'ROLLBACK TO one';
  const outcomes = runGroup(connection, [append('one'), failing, append('two')]);
  t.same(short(outcomes), [1, 'CATALOG_CONFLICT', 2]);
  t.same(stored(connection), ['one', 'two']);
  t.equal(connection.broken, false);
});

t.test('calls that follow each other run as one; one that fails sends each on its own way', async (t) => {
  const { connection } = await disturbed(t);
  const together = (...texts: string[]) => texts.map((text): Call => [p.appendTogether.name, text]);
  t.same(short(runGroup(connection, together('a', 'refused', 'b'))), [3, 'CATALOG_NOT_FOUND', 3]);
  t.same(short(runGroup(connection, [...together('c'), append('d'), ...together('e', 'f')])), [1, 4, 2, 2]);
  t.same(short(runGroup(connection, [...together('g', 'fails', 'h'), append('i')])), [1, 'CATALOG_CONFLICT', 1, 9]);
  t.same(short(runGroup(connection, [...together('j', 'k'), failing])), [1, 1, 'CATALOG_CONFLICT']);
  t.same(stored(connection), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k'], 'in their order, each once');
  connection.commits = [driverError('SQLITE_FULL')];
  t.same(short(runGroup(connection, together('l', 'm'))), [1, 1], 'a commit that failed is made again, call by call');
});

t.test('a connection that cannot roll back is broken', async (t) => {
  const { connection } = await disturbed(t);
  connection.beginImmediate();
  connection.refused = 'ROLLBACK';
  connection.rollback();
  t.equal(connection.broken, true);
  connection.refused = undefined;
  connection.rollback();
});

t.test('a transaction whose commit fails half-way is indeterminate; one that fails cleanly says why', async (t) => {
  const { connection } = await disturbed(t);
  const commits = (failure: Error) => {
    const transaction = new Transaction(connection, 'write', true);
    transaction.run(append('one'));
    connection.commits = [failure];
    transaction.end(true);
  };
  t.throws(() => commits(driverError('SQLITE_FULL')), { code: 'CATALOG_FULL' });
  t.equal(connection.broken, false);
  t.throws(() => commits(driverError('SQLITE_IOERR')), {
    code: 'CATALOG_INDETERMINATE',
    cause: { code: 'SQLITE_IOERR' },
  });
  t.equal(connection.broken, true);
  t.same(stored(connection), []);
});

t.test('a group that cannot begin is refused whole, and nothing of it runs', async (t) => {
  const { connection } = await disturbed(t);
  connection.beginImmediate(); // so that the group cannot
  t.same(short(runGroup(connection, [append('one'), append('two')])), ['CATALOG_SQL', 'CATALOG_SQL']);
  connection.rollback();
  t.same(stored(connection), []);
});

t.test('a transaction that cannot begin leaves foreign keys on', async (t) => {
  const { connection } = await disturbed(t);
  connection.refused = 'BEGIN';
  t.throws(() => new Transaction(connection, 'read', true), { code: 'SQLITE_IOERR' });
  connection.refused = undefined;
  t.match(runGroup(connection, [[q.writerSettings.name, null]]), [{ value: { foreign_keys: 1 } }]);
});

t.test('a database that cannot be switched to write-ahead logging is refused, unless that is allowed', async (t) => {
  const open = (allowRollbackJournal: boolean) =>
    new Connection(engineOptions(':memory:', { allowRollbackJournal }), new Map(), new Int32Array(1));
  t.throws(() => open(false), {
    code: 'CATALOG_IO',
    message: /journal mode stays memory/,
    hint: /allowRollbackJournal/,
  });
  t.doesNotThrow(() => open(true).close());
});

t.test('SQLite releases that can corrupt a log are refused', async (t) => {
  const refused = ['3.51.2', '3.50.9', '2.99.99', '3.51', '3', ''];
  for (const version of refused) t.throws(() => assertSqliteVersion(version), { code: 'CATALOG_IO' }, version);
  for (const version of ['3.51.3', '3.52.0', '3.54.0', '4.0.0']) t.doesNotThrow(() => assertSqliteVersion(version));
});

t.test('every result code of SQLite becomes one of our codes, by its primary code', async (t) => {
  const expected: Record<string, string> = {
    SQLITE_BUSY: 'CATALOG_BUSY',
    SQLITE_BUSY_SNAPSHOT: 'CATALOG_BUSY',
    SQLITE_LOCKED_SHAREDCACHE: 'CATALOG_BUSY',
    SQLITE_PROTOCOL: 'CATALOG_BUSY',
    SQLITE_FULL: 'CATALOG_FULL',
    SQLITE_IOERR_FSYNC: 'CATALOG_IO',
    SQLITE_CANTOPEN_ISDIR: 'CATALOG_IO',
    SQLITE_PERM: 'CATALOG_IO',
    SQLITE_NOMEM: 'CATALOG_IO',
    SQLITE_NOLFS: 'CATALOG_IO',
    SQLITE_CORRUPT_INDEX: 'CATALOG_CORRUPT',
    SQLITE_NOTADB: 'CATALOG_CORRUPT',
    SQLITE_READONLY_DBMOVED: 'CATALOG_READ_ONLY',
    SQLITE_CONSTRAINT_UNIQUE: 'CATALOG_CONFLICT',
    SQLITE_INTERRUPT: 'CATALOG_TIMEOUT',
    SQLITE_ERROR: 'CATALOG_SQL',
    SQLITE_MISMATCH: 'CATALOG_SQL',
  };
  const classified = Object.keys(expected).map((code) => classify(driverError(code)) as DatabaseError);
  t.same(
    classified.map(({ code }) => code),
    Object.values(expected),
  );
  t.same(
    classified.map(({ message }) => message),
    Object.keys(expected).map((code) => `disturbed (${code})`),
  );
  for (const other of ['text', undefined, new RangeError('ours'), Object.assign(new Error('no'), { code: 'ENOENT' })]) {
    t.equal(classify(other), other, 'everything else passes as it is');
  }
  const own = new DatabaseError('CATALOG_FULL', 'zq');
  t.equal(classifyStatement(own, '', ['zq']), own);
  t.equal(classifyStatement('text', '', []), 'text');
  const stackless = Object.assign(driverError('SQLITE_ERROR', 'bad zq'), { stack: undefined });
  t.match(classifyStatement(stackless, 'SELECT ?', ['zq', 5, null]), { message: 'bad … (SQLITE_ERROR)' });
});

t.test('only a commit that was stopped before its record can have been whole has failed cleanly', async (t) => {
  const clean = ['SQLITE_FULL', 'SQLITE_BUSY', 'SQLITE_BUSY_RECOVERY', 'SQLITE_CONSTRAINT_COMMITHOOK'];
  const unknown = ['SQLITE_IOERR', 'SQLITE_IOERR_FSYNC', 'SQLITE_NOMEM', 'SQLITE_CORRUPT', 'SQLITE_ERROR', 'ENOSPC'];
  t.same(
    [...clean, ...unknown].map((code) => commitFailedCleanly(driverError(code))),
    [...clean.map(() => true), ...unknown.map(() => false)],
  );
  t.equal(commitFailedCleanly('text'), false);
});

const tallied = (connection: Connection) => {
  const [outcome] = runBatch(connection, [[p.counted.name, 'tally']]);
  return outcome?.ok && outcome.value;
};

t.test('the before-commit hook runs once for each that wrote', async (t) => {
  const { connection } = await disturbed(t);
  const beforeCommit = new BeforeCommit(p.tally.name);
  t.same(short(runGroup(connection, [append('one'), append('two'), failing], beforeCommit)), [
    1,
    2,
    'CATALOG_CONFLICT',
  ]);
  t.equal(tallied(connection), 1);
  runGroup(
    connection,
    [
      [p.failBeforeWriting.name, 1],
      [p.unknownTo('write').name, null],
    ],
    beforeCommit,
  );
  t.equal(tallied(connection), 1, 'nothing was written');
  for (const commit of [true, false]) {
    const transaction = new Transaction(connection, 'write', false, beforeCommit);
    transaction.run(append('more'));
    transaction.end(commit);
  }
  const reading = new Transaction(connection, 'write', false, beforeCommit);
  reading.run([p.slowSum.name, 3]);
  reading.end(true);
  t.equal(tallied(connection), 2, 'only the transaction that was stored counted');
  t.equal(beforeCommit.takeFailure(), null);
});

t.test('when the hook fails, what was written is stored all the same, and it rests a minute', async (t) => {
  for (const procedure of [p.failingTally, q.ruinousTally]) {
    const { connection } = await disturbed(t);
    const beforeCommit = new BeforeCommit(procedure.name);
    let now = 1_000_000;
    t.intercept(performance, 'now', { value: () => now });
    t.same(short(runGroup(connection, [append('one'), append('two')], beforeCommit)), [1, 2]);
    t.same(stored(connection), ['one', 'two']);
    t.match(beforeCommit.takeFailure(), { message: /no tally today|NOT NULL/ });
    t.equal(beforeCommit.takeFailure(), null, 'told once');
    now += 59_999;
    t.same(short(runGroup(connection, [append('three')], beforeCommit)), [3]);
    t.equal(beforeCommit.takeFailure(), null, 'rests');
    now += 1;
    t.same(short(runGroup(connection, [append('four')], beforeCommit)), [4]);
    t.match(beforeCommit.takeFailure(), { message: /no tally today|NOT NULL/ });
    t.equal(tallied(connection), 0);
  }
});

t.test('a transaction that the hook takes with it is refused; the next goes on without it', async (t) => {
  const { connection } = await disturbed(t);
  const beforeCommit = new BeforeCommit(q.ruinousTally.name);
  const tallying = () => {
    const transaction = new Transaction(connection, 'write', false, beforeCommit);
    transaction.run(append('more'));
    transaction.end(true);
  };
  t.throws(tallying, { name: 'ConflictError', code: 'CATALOG_CONFLICT' });
  t.same(stored(connection), []);
  tallying();
  t.same(stored(connection), ['more']);
});

/** What becomes of calls when SQLite, a procedure or a whole thread fails under them: exactly the guilty fail. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { inspect } from 'node:util';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { SqliteEngine, SqliteEngineOptions } from '../lib/pool/sqlite-engine.ts';
import type { Executor } from '../lib/sql/engine.ts';
import { outcomes, texts } from './fixtures/conformance/setting.ts';
import { openEngine } from './fixtures/open-engine.ts';
import * as p from './fixtures/procedures.ts';
import { holds } from './fixtures/property.ts';
import * as q from './fixtures/sqlite-procedures.ts';

t.setTimeout(300_000);

async function withTables(t: Test, options: Partial<SqliteEngineOptions> = {}): Promise<SqliteEngine> {
  const engine = await openEngine(t, { poolSize: 2, ...options });
  await engine.run(p.createTables, null);
  return engine;
}

t.test('a full disk fails the call that filled it; the others of its group are stored', async (t) => {
  const engine = await withTables(t);
  await engine.run(q.limitGrowth, 40);
  const group = [
    engine.run(p.appendNote, 'one'),
    engine.run(q.addHugeNote, { id: 50, bytes: 5_000_000 }),
    engine.run(p.appendNote, 'two'),
    engine.run(p.failBeforeWriting, 9),
  ];
  t.same(await outcomes(group), [1, 'CATALOG_FULL', 2, 'CATALOG_NOT_FOUND']);
  t.same(await texts(engine), ['one', 'two']);
  const transaction = engine.transaction('write', (tx) => tx.run(q.addHugeNote, { id: 51, bytes: 5_000_000 }));
  await t.rejects(transaction, { code: 'CATALOG_FULL', retryable: false, hint: /Free some disk space/ });
  await engine.run(q.limitGrowth, 0);
  t.equal(await engine.run(q.addHugeNote, { id: 52, bytes: 5_000_000 }), 52);
});

t.test('a statement that rolls back the whole transaction costs its own call alone', async (t) => {
  const engine = await withTables(t);
  await engine.run(p.addNote, { id: 1, text: 'before' });
  const group = [
    engine.run(p.appendNote, 'one'),
    engine.run(p.failAfterWriting, { id: 60, text: 'unwanted' }),
    engine.run(q.addOrRollBack, { id: 1, text: 'taken' }),
    engine.run(p.appendNote, 'two'),
    engine.run(q.addOrRollBack, { id: 70, text: 'free' }),
  ];
  t.same(await outcomes(group), [2, 'CATALOG_CONFLICT', 'CATALOG_CONFLICT', 3, 70]);
  t.same(await texts(engine), ['before', 'one', 'two', 'free']);
});

t.test('a procedure that goes on after its transaction was rolled back stores nothing and fails', async (t) => {
  const engine = await withTables(t);
  await engine.run(p.addNote, { id: 1, text: 'before' });
  const stubborn = [
    { id: 2, text: 'rolled back' },
    { id: 1, text: 'taken', or: 'ROLLBACK' },
    { id: 3, text: 'outside of any transaction' },
  ];
  const group = [engine.run(p.appendNote, 'one'), engine.run(q.addWhatCan, stubborn), engine.run(p.appendNote, 'two')];
  t.same(await outcomes(group), [2, 'CATALOG_CONFLICT', 3]);
  t.same(await texts(engine), ['before', 'one', 'two']);
  await t.rejects(engine.run(q.addWhatCan, stubborn.slice(1, 2)), { code: 'CATALOG_CONFLICT', message: /notes\.id/ });
});

t.test('a procedure may catch the failure of one statement and go on', async (t) => {
  const engine = await withTables(t);
  const notes = [1, 2, 1, 3].map((id) => ({ id, text: `note ${id}` }));
  t.same(await engine.run(q.addWhatCan, notes), [1, 2, 3]);
  t.same(await texts(engine), ['note 1', 'note 2', 'note 3']);
});

t.test('a transaction whose transaction SQLite rolled back cannot go on', async (t) => {
  const engine = await withTables(t);
  await engine.run(p.addNote, { id: 1, text: 'before' });
  const cause = { code: 'CATALOG_CONFLICT', message: /UNIQUE constraint failed: notes\.id/ };
  const lost = {
    name: 'ConflictError',
    message: /an earlier failure rolled the transaction back/,
    hint: /Repeat the whole/,
    cause,
  };
  const transaction = engine.transaction('write', async (tx) => {
    await tx.run(p.appendNote, 'lost with the rest');
    await t.rejects(tx.run(q.addOrRollBack, { id: 1, text: 'taken' }), cause);
    await t.rejects(tx.run(p.appendNote, 'never'), lost);
  });
  await t.rejects(transaction, lost);
  t.same(await texts(engine), ['before']);
});

t.test('a commit that a constraint stops fails the call to blame; the others are stored', async (t) => {
  const engine = await withTables(t);
  await engine.run(q.createFamily, null);
  const child = (id: number, orphan = false) => engine.run(q.addChild, { id, orphan });
  t.same(await outcomes([child(1), child(2, true), child(3)]), [1, 'CATALOG_CONFLICT', 3]);
  t.same(await engine.run(q.listChildren, null), [1, 3]);
  await t.rejects(child(4, true), { code: 'CATALOG_CONFLICT', retryable: false, message: /FOREIGN KEY/ });
  const transaction = engine.transaction('write', (tx) => tx.run(q.addChild, { id: 5, orphan: true }));
  await t.rejects(transaction, { code: 'CATALOG_CONFLICT', message: /FOREIGN KEY/ });
  t.equal(await child(6), 6);
  t.same(await engine.run(q.listChildren, null), [1, 3, 6]);
});

t.test('whichever calls of a group roll back, orphan or fill, exactly the innocent are stored', async (t) => {
  const engine = await withTables(t);
  await engine.run(q.createFamily, null);
  await engine.run(p.addNote, { id: 0, text: 'taken' });
  const calls = {
    innocent: (id: number) => engine.run(q.addChild, { id }),
    orphan: (id: number) => engine.run(q.addChild, { id, orphan: true }),
    rollBack: () => engine.run(q.addOrRollBack, { id: 0, text: 'x' }),
    stubborn: (id: number) =>
      engine.run(q.addWhatCan, [
        { id: 0, text: 'x', or: 'ROLLBACK' },
        { id, text: 'x' },
      ]),
    failing: (id: number) => engine.run(p.failAfterWriting, { id, text: 'x' }),
  };
  type Kind = keyof typeof calls;
  const kinds = fc.array(fc.constantFrom(...(Object.keys(calls) as Kind[])), { minLength: 1, maxLength: 25 });
  let next = 1;
  const stored: number[] = [];
  const property = fc.asyncProperty(kinds, async (group) => {
    const numbered = group.map((kind): [Kind, number] => [kind, next++]);
    const expected = numbered.map(([kind, id]) => (kind === 'innocent' ? id : 'CATALOG_CONFLICT'));
    deepStrictEqual(await outcomes(numbered.map(([kind, id]) => calls[kind](id))), expected);
    stored.push(...numbered.filter(([kind]) => kind === 'innocent').map(([, id]) => id));
    deepStrictEqual(await engine.run(q.listChildren, null), stored);
    deepStrictEqual(await texts(engine), ['taken']);
  });
  await holds(t, property, { numRuns: 40, sample: 10 });
});

const SPILLING: Readonly<Record<string, (word: string) => { text: string; values: unknown[] }>> = {
  'an odd JSON path': (word) => ({ text: "SELECT json_extract('{}', ?)", values: [`$${word}.a`] }),
  'a bad JSON path': (word) => ({ text: "SELECT json_extract('{}', ?)", values: [word] }),
  'a JSON path in bytes': (word) => ({ text: "SELECT json_extract('{}', ?)", values: [Buffer.from(word)] }),
  'a full-text column': (word) => ({ text: 'SELECT * FROM words WHERE words MATCH ?', values: [`${word}:x`] }),
  'a full-text phrase': (word) => ({ text: 'SELECT * FROM words WHERE words MATCH ?', values: [`{word} ${word}`] }),
  'a value too few': (word) => ({ text: 'SELECT ? || $missing', values: [word] }),
  'a value of no kind': (word) => ({ text: 'SELECT ?', values: [{ word }] }),
  'a raised message': (word) => ({ text: 'INSERT INTO guarded VALUES (?)', values: [word] }),
};

t.test('no error ever contains a value that was bound to its statement', async (t) => {
  const engine = await withTables(t);
  await engine.run(q.execute, 'CREATE VIRTUAL TABLE words USING fts5(word)');
  await engine.run(q.execute, 'CREATE TABLE guarded (word TEXT)');
  await engine.run(
    q.execute,
    `CREATE TRIGGER guard BEFORE INSERT ON guarded BEGIN
    SELECT RAISE(ABORT, 'not the word ' || NEW.word); END`,
  );
  const word = fc.stringMatching(/^[a-zäß]{3,12}$/).map((letters) => `zq${letters}`);
  const property = fc.asyncProperty(word, fc.constantFrom(...Object.keys(SPILLING)), async (secret, kind) => {
    const statement = SPILLING[kind]?.(secret) ?? { text: '' };
    const run = (tx: Executor) => tx.run(q.change, statement);
    const failures = await Promise.all([engine.run(q.change, statement), engine.transaction('write', run)].map(caught));
    for (const failure of failures) {
      strictEqual(failure?.name, 'DatabaseError', kind);
      strictEqual(inspect(failure, { depth: 9 }).includes(secret), false, inspect(failure));
    }
  });
  await holds(t, property, { numRuns: 80, sample: 20 });
  const missing = { code: 'CATALOG_SQL', message: /no such table: nowhere/ };
  await t.rejects(engine.run(q.query, { text: 'SELECT * FROM nowhere' }), missing, 'names of the statement stay');
});

const caught = (call: Promise<unknown>): Promise<Error | undefined> =>
  call.then(
    () => undefined,
    (error) => error,
  );

/** Procedures themselves: what drives them, who knows them, and what may be asked before a file is opened. */
import { strictEqual } from 'node:assert/strict';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t from 'tap';
import { LateRegistry } from '../lib/pool/late-registry.ts';
import { runPreflight } from '../lib/pool/preflight.ts';
import { sqliteDialect } from '../lib/pool/sqlite-dialect.ts';
import { perDialect } from '../lib/sql/dialect.ts';
import { all, createRegistry, driveAsync, driveSync, one, procedure, run, type Steps } from '../lib/sql/procedure.ts';
import { sql } from '../lib/sql/template.ts';
import { openEngine } from './fixtures/open-engine.ts';
import * as p from './fixtures/procedures.ts';
import { holds } from './fixtures/property.ts';
import * as q from './fixtures/sqlite-procedures.ts';

function* sums(numbers: readonly number[]): Steps<number> {
  let sum = 0;
  for (const number of numbers) {
    try {
      sum += (yield* one<number>(sql`SELECT ${number}`)) ?? 0;
    } catch {
      sum -= 1;
    }
  }
  if (sum < 0) yield* run(sql`SELECT ${sum}`);
  return sum;
}

t.test('a procedure comes to the same whether its statements answer at once or later', async (t) => {
  const answer = (value: unknown) => {
    if (Number(value) < 0) throw new RangeError(`${value}`);
    return value;
  };
  const end = async (call: () => unknown) => {
    try {
      return await call();
    } catch (error) {
      return (error as Error).message;
    }
  };
  const property = fc.asyncProperty(fc.array(fc.integer({ min: -3, max: 3 })), async (numbers) => {
    const atOnce = await end(() => driveSync(sums(numbers), ({ sql }) => answer(sql.values[0])));
    const later = await end(() => driveAsync(sums(numbers), async ({ sql }) => answer(sql.values[0])));
    strictEqual(later, atOnce);
    const sum = numbers.reduce((total, number) => total + (number < 0 ? -1 : number), 0);
    strictEqual(atOnce, sum < 0 ? `${sum}` : sum);
  });
  await holds(t, property);
});

t.test('a registry knows every exported procedure once, and refuses two of one name', async (t) => {
  const twin = procedure('test.count', 'write', () => sums([]));
  const registry = createRegistry([{ ...p }, { ...p, other: 5, none: null }]);
  t.equal(registry.get('test.count'), p.count);
  t.equal(registry.size, Object.values(p).filter((value) => typeof value === 'object').length);
  t.throws(() => createRegistry([p, { twin }]), { message: 'two procedures have the name test.count' });
  t.same([p.slowSum.alone, p.count.alone], [true, false]);
});

t.test('a fragment is built once for each dialect', async (t) => {
  const other = { ...sqliteDialect };
  const fragment = perDialect((dialect) => ({ dialect }));
  t.equal(fragment(sqliteDialect), fragment(sqliteDialect));
  t.same([fragment(sqliteDialect).dialect, fragment(other).dialect], [sqliteDialect, other]);
});

t.test('a preflight takes a known procedure, asks for objects and changes nothing', async (t) => {
  const path = join(t.testdir(), 'catalogue.db');
  const made = new Database(path);
  made.exec('CREATE TABLE notes (id, text)');
  made.close();
  const looking = procedure('look.ask', 'read', function* (id: number) {
    yield* one(sql`SELECT ${id}`);
    yield* all(sql`SELECT ${id}`);
  });
  const registry = createRegistry([p, { looking }]);
  const look = (name: string, input: unknown) => () =>
    runPreflight(path, [name, input], registry, { busyTimeoutMs: 100 });
  t.doesNotThrow(look(looking.name, 1));
  t.throws(look('look.unknown', null), { name: 'TypeError', message: 'the procedure look.unknown is not registered' });
  t.throws(look(p.addNote.name, { id: 1, text: 'unwanted' }), { name: 'TypeError', message: /changes nothing/ });
  t.throws(look(p.counted.name, 'x'), { name: 'DatabaseError', code: 'CATALOG_SQL' });
  t.throws(look(p.readNote.name, 1), { name: 'TypeError', message: /rows as objects/ });
});

t.test(
  'a preflight reads a file only if it can leave it as it is: closed, or with a log and its shared memory',
  async (t) => {
    const path = join(t.testdir(), 'catalogue.db');
    const looking = procedure('look.count', 'read', function* (_: null) {
      const found = yield* one<{ notes: number }>(sql`SELECT count(*) AS "notes" FROM notes`);
      throw new RangeError(`${found?.notes} notes`);
    });
    const look = () => runPreflight(path, [looking.name, null], createRegistry([{ looking }]), { busyTimeoutMs: 100 });
    const unclosed = { code: 'CATALOG_FOREIGN_DATABASE', message: /was not closed by its owner/ };
    const writer = new Database(path);
    writer.exec('CREATE TABLE notes (id)');
    await writeFile(`${path}-journal`, 'the start of a transaction');
    t.throws(look, unclosed);
    await rm(`${path}-journal`);
    writer.pragma('journal_mode = WAL');
    writer.exec('INSERT INTO notes VALUES (1)');
    t.throws(look, { name: 'RangeError', message: '1 notes' }, 'the log is read');
    writer.close();
    t.throws(look, { name: 'RangeError', message: '1 notes' });
    t.same(await readdir(t.testdirName), ['catalogue.db'], 'and nothing is left beside it');
    await writeFile(`${path}-wal`, 'a log without its shared memory');
    t.throws(look, unclosed);
  },
);

t.test('an engine loads procedures that are seldom called at the first call of one', async (t) => {
  const procedureModules = [new URL('./fixtures/procedures.ts', import.meta.url).href];
  const lateProcedureModules = [new URL('./fixtures/late-procedures.ts', import.meta.url).href];
  const engine = await openEngine(t, { poolSize: 2, procedureModules, lateProcedureModules });
  await engine.run(p.createTables, null);
  t.match(await engine.run(q.execute, "INSERT INTO notes VALUES (1, 'late')"), { changes: 1 });
  t.match(await engine.run(q.query, { text: 'SELECT text FROM notes' }), { rows: [['late']] });
  await t.rejects(engine.run(p.changeNotes, undefined as unknown as string), {
    code: 'CATALOG_VALIDATION',
    field: 'sql',
    received: 'undefined as value 1 of 1 in UPDATE notes SET text = ?',
  });
  t.same(await engine.run(p.listNotes, null), [{ id: 1, text: 'late' }], 'nothing that nobody wrote is stored');
  await t.rejects(engine.run(p.unknownTo('read'), null), { code: 'CATALOG_SQL', message: /is not registered/ });
  t.equal(new LateRegistry(createRegistry([p])).get(q.execute.name), undefined, 'nothing more is known');
});

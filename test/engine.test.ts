/** The SQLite engine: the suite every engine passes, in each of its settings, and what only SQLite has. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { sqliteDialect } from '../lib/pool/sqlite-dialect.ts';
import { SqliteEngine, type SqliteEngineOptions } from '../lib/pool/sqlite-engine.ts';
import { engineConformance } from './engine-conformance.ts';
import { hold, outcomes, texts } from './fixtures/conformance/setting.ts';
import { engineOptions, openEngine, openEngineOn } from './fixtures/open-engine.ts';
import * as p from './fixtures/procedures.ts';
import * as q from './fixtures/sqlite-procedures.ts';
import { byTier } from './fixtures/tier.ts';

t.setTimeout(300_000);

const SETTINGS: readonly Partial<SqliteEngineOptions>[] = [
  { poolSize: 5, durability: 'full' },
  { poolSize: 2, durability: 'normal' },
  { poolSize: 1, durability: 'full' },
];

for (const settings of SETTINGS) {
  engineConformance(`SQLite, ${settings.poolSize} connections, durability ${settings.durability}`, {
    open: (t, limits = {}) => openEngine(t, { ...settings, ...limits }),
    readsBesideTransactions: settings.poolSize !== 1,
  });
}

const withTables = async (t: Test, options: Partial<SqliteEngineOptions> = {}) => {
  const engine = await openEngine(t, options);
  await engine.run(p.createTables, null);
  return engine;
};

t.test('64 callers save rows with a lookup after each: nothing is lost, and many share a commit', async (t) => {
  const engine = await withTables(t, { poolSize: 5, durability: 'full' });
  const before = engine.stats();
  const [callers, each] = [64, byTier(80, 313)];
  const caller = async (number: number) => {
    for (let i = 0; i < each; i += 1) {
      const note = { id: number * each + i, text: `${number}: ${i}` };
      await engine.run(p.addNote, note);
      if ((await engine.run(p.readNote, note.id)) !== note.text) throw new Error(`the write ${note.text} is not seen`);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, number) => caller(number)));
  const stored = await engine.run(p.listNotes, null);
  const expected = Array.from({ length: callers * each }, (_, id) => ({
    id,
    text: `${Math.floor(id / each)}: ${id % each}`,
  }));
  t.strictSame(stored, expected);
  const { writes } = engine.stats();
  t.equal(writes.calls - before.writes.calls, callers * each);
  t.ok((writes.rounds - before.writes.rounds) * 8 < callers * each, `${writes.rounds} commits`);
});

const SQLITE_SETTINGS = {
  journal_mode: 'wal',
  foreign_keys: 1,
  recursive_triggers: 1,
  cache_size: 10_000,
  temp_store: 2,
  busy_timeout: 4_321,
  journal_size_limit: 64 * 1024 * 1024,
  trusted_schema: 0,
  cell_size_check: 1,
  secure_delete: 1,
};

t.test('every connection has every setting this product relies on', async (t) => {
  for (const [durability, synchronous] of [
    ['full', 2],
    ['normal', 1],
  ] as const) {
    const engine = await openEngine(t, { poolSize: 3, durability, busyTimeoutMs: 4_321 });
    t.match(await engine.run(q.writerSettings, null), { ...SQLITE_SETTINGS, synchronous, wal_autocheckpoint: 4_000 });
    const { giveBack } = await hold(engine, 'read');
    for (const transaction of [engine, engine]) {
      t.match(await transaction.run(q.readerSettings, null), { ...SQLITE_SETTINGS, synchronous });
    }
    await giveBack();
    t.equal(engine.stats().readers.created, 2, 'both readers were asked');
    t.match(await engine.transaction('write', (tx) => tx.run(q.writerSettings, null)), {
      ...SQLITE_SETTINGS,
      synchronous,
    });
    await engine.close();
  }
});

t.test('a read that writes is refused, and changes nothing', async (t) => {
  for (const poolSize of [1, 2]) {
    const engine = await withTables(t, { poolSize });
    await t.rejects(engine.run(q.writeInRead, { id: 1, text: 'unwanted' }), { code: 'CATALOG_READ_ONLY' });
    await engine.transaction('read', (tx) =>
      t.rejects(tx.run(q.writeInRead, { id: 1, text: 'unwanted' }), { code: 'CATALOG_READ_ONLY' }),
    );
    t.same(await texts(engine), [], `${poolSize} connections`);
    await engine.close();
  }
});

t.test('transaction control and other files are refused in a procedure, whatever stands before them', async (t) => {
  const engine = await withTables(t);
  const refused = [
    'BEGIN',
    'begin immediate',
    'COMMIT',
    'END',
    'ROLLBACK',
    'SAVEPOINT x',
    'RELEASE one',
    "ATTACH ':memory:' AS other",
    'DETACH main',
    "VACUUM INTO '/tmp/copy'",
    ' \t\n; COMMIT',
    '-- comment\nCOMMIT',
    '/* comment */ COMMIT',
    '/* a *//* b */--c\n;\uFEFF COMMIT',
  ];
  for (const text of refused) {
    const problem = { code: 'CATALOG_VALIDATION', field: 'sql' };
    await t.rejects(engine.run(q.execute, text), problem, JSON.stringify(text));
  }
  t.same(
    await outcomes(refused.map((text) => engine.run(q.query, { text }))),
    refused.map(() => 'CATALOG_VALIDATION'),
  );
  t.same(await texts(engine), []);
});

t.test('a table has its present columns after the schema changed', async (t) => {
  const engine = await openEngine(t, { poolSize: 2 });
  await engine.run(q.execute, 'CREATE TABLE changing (a)');
  const read = () => engine.run(q.query, { text: 'SELECT * FROM changing' });
  t.match(await read(), { columns: ['a'], rows: [] });
  await engine.run(q.execute, 'ALTER TABLE changing ADD COLUMN b');
  await engine.run(q.execute, 'INSERT INTO changing VALUES (1, 2)');
  t.match(await read(), { columns: ['a', 'b'], rows: [[1, 2]] });
  t.match(await engine.run(q.execute, 'UPDATE changing SET a = 3'), { columns: [], rows: [], changes: 1 });
});

t.test('what a statement changed is told whichever way it is asked', async (t) => {
  const engine = await withTables(t);
  const insert = (id: number) => engine.run(q.execute, `INSERT INTO notes VALUES (${id}, 'x') RETURNING id AS "id"`);
  t.strictSame(await insert(5), { columns: ['id'], rows: [[5]], changes: 1, lastInsertRowid: 5 });
  const told = await engine.run(q.tellChanges, [
    "INSERT INTO notes VALUES (6, 'y')",
    "INSERT INTO notes VALUES (7, 'z') RETURNING id",
    'UPDATE notes SET text = text RETURNING id',
    'SELECT id FROM notes',
    'DELETE FROM notes WHERE id > 5',
  ]);
  const rowids = [6, 7, 7, 0, 7];
  t.strictSame(
    told,
    [1, 1, 3, 0, 2].map((changes, i) => ({ changes, lastInsertRowid: rowids[i] })),
  );
  const selected = { columns: ['id'], rows: [[5]], changes: 0, lastInsertRowid: 0 };
  t.strictSame(await engine.run(q.query, { text: 'SELECT id FROM notes' }), selected);
});

t.test('bytes come back as they went in', async (t) => {
  const engine = await openEngine(t);
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const [stored, type] = (await engine.run(q.keepBytes, bytes)) ?? [];
  t.same([Uint8Array.from(stored ?? []), type], [bytes, 'blob']);
});

t.test('database, WAL and shared memory belong to their owner alone', async (t) => {
  const engine = await withTables(t);
  await engine.run(p.slowSum, 10);
  const folder = t.testdirName;
  const modes = async () => {
    const names = (await readdir(folder)).toSorted();
    return Promise.all(names.map(async (name) => [name, (await stat(join(folder, name))).mode & 0o777]));
  };
  t.same(await modes(), [
    ['catalogue.db', 0o600],
    ['catalogue.db-shm', 0o600],
    ['catalogue.db-wal', 0o600],
  ]);
  await engine.close();
  t.same(await modes(), [['catalogue.db', 0o600]]);
});

t.test('a database opened for reading only is read and never changed', async (t) => {
  const path = join(t.testdir(), 'catalogue.db');
  const writing = await openEngineOn(path);
  await writing.run(p.createTables, null);
  await writing.run(p.appendNote, 'kept');
  await writing.close();
  for (const poolSize of [1, 3]) {
    const engine = await openEngineOn(path, { readOnly: true, poolSize });
    t.same(await texts(engine), ['kept']);
    t.same(await engine.transaction('read', texts), ['kept']);
    const refused = { code: 'CATALOG_READ_ONLY', message: /is open read-only/ };
    await t.rejects(engine.run(p.appendNote, 'refused'), refused);
    await t.rejects(engine.transaction('write', texts), refused);
    await engine.close();
  }
});

t.test('a file that cannot be opened is a typed failure at once, and nothing runs on', async (t) => {
  const folder = t.testdir({
    'text.db': 'this is no database, and long enough for a header of a hundred bytes '.repeat(9),
  });
  const open = (name: string, options: Partial<SqliteEngineOptions> = {}) =>
    SqliteEngine.open(engineOptions(join(folder, name), options));
  await t.rejects(open('missing.db'), { code: 'CATALOG_IO' });
  await t.rejects(open('missing/in.db'), { code: 'CATALOG_IO', message: /the directory does not exist/ });
  await t.rejects(open('text.db'), { code: 'CATALOG_CORRUPT' });
  await writeFile(join(folder, 'empty.db'), '');
  await t.rejects(open('empty.db', { procedureModules: ['file:///nowhere.ts'] }), {
    code: 'CATALOG_VALIDATION',
    field: 'procedureModules',
    received: /^the module file:\/\/\/nowhere\.ts, which failed to import: Cannot find module/,
  });
  const thrower = 'data:text/javascript,throw "a bare text"';
  await t.rejects(open('empty.db', { procedureModules: [thrower] }), {
    name: 'ValidationError',
    received: `the module ${thrower}, which failed to import: a bare text`,
  });
  const function_ = (() => 1) as unknown as string;
  await t.rejects(open('empty.db', { procedureModules: [function_] }), { name: 'DataCloneError' });
  const exits = `data:text/javascript,process.exit(3)`;
  await t.rejects(open('empty.db', { procedureModules: [exits] }), {
    code: 'CATALOG_IO',
    message: /before it opened/,
  });
});

t.test('a file in another journal mode is switched when it is opened, once nobody else writes it', async (t) => {
  const path = join(t.testdir(), 'old.db');
  const other = new Database(path);
  t.teardown(() => other.close());
  other.exec('CREATE TABLE kept (text); BEGIN EXCLUSIVE');
  const busy = { code: 'CATALOG_BUSY', retryable: true };
  await t.rejects(SqliteEngine.open(engineOptions(path, { busyTimeoutMs: 20 })), busy);
  other.exec('ROLLBACK');
  const engine = await SqliteEngine.open(engineOptions(path, { busyTimeoutMs: 20 }));
  t.teardown(() => engine.close());
  t.match(await engine.run(q.writerSettings, null), { journal_mode: 'wal' });
  other.exec("INSERT INTO kept VALUES ('by another'); BEGIN IMMEDIATE");
  await t.rejects(engine.run(p.createTables, null), busy);
  await t.rejects(engine.transaction('write', texts), busy);
  t.match(await engine.run(q.query, { text: 'SELECT * FROM kept' }), { rows: [['by another']] });
  other.exec('ROLLBACK');
  await engine.run(p.createTables, null);
  t.equal(await engine.run(p.appendNote, 'free again'), 1);
});

t.test('a reader that cannot be opened fails the reads, and only them', async (t) => {
  const writers = JSON.stringify(join(t.testdir(), 'writer'));
  const noReader = `data:text/javascript,import { existsSync, writeFileSync } from 'node:fs';
    if (existsSync(${writers})) throw new RangeError('no reader today');
    writeFileSync(${writers}, 'the first connection')`;
  const { procedureModules } = engineOptions('');
  const engine = await withTables(t, { procedureModules: [...procedureModules, noReader] });
  const reads = Array.from({ length: 300 }, () => engine.run(p.slowSum, 10));
  t.same(await outcomes(reads), Array(300).fill('CATALOG_VALIDATION'));
  await t.rejects(engine.transaction('read', texts), {
    name: 'ValidationError',
    cause: { name: 'RangeError', message: 'no reader today' },
  });
  t.equal(await engine.run(p.appendNote, 'written'), 1);
  t.match(engine.stats().readers, { open: 0, busy: 0, idle: 0, created: 0, lost: 0 });
  const brief = await Promise.all(Array.from({ length: 20 }, () => engine.run(q.readerThread, null)));
  t.equal(new Set(brief).size, 1, 'brief ones side by side wait for the writer, which needs no reader');
});

t.test('the writer answers the first reads that are brief, unless it is busy', async (t) => {
  const onThreadOf = async (read: typeof q.readerThread) => {
    const engine = await openEngineOn(join(t.testdir(), 'catalogue.db'), { poolSize: 2 });
    const writer = await engine.run(q.writerThread, null);
    const reader = await engine.run(read, null);
    await engine.close();
    return reader === writer ? 'writer' : 'reader';
  };
  t.equal(await onThreadOf(q.readerThread), 'writer');
  t.equal(await onThreadOf(q.loneReaderThread), 'reader');

  const engine = await openEngine(t, { poolSize: 2 });
  const { giveBack } = await hold(engine, 'write');
  const reader = await engine.run(q.readerThread, null);
  t.equal(await engine.run(q.readerThread, null), reader, 'there is one now');
  await giveBack();
  t.not(await engine.run(q.writerThread, null), reader);
  t.equal(await engine.run(q.readerThread, null), reader, 'and the writer is left alone');
});

const open = (gate: SharedArrayBuffer) => {
  Atomics.store(new Int32Array(gate), 0, 1);
  Atomics.notify(new Int32Array(gate), 0);
};

const PROCESSORS = availableParallelism();

const ALONE = PROCESSORS === 1 && 'one processor is never shared';

t.test(
  'many reads at once open readers and are split among them; the writer keeps a processor',
  { skip: ALONE },
  async (t) => {
    const engine = await withTables(t, { poolSize: PROCESSORS + 2 });
    const threadsOf = async (reads: number) =>
      new Set(await Promise.all(Array.from({ length: reads }, () => engine.run(q.readerThread, null)))).size;
    await engine.run(q.loneReaderThread, null);
    do {
      await threadsOf(64);
    } while (engine.stats().readers.idle < PROCESSORS);
    t.equal(await threadsOf(64), PROCESSORS);
    t.equal(await threadsOf(7), 1, 'a few travel together');
    const gate = new SharedArrayBuffer(4);
    const write = engine.run(q.writeUntil, gate);
    const beside = await threadsOf(64);
    open(gate);
    t.not(await write, 'timed-out', 'it was not waited for');
    t.equal(beside, PROCESSORS - 1);
  },
);

t.test('reads that take long keep none of the others waiting, as long as there are readers', async (t) => {
  const engine = await withTables(t, { poolSize: 4 });
  await engine.run(q.loneReaderThread, null);
  const gates = [new SharedArrayBuffer(4), new SharedArrayBuffer(4)];
  const long: Promise<string>[] = [];
  for (const gate of gates) {
    long.push(engine.run(q.readUntil, gate));
    t.equal(await engine.run(p.counted, 'a'), 0, `beside ${long.length}`);
  }
  gates.forEach(open);
  const ended = await Promise.all(long);
  t.notOk(ended.includes('timed-out'), 'it was not waited for');
});

// SQL that only SQLite has, outside comments.
const SQLITE_WORDS =
  /sqlite_(?:schema|master|sequence)|\bpragma|\browid\b|\bINDEXED BY\b|\bGLOB\b|\bCAST\(|(?<!\.)\bhex\((?!\w+:)|\b(?:typeof|char|group_concat|strftime|julianday|json_\w+)\(|\bOR (?:IGNORE|REPLACE|ROLLBACK)\b|\bIS NOT \$\{/i;

/** What works on SQLite's own files, on its search index or on the rows of an old server. */
const SQLITE_ONLY = new Set([
  'backup/restore/restore-procedures.ts',
  'backup/sequence-procedures.ts',
  'core/search-index-table.ts',
  'maintenance/integrity-process.ts',
  'maintenance/repair-procedures.ts',
]);

t.test('domain code and the contract of engines use no SQL that only SQLite has', async (t) => {
  const lib = fileURLToPath(new URL('../lib/', import.meta.url));
  const rooms = ['sql', 'core', 'quota', 'analytics', 'health', 'metrics', 'maintenance', 'backup'];
  const found: string[] = [];
  for (const room of rooms) {
    for (const name of await readdir(join(lib, room), { recursive: true })) {
      const file = `${room}/${name}`;
      // What else there is in backup/ works on files of SQLite's.
      const isLooked = room === 'backup' ? file.endsWith('-procedures.ts') : file.endsWith('.ts');
      if (!isLooked || SQLITE_ONLY.has(file)) continue;
      const code = (await readFile(join(lib, file), 'utf8')).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
      const word = SQLITE_WORDS.exec(code)?.[0];
      if (word !== undefined) found.push(`${file}: ${word}`);
    }
  }
  t.same(found, []);
  t.match(sqliteDialect.hasTable('files').sql, SQLITE_WORDS, 'the words are found where they are');
});

t.test('each answer of the dialect is what the database holds', async (t) => {
  const engine = await openEngine(t);
  const ask = async (name: keyof typeof q.DIALECT_ANSWERS) => engine.run(q.askDialect, name);
  await engine.run(q.execute, 'CREATE TABLE kept (id INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB, size INTEGER)');
  await engine.run(q.execute, 'CREATE INDEX kept_size ON kept (size)');
  await engine.run(q.execute, 'CREATE VIEW seen AS SELECT id FROM kept');
  await engine.run(q.execute, 'CREATE TRIGGER watch AFTER DELETE ON kept BEGIN SELECT 1; END');
  await engine.run(
    q.execute,
    "INSERT INTO kept VALUES (7, x'0aff', 9223372036854775807), (8, NULL, 9223372036854775807)",
  );
  t.same(await ask('tables'), [{ name: 'kept' }]);
  t.same(await ask('views'), [{ name: 'seen' }]);
  t.same(await ask('indexes'), [{ name: 'kept_size', table: 'kept' }]);
  t.same(await ask('triggers'), [{ name: 'watch' }]);
  t.same(await ask('there'), [{ found: 1 }, { found: 1 }]);
  t.same(await ask('missing'), [], 'an index is no table, nor the other way round');
  t.same(await ask('highestId'), [{ id: 8 }]);
  t.same(await ask('values'), [
    { hex: '0aff', float: 2 ** 63, greater: 9, unplanned: 5 },
    { hex: null, float: 2 ** 63, greater: 9, unplanned: 5 },
  ]);
  t.same(await ask('sum'), [{ sum: 2 ** 64 }], 'a sum of whole numbers would overflow');
  t.same(await ask('problems'), []);
  t.match(await ask('pages'), [{ pageSize: 4096, pageCount: Number, freePages: 0 }]);
});

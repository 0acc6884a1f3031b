/** The public API as an embedding server uses it: pages, streams, events, raw SQL, transactions, hostile input. */
import { deepStrictEqual } from 'node:assert/strict';
import { createHash } from 'node:crypto';
import diagnosticsChannel from 'node:diagnostics_channel';
import fc from 'fast-check';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { openUnmigrated } from '../lib/catalog/open.ts';
import {
  type CatalogFile,
  type CatalogOptions,
  DatabaseError,
  DatabaseManager,
  type FileInput,
  type ProcedureTrace,
  TRACING_CHANNEL,
  type Transaction,
  type ValidationError,
} from '../lib/index.ts';
import { resolveOptions } from '../lib/options/reader.ts';
import * as procedures from '../lib/registry/procedures.ts';
import { isProcedure } from '../lib/sql/procedure.ts';
import { FILE_FACTS, VERSION_FACTS } from '../lib/values/file-facts.ts';
import { holds } from './fixtures/property.ts';
import { openNew } from './fixtures/template.ts';

async function openFresh(t: Test, options: CatalogOptions = {}): Promise<DatabaseManager> {
  const db = await openNew({ database: `${t.testdir()}/catalog.db`, ...options });
  t.teardown(() => db.close());
  return db;
}

const fileOf = (clientId: string, n: number): FileInput => ({
  clientId,
  fileName: `file-${String(n).padStart(4, '0')}.txt`,
  pathName: `/store/${n}`,
  originalPath: `docs/${n % 7}`,
  fileSize: n,
});

/** Everything the catalogue holds, as one digest. */
async function digest(db: DatabaseManager): Promise<string> {
  const tables = await db.query(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1",
  );
  const hash = createHash('sha256');
  for (const { name } of tables) hash.update(JSON.stringify(await db.query(`SELECT * FROM "${name}" ORDER BY 1`)));
  return hash.digest('hex');
}

t.test('clients.save() is an upsert that touches no file and keeps what is left out', async (t) => {
  const db = await openFresh(t);
  const publicKey = new Uint8Array(160).fill(1);
  const aesKey = new Uint8Array(32).fill(2);
  const { id } = await db.clients.save({ name: 'alpha', publicKey, aesKey });
  await db.files.saveMany([1, 2, 3].map((n) => fileOf(id, n)));
  const before = await db.files.forClient(id);
  await db.clients.touch(id, '2020-01-01T00:00:00.000Z');
  const again = await db.clients.save({ id, name: 'alpha two' });
  t.same(await db.files.forClient(id), before, 'its files are what they were');
  t.ok(String(again.lastSeen) > '2020-01-01', 'saving touches LastSeen');
  t.same(await db.clients.exportKeys(id), { publicKey, aesKey }, 'keys that were left out are kept');
  await db.clients.save({ id, name: 'alpha two', aesKey: null });
  t.same(await db.clients.exportKeys(id), { publicKey, aesKey: null }, 'null clears a key');
  await t.rejects(db.clients.save({ name: 'alpha two' }), {
    code: 'CATALOG_DUPLICATE_CLIENT',
    name: 'DuplicateClientError',
  });
});

t.test('no call but exportKeys returns an AES key', async (t) => {
  const db = await openFresh(t);
  const aesKey = Uint8Array.from({ length: 32 }, (_, n) => 200 + n);
  const secret = Buffer.from(aesKey).toString('hex');
  const shows = (value: unknown) =>
    JSON.stringify(value, (_, inner) =>
      inner instanceof Uint8Array || inner?.type === 'Buffer'
        ? Buffer.from(inner.data ?? inner).toString('hex')
        : inner,
    )?.includes(secret) ?? false;
  const client = await db.clients.save({ name: 'alpha', aesKey });
  const { file } = await db.files.save(fileOf(client.id, 1));
  const answers: unknown[] = [
    client,
    await db.clients.get(client.id),
    await db.clients.getByName('alpha'),
    await db.clients.list(),
    await Array.fromAsync(db.clients.listAll()),
    await db.clients.rename(client.id, 'beta'),
    await db.clients.touch(client.id),
    await db.files.get(file.id),
    await db.files.list(),
    await db.files.search({ term: 'file' }),
    await db.versions.list(file.id),
    await db.quotas.list(),
    await db.categories.list(),
    await db.analytics.storage(),
    await db.health({ full: true }),
    db.stats(),
    await db.migrations.status(),
    await db.clients.delete(client.id),
  ];
  t.same(
    answers.map(shows),
    answers.map(() => false),
  );
  const { id } = await db.clients.save({ name: 'gamma', aesKey });
  t.ok(shows(await db.clients.exportKeys(id)), 'the check itself sees a key');
});

t.test('pages hold every row once, in order, while rows are written', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const { id: other } = await db.clients.save({ name: 'beta' });
  await db.files.saveMany(Array.from({ length: 150 }, (_, n) => fileOf(id, n)));
  // Many files of one name, as in folders of code.
  await db.files.saveMany(Array.from({ length: 100 }, (_, n) => ({ ...fileOf(id, 77), originalPath: `p/${n}` })));
  await holds(
    t,
    fc.asyncProperty(fc.integer({ min: 1, max: 99 }), async (limit) => {
      const seen: CatalogFile[] = [];
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page: Awaited<ReturnType<typeof db.files.forClient>> = await db.files.forClient(id, { limit, cursor });
        seen.push(...page.files);
        cursor = page.nextCursor;
        await db.files.save({ ...fileOf(other, seen.length), fileName: `0-${limit}-${seen.length}` });
      }
      const names = seen.map(({ fileName, originalPath }) => `${fileName}\0${originalPath}`);
      deepStrictEqual(names, [...names].sort());
      deepStrictEqual(new Set(names).size, 250);
    }),
    { numRuns: 8 },
  );
  const all = await Array.fromAsync(db.files.listAll());
  t.equal(all.length, await db.files.count());
  t.same(
    await Array.fromAsync(db.files.forClientAll(id), ({ id: file }) => file).then((ids) => new Set(ids).size),
    250,
  );
  const { nextCursor } = await db.files.list({ limit: 1 });
  await t.rejects(db.files.forClient(id, { cursor: nextCursor }), { code: 'CATALOG_VALIDATION', field: 'cursor' });
  t.same(
    (await db.clients.list({ limit: 1 })).clients.map(({ name }) => name),
    ['alpha'],
  );
  t.same((await Array.fromAsync(db.quotas.listAll())).map(({ clientId }) => clientId).sort(), [id, other].sort());
});

t.test('every column of files and versions is a fact that is saved, or a number the catalogue gives', async (t) => {
  const db = await openFresh(t);
  const columnsOf = async (table: string) =>
    (await db.query('SELECT name FROM pragma_table_info(?) ORDER BY name', [table])).map(({ name }) => String(name));
  const facts = {
    files: [...FILE_FACTS.map(({ files }) => files), 'HighestVersion'],
    file_versions: [
      ...VERSION_FACTS.map(({ versions }) => versions),
      ...['ID', 'CreatedDate', 'IsActive', 'ParentVersionID', 'OperationID', 'OperationQuota'],
    ],
  };
  t.same(
    { files: await columnsOf('files'), file_versions: await columnsOf('file_versions') },
    { files: facts.files.sort(), file_versions: facts.file_versions.sort() },
  );
});

t.test('files.saveMany() keeps going past bad rows, reports progress, and stops on a signal', async (t) => {
  const db = await openFresh(t, { defaultQuotaBytes: null });
  const { id } = await db.clients.save({ name: 'alpha' });
  const rows = Array.from({ length: 1_000 }, (_, n) =>
    n % 100 === 3 ? { ...fileOf(id, n), fileSize: -1 } : fileOf(id, n),
  );
  const progress: number[] = [];
  const result = await db.files.saveMany(rows, { onProgress: ({ saved }) => progress.push(saved) });
  t.equal(result.saved, 990);
  t.same(
    result.failed.map(({ index, error }) => [index, error.code, (error as ValidationError).field]),
    Array.from({ length: 10 }, (_, n) => [n * 100 + 3, 'CATALOG_VALIDATION', 'fileSize']),
  );
  t.equal(progress.at(-1), 990, 'the last report is complete');
  const again = await db.files.saveMany(rows, { ifChanged: true });
  t.match(again, { saved: 0, unchanged: 990 });
  const twice = await db.files.saveMany([fileOf(id, 5_000), { ...fileOf(id, 5_000), fileSize: 7 }]);
  t.equal(twice.saved, 2);
  t.equal((await db.files.find(id, 'file-5000.txt', 'docs/2'))?.fileSize, 7, 'rows are saved in the order given');

  const controller = new AbortController();
  async function* endless() {
    for (let n = 10_000; ; n += 1) {
      if (n === 10_700) controller.abort(new Error('enough'));
      yield fileOf(id, n);
    }
  }
  await t.rejects(db.files.saveMany(endless(), { signal: controller.signal }), { message: 'enough' });
  t.equal(await db.files.count(), 991 + 700, 'what was taken before the signal is stored');

  const broken = (function* () {
    yield fileOf(id, 20_000);
    throw new Error('the source broke');
  })();
  await t.rejects(db.files.saveMany(broken), { message: 'the source broke' });
  t.ok(await db.files.find(id, 'file-20000.txt', `docs/${20_000 % 7}`), 'rows before the fault are stored');
  await t.rejects(db.files.saveMany(42 as never), { code: 'CATALOG_VALIDATION', field: 'files' });
});

t.test(
  'files.saveMany() ends when its signal fires while the source is silent, or when onProgress throws',
  async (t) => {
    const db = await openFresh(t, { defaultQuotaBytes: null });
    const { id } = await db.clients.save({ name: 'alpha' });
    const { promise: never, resolve: cleanUp } = Promise.withResolvers<void>();
    const { promise: cleaned, resolve: onCleaned } = Promise.withResolvers<void>();
    const controller = new AbortController();
    async function* silent() {
      try {
        yield fileOf(id, 1);
        setImmediate(() => controller.abort(new Error('enough')));
        await never;
        yield fileOf(id, 2);
      } finally {
        onCleaned();
      }
    }
    await t.rejects(db.files.saveMany(silent(), { signal: controller.signal }), { message: 'enough' });
    t.equal(await db.files.count(), 1, 'the row before is stored');
    cleanUp();
    await cleaned;

    let taken = 0;
    const endless = (function* () {
      for (;;) yield fileOf(id, 100 + taken++);
    })();
    const onProgress = () => {
      throw new Error('no room on the screen');
    };
    await t.rejects(db.files.saveMany(endless, { onProgress }), { message: 'no room on the screen' });
    t.equal(await db.files.count(), 1 + taken, 'every row that was taken is stored');
    t.same(endless.next(), { done: true, value: undefined }, 'the source was closed');
    await t.rejects(db.files.saveMany([fileOf(id, 3)], { signal: AbortSignal.abort(new Error('before')) }), {
      message: 'before',
    });
    t.equal(await db.files.find(id, 'file-3.txt', 'docs/3'), null);
  },
);

t.test('a client whose files claim more bytes than SQLite can add is audited and deleted like any other', async (t) => {
  const db = await openFresh(t, { defaultQuotaBytes: null });
  const { id } = await db.clients.save({ name: 'boaster' });
  const sizes = Array.from({ length: 1_030 }, (_, n) => ({ ...fileOf(id, n), fileSize: Number.MAX_SAFE_INTEGER }));
  t.equal((await db.files.saveMany(sizes)).saved, 1_030);
  const claimed = 1_030 * Number.MAX_SAFE_INTEGER;
  t.match(await db.quotas.audit(), { checked: 1 });
  t.match(await db.clients.delete(id), { deleted: 1_030, bytes: claimed });
  t.equal(await db.files.count(), 0);
});

t.test('files.save() with an operationId saves once, whatever happens in between', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const first = await db.files.save(fileOf(id, 1), { operationId: 'upload-1' });
  const second = await db.files.save({ ...fileOf(id, 1), fileSize: 999 });
  t.equal(second.version, 2);
  const repeated = await db.files.save(fileOf(id, 1), { operationId: 'upload-1' });
  t.same(repeated, first, 'the first result comes back, the quota as it was then');
  t.equal((await db.versions.list(first.file.id)).length, 2, 'and no version is added');
  await t.rejects(db.files.save(fileOf(id, 2), { operationId: 'upload-1' }), { code: 'CATALOG_CONFLICT' });
});

t.test('an operation that found nothing new answers so again, even after the file has changed', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  await db.files.save(fileOf(id, 1));
  const save = () => db.files.save(fileOf(id, 1), { ifChanged: true, operationId: 'check-1' });
  const first = await save();
  t.match(first, { changed: false, version: 1 });
  await db.files.save({ ...fileOf(id, 1), fileSize: 999 });
  t.same(await save(), first);
  t.equal((await db.files.find(id, 'file-0001.txt', 'docs/1'))?.fileSize, 999);
});

t.test('contents that raw SQL gave to another file are not told to be free', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const { file: kept } = await db.files.save(fileOf(id, 1));
  const { file: gone } = await db.files.save({ ...fileOf(id, 2), pathName: '/shared' });
  await db.execute('UPDATE files SET PathName = ? WHERE ID = ?', ['/shared', Buffer.from(kept.id, 'hex')]);
  t.same((await db.files.delete(gone.id)).paths, []);
  t.same((await db.files.delete(kept.id)).paths, ['/shared']);
});

t.test('the quota-warning event comes once, from the save that crosses, after its commit', async (t) => {
  const lines: string[] = [];
  const logger = pino({ level: 'error' }, { write: (line: string) => lines.push(line) });
  const logged = (): unknown[] => lines.map((line) => JSON.parse(line));
  const db = await openFresh(t, { defaultQuotaBytes: 100, logger });
  const { id } = await db.clients.save({ name: 'alpha' });
  const heard: unknown[] = [];
  const stop = db.on('quota-warning', (warning) => heard.push(warning));
  const save = (n: number, fileSize: number) => db.files.save({ ...fileOf(id, n), fileSize });
  t.match((await save(1, 79)).quota, { usedBytes: 79, warning: false });
  await t.rejects(
    db.transaction(async (tx) => {
      await tx.files.save({ ...fileOf(id, 2), fileSize: 5 });
      throw new Error('no');
    }),
    { message: 'no' },
  );
  t.same(heard, [], 'a save that was rolled back warns nobody');
  t.match((await save(3, 1)).quota, { usedBytes: 80, warning: true });
  await save(4, 10);
  t.same(heard, [{ clientId: id, quotaBytes: 100, usedBytes: 80, warning: true }]);
  await t.rejects(save(5, 11), {
    name: 'QuotaExceededError',
    quotaBytes: 100,
    usedBytes: 90,
    reservedBytes: 0,
    requestedBytes: 11,
  });
  stop();
  db.on('quota-warning', () => {
    throw new Error('a listener’s own fault');
  });
  await db.quotas.set(id, { quotaBytes: 1_000 });
  db.on('quota-warning', () => Promise.reject(new Error('an asynchronous listener’s own fault')));
  const { promise: told, resolve } = Promise.withResolvers<unknown>();
  db.on('quota-warning', resolve);
  t.match(await save(6, 800), { changed: true }, 'a listener that throws does not fail the save');
  t.match(await told, { clientId: id, usedBytes: 890 }, 'nor keep the warning from the next one');
  t.match(logged(), [
    { event: 'quota-warning', err: { message: 'a listener’s own fault' } },
    { event: 'quota-warning', err: { message: 'an asynchronous listener’s own fault' } },
  ]);
  t.throws(() => db.on('nonsense' as never, () => undefined), { code: 'CATALOG_VALIDATION', field: 'event' });
});

t.test('transactions are whole or nothing, and never wait for themselves', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const before = await digest(db);
  await t.rejects(
    db.transaction(async (tx) => {
      await tx.files.saveMany(Array.from({ length: 20 }, (_, n) => fileOf(id, n)));
      await tx.execute('UPDATE clients SET Name = ?', ['other']);
      t.equal(await tx.files.count(), 20, 'it reads its own writes');
      t.equal(await db.files.count(), 0, 'nobody else does');
      throw new Error('half-way');
    }),
    { message: 'half-way' },
  );
  t.equal(await digest(db), before);
  await db.transaction(async (tx) => {
    await t.rejects(db.files.save(fileOf(id, 1)), { code: 'CATALOG_CONFLICT' });
    await t.rejects(
      db.files.saveMany([fileOf(id, 1)]),
      { code: 'CATALOG_CONFLICT' },
      'a stream is no row to pass over',
    );
    await t.rejects(
      db.transaction(async () => undefined),
      { code: 'CATALOG_CONFLICT' },
    );
    await t.rejects(tx.query('UPDATE clients SET Name = ? RETURNING Name', ['other']), { code: 'CATALOG_READ_ONLY' });
    t.match(
      await tx.query('SELECT Name FROM clients'),
      [{ Name: 'alpha' }],
      'SQL of a query changes nothing here either',
    );
    await t.rejects(db.close(), { code: 'CATALOG_CONFLICT' });
    await t.rejects(tx.files.save({ ...fileOf(id, 1), fileSize: 2 ** 40 }), { code: 'CATALOG_QUOTA_EXCEEDED' });
    await tx.files.save(fileOf(id, 2));
  });
  t.equal(await db.files.count(), 1, 'a refused call inside leaves the rest of the transaction alone');
  let kept: Transaction | undefined;
  await db.transaction(async (tx) => {
    kept = tx;
  });
  await t.rejects(async () => kept?.files.count(), { code: 'CATALOG_CONFLICT' }, 'a tx is over when it is over');
  await t.rejects(async () => kept?.files.saveMany([fileOf(id, 1)]), { code: 'CATALOG_CONFLICT' });
  const never = new Promise<void>(() => undefined);
  await t.rejects(
    db.transaction(() => never, { timeoutMs: 20 }),
    { code: 'CATALOG_TIMEOUT', retryable: true },
  );
  t.equal((await db.files.save(fileOf(id, 3))).created, true, 'the writer is free again');
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const last = db.transaction(async (tx) => {
    await asked;
    await t.rejects(db.close(), { code: 'CATALOG_CONFLICT' }, 'nor when somebody else is closing already');
    return tx.files.count();
  });
  await db.clients.count();
  const closing = db.close();
  ask();
  t.equal(await last, 2, 'and the transaction is finished first');
  await closing;
});

t.test('raw SQL reads on a reader, writes on the writer, and leaves the engine’s own alone', async (t) => {
  for (const poolSize of [5, 1]) {
    const db = await openFresh(t, { poolSize });
    const { id } = await db.clients.save({ name: 'alpha', aesKey: new Uint8Array([1, 2, 3]) });
    t.same(
      await db.query('SELECT Name AS name, AESKey AS "key", ? AS n FROM clients WHERE ID = ?', [
        7,
        Buffer.from(id, 'hex'),
      ]),
      [{ name: 'alpha', key: new Uint8Array([1, 2, 3]), n: 7 }],
    );
    const created = await db.execute('CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT UNIQUE, at TEXT)');
    t.match(created, { rows: [] });
    t.same(await db.execute('INSERT INTO notes (text, at) VALUES (?, ?)', ['a', new Date(0)]), {
      changes: 1,
      lastInsertRowid: 1,
      rows: [],
    });
    t.same(await db.execute("INSERT INTO notes (text) VALUES ('b'), ('c') RETURNING id"), {
      changes: 2,
      lastInsertRowid: 3,
      rows: [{ id: 2 }, { id: 3 }],
    });
    t.equal(
      await db.executeMany('INSERT INTO notes (text, at) VALUES (?, ?)', [
        ['d', null],
        ['e', true],
      ]),
      2,
    );
    await t.rejects(db.executeMany('INSERT INTO notes (text) VALUES (?)', [['f'], ['a']]), {
      code: 'CATALOG_CONFLICT',
    });
    t.same(
      await db.query('SELECT count(*) AS n FROM notes'),
      [{ n: 5 }],
      'one list of values that fails takes all with it',
    );
    const refused = [
      'BEGIN',
      ' -- x\n COMMIT',
      "ATTACH 'x' AS y",
      'VACUUM',
      'PRAGMA synchronous = OFF',
      'PRAGMA optimize',
      '',
    ];
    for (const text of refused) {
      await t.rejects(db.execute(text), { code: 'CATALOG_VALIDATION', field: 'sql' }, text);
      await t.rejects(db.query(text), { code: 'CATALOG_VALIDATION', field: 'sql' }, text);
    }
    await t.rejects(db.query("INSERT INTO notes (text) VALUES ('z')"), { code: 'CATALOG_READ_ONLY' });
    await t.rejects(db.query('SELEC 1'), { code: 'CATALOG_SQL' });
    await t.rejects(db.query('SELECT 1; SELECT 2'), { code: 'CATALOG_SQL' });
    await t.rejects(db.query('SELECT ?'), { code: 'CATALOG_SQL' });
    await t.rejects(db.query('SELECT ?', [{ a: 1 } as never]), { code: 'CATALOG_VALIDATION', field: 'params[0]' });
    await t.rejects(db.query('SELECT ?', [Number.NaN]), { code: 'CATALOG_VALIDATION', field: 'params[0]' });
    t.same(await db.query('PRAGMA table_info(notes)').then((rows) => rows.length), 3);
    for (const none of [undefined, null, {}, 'notes.add', () => undefined]) {
      await t.rejects(db.run(none as never, null), { code: 'CATALOG_VALIDATION', field: 'procedure' });
    }
    await db.close();
  }
});

t.test('no spelling of a statement changes a setting of a connection, or hides a table from later calls', async (t) => {
  const db = await openFresh(t);
  const settings = ['recursive_triggers', 'trusted_schema', 'foreign_keys', 'cell_size_check', 'defer_foreign_keys'];
  const settingsNow = async () => Promise.all(settings.map((name) => db.execute(`PRAGMA ${name}`)));
  const before = await settingsNow();
  for (const text of [
    'PRAGMA/**/recursive_triggers=OFF',
    'PRAGMA/* a */ -- b\n recursive_triggers(0)',
    'PRAGMA "recursive_triggers" = OFF',
    'PRAGMA [recursive_triggers] = OFF',
    'PRAGMA main."cell_size_check" = OFF',
    'EXPLAIN PRAGMA trusted_schema = ON',
    'explain query plan pragma trusted_schema = ON',
    ' ; EXPLAIN/**/PRAGMA defer_foreign_keys = ON',
    'PRAGMA',
    'PRAGMA wal_checkpoint /* now */',
    'EXPLAIN COMMIT',
    'CREATE TEMP TABLE client_activity (ClientID)',
    'create/**/temporary view clients AS SELECT 1',
    'CREATE TEMP TRIGGER t AFTER INSERT ON clients BEGIN DELETE FROM clients; END',
    'CREATE TABLE IF NOT EXISTS temp.clients (ID)',
    'CREATE TABLE "temp" . clients (ID)',
  ]) {
    const calls: readonly Promise<unknown>[] = [db.execute(text), db.query(text), db.executeMany(text, [[]])];
    for (const call of calls) {
      await t.rejects(call, { code: 'CATALOG_VALIDATION', field: 'sql' }, text);
    }
  }
  t.same(await settingsNow(), before);
  t.same(await db.execute('SELECT name FROM temp.sqlite_schema').then(({ rows }) => rows), []);
  await db.execute("CREATE /* temp. */ TABLE attempts (temp TEXT DEFAULT '-- PRAGMA')");
  t.equal((await db.query('PRAGMA /* of ours */ main.table_info(attempts);')).length, 1);
  t.ok((await db.query('EXPLAIN QUERY PLAN SELECT * FROM attempts')).length > 0);
});

t.test('a PRAGMA in the form of a table is refused where it acts, and asked where it reports', async (t) => {
  const db = await openFresh(t);
  const acting = [
    'pragma_optimize',
    '"pragma_optimize"',
    '[PRAGMA_Optimize]',
    '`pragma_optimize`',
    "'pragma_optimize'",
  ];
  const places = [
    ...acting.flatMap((name) => [name, `main.${name}`, `/* a ' */ ${name}(-1)`, `clients, ${name} -- '`]),
    'clients JOIN/**/pragma_optimize(0xfffe)',
    "(SELECT '--', * FROM pragma_optimize)",
  ];
  for (const text of places.flatMap((place) => [`SELECT * FROM ${place}`, `CREATE VIEW v AS SELECT * FROM ${place}`])) {
    const calls: readonly Promise<unknown>[] = [db.query(text), db.execute(text), db.executeMany(text, [[]])];
    for (const call of calls) {
      await t.rejects(call, { code: 'CATALOG_VALIDATION', field: 'sql', received: /pragma_optimize/i }, text);
    }
  }
  t.same(await db.query('SELECT * FROM pragma_page_size'), [{ page_size: 4096 }]);
  t.same(await db.query("SELECT count(*) AS n FROM pragma_table_info('clients')"), [{ n: 5 }]);
  t.same(await db.query("SELECT 'not pragma_optimize' AS text -- pragma_optimize"), [{ text: 'not pragma_optimize' }]);
});

// Takes seconds, so that the threads which were given up do not last for ever.
const LONG = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000000) SELECT count(*) FROM n';

const ENDLESS = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n';

t.test('a query with a deadline answers as one without, whatever it is asked', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({
    name: 'alpha',
    publicKey: Uint8Array.of(0, 1, 255),
    aesKey: new Uint8Array(32),
  });
  await db.files.saveMany(Array.from({ length: 20 }, (_, n) => fileOf(id, n)));
  await db.execute('CREATE TABLE odd (value); INSERT INTO odd VALUES (1)').catch(() => undefined);
  const value = fc.oneof(
    fc.constantFrom(
      null,
      true,
      2 ** 53,
      -0,
      Number.POSITIVE_INFINITY,
      9_223_372_036_854_775_807n,
      '',
      'a\0b',
      'Ä🎛',
      id,
    ),
    fc.uint8Array({ maxLength: 20 }),
    fc.string({ unit: 'grapheme', maxLength: 9 }),
    fc.double({ noNaN: true }),
    fc.date({ noInvalidDate: true }),
  );
  const text = fc.constantFrom(
    'SELECT ? AS value, typeof(?) AS type',
    'SELECT * FROM clients ORDER BY ID LIMIT 5',
    'SELECT f.*, ? AS given, ? AS other FROM files f ORDER BY FileName LIMIT 7',
    'SELECT 1 WHERE 0',
    "SELECT ? AS a, ? AS a, x'00ff' AS b, 1e400 AS c",
    'SELECT nothing FROM files WHERE FileName = ? AND PathName = ?',
    'UPDATE files SET FileName = ? WHERE PathName = ?',
    'INSERT INTO clients (Name) VALUES (?) RETURNING ?',
    'SELECT abs(-9223372036854775808)',
    'SELECT 1; SELECT 2',
    'SELEC 1',
    'PRAGMA table_info(files)',
  );
  const outcome = async (call: Promise<unknown>) =>
    call.then(
      (rows) => ({ rows }),
      ({ name, code, message, hint, retryable }) => ({ name, code, message, hint, retryable }),
    );
  const property = fc.asyncProperty(text, fc.tuple(value, value), async (statement, both) => {
    const params = both.slice(0, statement.split('?').length - 1);
    const [with_, without] = await Promise.all([
      outcome(db.query(statement, params, { deadlineMs: 60_000 })),
      outcome(db.query(statement, params)),
    ]);
    deepStrictEqual(with_, without);
  });
  await fc.assert(property, { numRuns: 40 });
  const [row] = await db.query('SELECT PublicKey AS "key" FROM clients', [], { deadlineMs: 60_000 });
  t.equal(Object.getPrototypeOf(row?.['key']), Uint8Array.prototype);
  t.same(row?.['key'], Uint8Array.of(0, 1, 255));
});

t.test('a query with a deadline is ended at it and by its signal, also while others wait for their turn', async (t) => {
  const db = await openFresh(t);
  const late = { code: 'CATALOG_TIMEOUT', message: /within 700 ms; its process was killed/, hint: /deadlineMs/ };
  await Promise.all(Array.from({ length: 9 }, () => t.rejects(db.query(ENDLESS, [], { deadlineMs: 700 }), late)));
  const controller = new AbortController();
  const stopped = db.query(ENDLESS, [], { deadlineMs: 600_000, signal: controller.signal });
  setImmediate(() => controller.abort(new Error('enough')));
  await t.rejects(stopped, { message: 'enough' });
  await t.rejects(db.query('SELECT 1', [], { deadlineMs: 9, signal: controller.signal }), { message: 'enough' });
  t.same(await db.query('SELECT 1 AS n', [], { deadlineMs: 60_000 }), [{ n: 1 }], 'the places are free again');
  for (const deadlineMs of [0, -1, Number.NaN, '5', 2 ** 31]) {
    const bad = { deadlineMs: deadlineMs as number };
    await t.rejects(db.query('SELECT 1', [], bad), { code: 'CATALOG_VALIDATION', field: 'deadlineMs' });
  }
  await t.rejects(db.query('SELECT 1', [], { deadline: 5 } as never), {
    code: 'CATALOG_VALIDATION',
    field: 'deadline',
    hint: /deadlineMs/,
  });
  await t.rejects(
    db.transaction((tx) => tx.query('SELECT 1', [], { deadlineMs: 5 })),
    { code: 'CATALOG_VALIDATION', field: 'deadlineMs', accepted: /timeoutMs/ },
  );
});

t.test('closing waits for queries with a deadline, and ends those that take too long', async (t) => {
  const db = await openFresh(t, { closeTimeoutMs: 10_000 });
  const waited = db.query('SELECT 1 AS n', [], { deadlineMs: 60_000 });
  await db.close();
  t.same(await waited, [{ n: 1 }]);
  await t.rejects(db.query('SELECT 1', [], { deadlineMs: 5 }), { code: 'CATALOG_CLOSED' });
  const hasty = await openFresh(t, { closeTimeoutMs: 200 });
  const ended = t.rejects(hasty.query(ENDLESS, [], { deadlineMs: 600_000 }), { code: 'CATALOG_CLOSED' });
  const read = t.rejects(hasty.query(LONG), { code: 'CATALOG_CLOSED' });
  const written = t.rejects(hasty.execute(`CREATE TABLE t AS ${LONG}`), {
    code: 'CATALOG_INDETERMINATE',
  });
  await hasty.close();
  await Promise.all([ended, read, written]);
});

t.test('an error never tells the values bound to a statement', async (t) => {
  const db = await openFresh(t);
  const secret = 'hunter2-hunter2';
  await db.execute('CREATE TABLE vault (word TEXT PRIMARY KEY CHECK (length(word) > 1))');
  await db.execute('INSERT INTO vault VALUES (?)', [secret]);
  const whole = (error: unknown): string => {
    const { message, stack, cause, ...rest } = error as Error & Record<string, unknown>;
    return `${message} ${stack} ${JSON.stringify(rest)} ${cause === undefined ? '' : whole(cause)}`;
  };
  for (const call of [
    () => db.execute('INSERT INTO vault VALUES (?)', [secret]),
    () => db.execute('INSERT INTO vault VALUES (?, ?)', [secret]),
    () => db.query('SELECT nothing FROM vault WHERE word = ?', [secret]),
    () => db.query('SELECT ?', [{ secret } as never]),
    () => db.query('SELECT ?', secret as never),
    () => db.executeMany('SELECT ?', [secret] as never),
    () => db.executeMany('SELECT ?', secret as never),
    () => db.clients.save({ name: 'alpha', aesKey: secret as never }),
    () => db.clients.save({ name: 'alpha', publicKey: secret as never }),
  ]) {
    const error = await call().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    t.type(error, DatabaseError);
    t.notOk(whole(error).includes(secret), `${(error as Error).message} does not tell it`);
  }
});

t.test('hostile input to every call gives a typed error or a result, and an error changes nothing', async (t) => {
  const db = await openFresh(t, { defaultQuotaBytes: null });
  const { id } = await db.clients.save({ name: 'alpha' });
  const { file } = await db.files.save(fileOf(id, 1));
  const modules = ['clients', 'files', 'versions', 'quotas', 'categories', 'analytics'] as const;
  const calls = modules.flatMap((module) =>
    Object.keys(db[module]).map((method) => ({ module: module as string, method })),
  );
  calls.push(...['query', 'execute', 'executeMany', 'transaction'].map((method) => ({ module: '', method })));
  const bad = fc.oneof(
    fc.anything({ withBigInt: true, withDate: true, withTypedArray: true }),
    fc.constantFrom('\0', '\ud800', 'x'.repeat(40_000), Number.NaN, -1, 2 ** 53, id, file.id, new Date(Number.NaN), []),
    fc.record({ clientId: fc.constant(id), fileName: fc.anything(), pathName: fc.anything(), fileSize: fc.anything() }),
    fc.record({ id: fc.constant(id), name: fc.anything(), aesKey: fc.anything() }),
    fc.record({ limit: fc.anything(), cursor: fc.anything() }),
  );
  await holds(
    t,
    fc.asyncProperty(fc.constantFrom(...calls), fc.array(bad, { maxLength: 4 }), async ({ module, method }, args) => {
      const before = await digest(db);
      const target = (module === '' ? db : db[module as 'files']) as unknown as Record<
        string,
        (...a: unknown[]) => unknown
      >;
      try {
        const answer = target[method]?.(...args);
        const isStream = typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer;
        if (isStream) await Array.fromAsync(answer as AsyncIterable<unknown>);
        else await answer;
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw new Error(`${module}.${method}: not ours`, { cause: error });
        deepStrictEqual(await digest(db), before, `${module}.${method} failed and changed something`);
      }
    }),
    { numRuns: 600, sample: 150 },
  );
});

t.test('health never throws: an option that is not accepted is told as an issue', async (t) => {
  const db = await openFresh(t);
  const told = { code: 'CATALOG_VALIDATION', severity: 'warn' };
  for (const [options, issue] of [
    [{ ful: true }, { ...told, message: /^ful: /, hint: /^Did you mean full\? The fault is in the call/ }],
    [{ full: 'yes' }, { ...told, message: /^full: / }],
    [null, { ...told, message: /^options: / }],
  ] as const) {
    t.match(await db.health(options as never), { status: 'warn', integrityCheck: null, issues: [issue] });
  }
  t.match(await db.health({ full: true }), { status: 'pass', integrityCheck: true, issues: [] });
});

t.test('a catalogue opens again with everything in it, and closes itself', async (t) => {
  const database = `${t.testdir()}/catalog.db`;
  let id = '';
  {
    await using db = await DatabaseManager.open({ database });
    id = (await db.clients.save({ name: 'alpha' })).id;
  }
  const db = await DatabaseManager.open({ database, create: false });
  t.equal((await db.clients.get(id))?.name, 'alpha');
  t.match(await db.migrations.status(), { pending: [] });
  await db.close();
  await db.close();
  const closed = { code: 'CATALOG_CLOSED' };
  await t.rejects(db.clients.count(), closed);
  await t.rejects(
    db.transaction(async () => undefined),
    closed,
  );
  await t.rejects(db.backups.create(), closed, 'nor by what reads the file without the catalogue’s connections');
  await t.rejects(db.migrations.rehearse(), closed);
  t.match(await db.health(), { status: 'fail', connectionPoolHealthy: false }, 'health answers when closed');

  await t.rejects(DatabaseManager.open({ database: `${database}.not`, create: false }), { code: 'CATALOG_NOT_FOUND' });
  const readOnly = await DatabaseManager.open({ database, readOnly: true });
  t.equal(await readOnly.clients.count(), 1);
  await t.rejects(readOnly.clients.save({ name: 'beta' }), { code: 'CATALOG_READ_ONLY' });
  await readOnly.close();
});

t.test('status tells where a catalogue is between opening and its end, and never goes back', async (t) => {
  const database = `${t.testdir()}/catalog.db`;
  const catalog = await openUnmigrated({ database });
  t.equal(catalog.status, 'opening', 'while the schema is not up to date');
  await catalog.bringUpToDate(undefined);
  t.equal(catalog.status, 'open');
  await catalog.close();
  t.equal(catalog.status, 'closed');
  const unused = await openUnmigrated({ database });
  const ending = unused.close();
  t.equal(unused.status, 'closing', 'what was never up to date is closed like anything else');
  await ending;
  t.equal(unused.status, 'closed');

  const db = await DatabaseManager.open({ database });
  t.equal(db.status, 'open');
  await db.transaction(async (tx) => {
    t.equal(db.status, 'open');
    await t.rejects(db.close(), { code: 'CATALOG_CONFLICT' });
    t.equal(db.status, 'open', 'a refused close changes nothing');
    return tx.clients.count();
  });
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const last = db.transaction(() => asked);
  await db.clients.count();
  const closing = db.close();
  t.equal(db.status, 'closing');
  await t.rejects(db.clients.count(), { code: 'CATALOG_CLOSED' });
  ask();
  await last;
  await closing;
  t.equal(db.status, 'closed');
  await db.close();
  t.equal(db.status, 'closed');
  const module: object = db;
  t.throws(() => Object.assign(module, { status: 'open' }), TypeError, 'nobody sets it');
});

t.test('what opening asks of an up-to-date catalogue starts no reader and loads no time zones', async (t) => {
  const database = `${t.testdir()}/catalog.db`;
  await (await DatabaseManager.open({ database })).close();
  const asked = new Set<string>();
  const listen = (message: unknown) => void asked.add((message as ProcedureTrace).procedure);
  const start = `tracing:${TRACING_CHANNEL}:start`;
  diagnosticsChannel.subscribe(start, listen);
  const { DateTimeFormat } = Intl;
  let zones = 0;
  Intl.DateTimeFormat = new Proxy(DateTimeFormat, {
    construct: (target, args: [string?]) => {
      zones += 1;
      return new target(...args);
    },
  });
  t.teardown(() => {
    Intl.DateTimeFormat = DateTimeFormat;
    diagnosticsChannel.unsubscribe(start, listen);
  });
  const db = await DatabaseManager.open({ database });
  t.teardown(() => db.close());
  const known = Object.values(procedures).filter((found) => isProcedure(found));
  const brief = new Set(known.filter((found) => found.brief).map(({ name }) => name));
  const notBrief = [...asked].filter((name) => !brief.has(name));
  t.ok(asked.size >= 3, [...asked].join(', '));
  t.same(notBrief, [], 'the writer answers it while no reader is open');
  t.equal(zones, 0);
});

t.test('a catalogue is opened, not constructed', (t) => {
  const Constructor = DatabaseManager as unknown as new (...given: unknown[]) => DatabaseManager;
  const refused = {
    name: 'ValidationError',
    field: 'DatabaseManager',
    received: 'new DatabaseManager()',
    accepted: 'await DatabaseManager.open({ database })',
    hint: /^Use await DatabaseManager\.open\(/,
  };
  for (const given of [[], ['catalog.db'], [{ database: 'catalog.db' }], [null], [{ engine: {}, settings: {} }]]) {
    t.throws(() => new Constructor(...given), refused);
  }
  t.throws(() => new (class extends Constructor {})(), refused, 'nor by a class of the caller’s');
  t.end();
});

t.test('open and restore read each option once', async (t) => {
  const folder = t.testdir();
  const database = `${folder}/catalog.db`;
  let reads = 0;
  const thresholds = {
    get walBytes() {
      reads += 1;
      return 1;
    },
  };
  const readsOf = async (use: () => unknown) => {
    reads = 0;
    await use();
    return reads;
  };
  const once = await readsOf(() => resolveOptions({ thresholds }, {}));
  t.ok(once > 0);
  const use = async () => (await DatabaseManager.open({ database, thresholds })).close();
  t.equal(await readsOf(use), once, 'open');
  const db = await DatabaseManager.open({ database });
  const { path: from } = await db.backups.create();
  await db.close();
  t.equal(await readsOf(() => DatabaseManager.restore({ database, from, thresholds })), once, 'a restore');
  const other = `${folder}/gone.db`;
  t.equal(await readsOf(() => DatabaseManager.restore({ database: other, from, thresholds })), once, 'of a lost file');
});

t.test('a call works when it is taken off its module', async (t) => {
  const db = await openFresh(t);
  const { save: saveClient, listAll } = db.clients;
  const { save, saveMany, search } = db.files;
  const { reserve } = db.quotas;
  const { query, run } = db;
  const { id } = await saveClient({ name: 'alpha' });
  await save(fileOf(id, 1));
  await saveMany([fileOf(id, 2)]);
  t.equal((await search({ term: 'file' })).total, 2);
  t.equal((await Array.fromAsync(listAll())).length, 1);
  await (await reserve(id, 10)).release();
  t.same(await query('SELECT count(*) AS files FROM files'), [{ files: 2 }]);
  await t.rejects(run({} as never, null), { code: 'CATALOG_VALIDATION', field: 'procedure' });
  await db.transaction(async ({ files: { count }, query: ask }) => {
    t.equal(await count(), 2);
    t.same(await ask('SELECT 1 AS one'), [{ one: 1 }]);
  });
});

t.test(
  'every module logs through a child of the caller’s logger that carries its name, and no value is logged',
  async (t) => {
    const lines: string[] = [];
    const logger = pino({ level: 'trace' }, { write: (line) => lines.push(line) });
    const db = await DatabaseManager.open({ database: `${t.testdir()}/catalog.db`, logger });
    const aesKey = new Uint8Array(32).fill(0xab);
    const { id } = await db.clients.save({ name: 'secret-client', aesKey });
    await db.files.save({ ...fileOf(id, 1), fileName: 'secret-file.txt' });
    await db.backups.create();
    await db.close();
    const modules = new Set(lines.map((line) => JSON.parse(line).module));
    t.same([...modules].sort(), ['backups', 'database']);
    t.notMatch(lines.join(''), /secret-|abababab/);
  },
);

t.test('find: the exact name and path first, else canonically equal ones of the same client', async (t) => {
  const db = await openFresh(t);
  const [{ id: mine }, { id: other }] = [
    await db.clients.save({ name: 'mine' }),
    await db.clients.save({ name: 'other' }),
  ];
  // Each character in its two forms; a name is in one of them, and so is the folder above it.
  const CHARACTERS = [
    ['\u00e9', 'e\u0301'],
    ['\ud55c', '\u1112\u1161\u11ab'],
    ['a', 'a'],
    ['\ufb01', '\ufb01'],
  ] as const;
  const form = fc.constantFrom(0 as const, 1 as const);
  const word = fc.array(fc.constantFrom(...CHARACTERS), { minLength: 1, maxLength: 4 });
  const spell = (letters: readonly (readonly [string, string])[], which: 0 | 1) =>
    letters.map((letter) => letter[which]).join('');
  let count = 0;
  await fc.assert(
    fc.asyncProperty(word, word, form, form, form, form, async (folder, name, ...[f1, n1, f2, n2]) => {
      count += 1;
      const top = String(count); // apart from the files of other runs
      const path = (f: 0 | 1, n: 0 | 1) => `${top}/${spell(folder, f)}/${spell(name, n)}`;
      const stored = {
        clientId: mine,
        fileName: spell(name, n1),
        originalPath: path(f1, n1),
        pathName: '/x',
        fileSize: count,
      };
      const { file } = await db.files.save(stored);
      deepStrictEqual(await db.files.find(mine, spell(name, n2), path(f2, n2)), file);
      deepStrictEqual(await db.files.find(other, spell(name, n2), path(f2, n2)), null);
      const twin = { ...stored, fileName: spell(name, n2), originalPath: path(f2, n2), pathName: '/y' };
      const { file: second } = await db.files.save(twin);
      deepStrictEqual(
        second.id === file.id,
        stored.originalPath === twin.originalPath,
        'a save knows exact names only',
      );
      deepStrictEqual(await db.files.find(mine, twin.fileName, twin.originalPath), second);
    }),
    { numRuns: 60 },
  );
  t.equal(await db.files.find(mine, 'fi', '1/a/fi'), null, 'compatible characters are not equal ones');
  const bare = (await db.files.save({ clientId: mine, fileName: 'e\u0301', pathName: '/z', fileSize: 1 })).file;
  t.same(await db.files.find(mine, '\u00e9'), bare, 'without a path as well');
  const windows = {
    clientId: mine,
    fileName: '\u00e9',
    originalPath: 'C:\\u\u0308\\\u00e9',
    pathName: '/w',
    fileSize: 1,
  };
  const { file } = await db.files.save(windows);
  t.same(await db.files.find(mine, 'e\u0301', 'C:\\\u00fc\\e\u0301'), file);
});

/** `db.files.search`: exactly what looking at each file would give, whatever was written and by whom. */
import { deepStrictEqual, strictEqual } from 'node:assert';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type CatalogFile, DatabaseError, DatabaseManager, type SearchFilter } from '../lib/index.ts';
import { SEARCH_PLANS, type SearchPlan } from '../lib/search/plans.ts';
import { checkFilter, type SearchBounds } from '../lib/search/search-filter.ts';
import { catchUpIndex, indexState, renewIndex } from '../lib/search/search-index.ts';
import { searchFiles } from '../lib/search/search-procedures.ts';
import { holds } from './fixtures/property.ts';
import { openNew } from './fixtures/template.ts';
import { isLong } from './fixtures/tier.ts';
import { type ModelFile, searchModel } from './search-model.ts';

async function openCatalogue(t: Test, name = 'catalogue.db') {
  const database = join(t.testdir(), name);
  const db = await openNew({ database, defaultQuotaBytes: null, poolSize: 2, durability: 'normal' });
  t.teardown(() => db.close());
  return { db, database };
}

/** A connection as a server has it that knows nothing of this library. */
function openForeign(database: string) {
  const connection = new Database(database, { timeout: 5_000 });
  connection.pragma('foreign_keys = ON');
  return connection;
}

/** Takes everything that waits into the index. */
async function indexAll(db: DatabaseManager): Promise<void> {
  while ((await db.run(indexState, null)).waiting > 0) await db.run(catchUpIndex, null);
}

const bytes = (id: string) => Buffer.from(id, 'hex');

async function storedFiles(db: DatabaseManager): Promise<ModelFile[]> {
  const names = new Map<string, string>();
  for await (const { id, name } of db.clients.listAll()) names.set(id, name);
  const files: ModelFile[] = [];
  for await (const file of db.files.listAll()) files.push({ ...file, clientName: names.get(file.clientId) ?? null });
  return files;
}

const idsOf = (files: readonly CatalogFile[]) => files.map(({ id }) => id);

// Texts in which case, form and the languages of the queries meet.
const PIECES = [
  'a', 'b', 'ab', 'abc', 'A', 'ä', 'Ä', 'a\u0308', 'ß', 'SS', 'ẞ', 'ﬁ', 'FI', 'İ', 'I', 'ı', 'i\u0307', 'Σ', 'ς', 'K',
  '\u212a', '日本', '語', '𝒜', '𐐀', '😀', '\uff41', '%', '_', '\\', '"', "'", '*', '^', '(', ':', '-', '.', '/', ' ', ' NEAR ',
  ' AND ', '\u0001', '\ufffd', '\ufffe', '\uffff', '.txt', '.TXT', '.pdf', '.tar.gz', 'report', 'e\u0301', '\u0307',
]; // biome-ignore format: a table
const anyText = (max: number) =>
  fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: max }).map((pieces) => pieces.join(''));
// Names that many files share, so that terms and extensions lead to many of them.
const anyName = fc.oneof(
  { weight: 3, arbitrary: anyText(4) },
  fc.constantFrom('report.txt', 'Reports.txt', 'x.report.pdf'),
);
const DATES = [
  null,
  '2025-08-05T00:00:00.000Z',
  '2025-08-05T23:59:59.999Z',
  '2025-08-06T00:00:00.000Z',
  '2024-12-31T12:00:00.500Z',
];
const FOREIGN_DATES = [
  ...DATES, '', 'nonsense', '2025-08-05', '2025-08-05 18:20', '2025-08-05T18:20:11.123456', '2025-08-05T23:30:00-02:00',
  '2025-08-06T01:30:00+02:00', '2025/08/05 18:20', '2025-08-05T10:00:00+00:00Z', '2025-02-30T00:00:00', '0000-01-01',
]; // biome-ignore format: a table
const place = fc.nat(1_000);

const operation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('save' as const), client: fc.nat(2), name: anyName, path: anyText(5), size: fc.nat(5), date: fc.constantFrom(...DATES), verified: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('resave' as const), place, path: anyText(5), size: fc.nat(5) }) },
  fc.record({ kind: fc.constant('delete' as const), place }),
  fc.record({ kind: fc.constant('activate' as const), place }),
  fc.record({ kind: fc.constant('rename' as const), place, foreign: fc.boolean(), name: anyText(4), date: fc.constantFrom(...FOREIGN_DATES) }),
  fc.record({ kind: fc.constant('replace' as const), place, into: place, name: anyText(4), path: anyText(4) }),
  fc.record({ kind: fc.constant('identify' as const), place, into: place }),
  fc.record({ kind: fc.constant('move' as const), place, into: place }),
  fc.record({ kind: fc.constant('insert' as const), client: fc.nat(2), name: anyText(4), path: anyText(4), date: fc.constantFrom(...FOREIGN_DATES), size: fc.constantFrom(null, -1, 3) }),
  fc.record({ kind: fc.constant('forget client' as const), client: fc.nat(2), foreign: fc.boolean() }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('index' as const) }) },
  fc.record({ kind: fc.constant('empty index' as const) }),
); // biome-ignore format: a table
type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never;

const optional = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined, freq: 2 });
const rarely = <Value>(value: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 15, arbitrary: fc.constant(undefined) }, value);
const filters = fc.record({
  term: optional(
    fc.oneof({ weight: 3, arbitrary: anyText(2) }, anyText(4), fc.constantFrom('report.txt', 'report', 'ep', 't.')),
  ),
  fileType: rarely(fc.constantFrom('txt', '.TXT', 'pdf', 'gz', 'ß', '\u212a')),
  mimeType: rarely(fc.constantFrom('text/plain', 'application/pdf')),
  category: rarely(fc.constantFrom('document', 'other')),
  client: rarely(fc.nat(3)),
  clientName: rarely(fc.constantFrom('STRASSE', 'a', 'nobody')),
  dateFrom: rarely(fc.constantFrom('2025-08-05', '2025-08-05T18:00:00Z', '2000-01-01', '0000-01-01')),
  dateTo: rarely(fc.constantFrom('2025-08-05', '2025-08-05T18:30:00Z', '9999-12-31')),
  minSize: rarely(fc.nat(3)),
  maxSize: rarely(fc.nat(5)),
  verifiedOnly: rarely(fc.boolean()),
  sort: optional(fc.constantFrom('name' as const, 'size' as const, 'date' as const, 'relevance' as const)),
  order: optional(fc.constantFrom('asc' as const, 'desc' as const)),
});

/** A catalogue with three clients, and what the operations of a history do to it. */
class History {
  readonly db: DatabaseManager;
  readonly clientIds: string[] = [];
  readonly #foreign: Database.Database;

  constructor(db: DatabaseManager, foreign: Database.Database) {
    this.db = db;
    this.#foreign = foreign;
  }

  async begin(): Promise<void> {
    for await (const { id } of this.db.clients.listAll()) await this.db.clients.delete(id);
    this.clientIds.length = 0;
    for (const name of ['Hauptstraße', 'laptop A', '100%']) {
      this.clientIds.push((await this.db.clients.save({ name })).id);
    }
  }

  async #client(number: number): Promise<string> {
    const id = this.clientIds[number] ?? '';
    if ((await this.db.clients.get(id)) === null) {
      await this.db.clients.save({ id, name: `again ${number}, Straße` });
    }
    return id;
  }

  async #execute(isForeign: boolean, text: string, values: unknown[]): Promise<void> {
    if (isForeign) this.#foreign.prepare(text).run(values);
    else await this.db.execute(text, values as never);
  }

  /** A refused operation changes nothing, and what is stored is read back. */
  async attempt(step: Operation): Promise<void> {
    try {
      await this.perform(step);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
    }
  }

  async perform(step: Operation): Promise<void> {
    const { db } = this;
    if (step.kind === 'index') return indexAll(db);
    if (step.kind === 'empty index') return db.run(renewIndex, null);
    if (step.kind === 'forget client') {
      const id = this.clientIds[step.client] ?? '';
      if ((await db.clients.get(id)) === null) return;
      if (!step.foreign) return void (await db.clients.delete(id));
      this.#foreign.prepare('DELETE FROM client_activity WHERE ClientID = ?').run(bytes(id));
      return void this.#foreign.prepare('DELETE FROM clients WHERE ID = ?').run(bytes(id));
    }
    if (step.kind === 'save' || step.kind === 'insert') {
      const clientId = await this.#client(step.client);
      if (step.kind === 'save') {
        const { name: fileName, path: pathName, size: fileSize, date: modificationDate, verified } = step;
        return void (await db.files.save({ clientId, fileName, pathName, fileSize, modificationDate, verified }));
      }
      const id = Buffer.from(crypto.getRandomValues(new Uint8Array(16)));
      const values = [id, step.name, step.path, step.size, step.date, bytes(clientId)];
      const text =
        'INSERT INTO files (ID, FileName, PathName, FileSize, ModificationDate, ClientID) VALUES (?, ?, ?, ?, ?, ?)';
      return this.#execute(true, text, values);
    }
    return this.#change(step);
  }

  async #change(step: Exclude<Operation, { kind: 'save' | 'insert' | 'index' | 'empty index' | 'forget client' }>) {
    const { db } = this;
    const files = await storedFiles(db);
    const file = files[step.place % Math.max(1, files.length)];
    if (file === undefined) return;
    const { id, clientId, fileName, originalPath } = file;
    const other = 'into' in step ? (files[step.into % files.length] ?? file) : file;
    switch (step.kind) {
      case 'resave':
        if (fileName === '' || file.clientName === null) return;
        await db.files.save({ clientId, fileName, originalPath, pathName: step.path, fileSize: step.size });
        return;
      case 'delete':
        await db.files.delete(id);
        return;
      case 'activate': {
        const [first] = await db.versions.list(id);
        if (first !== undefined) await db.versions.activate(id, first.versionNumber);
        return;
      }
      case 'rename':
        return this.#execute(
          step.foreign,
          'UPDATE files SET FileName = ?, PathName = lower(PathName), ModificationDate = ? WHERE ID = ?',
          [step.name, step.date, bytes(id)],
        );
      // Replaces the other row without a delete trigger: this connection's recursive triggers are off.
      case 'replace':
        return this.#execute(
          true,
          'INSERT OR REPLACE INTO files (ID, FileName, PathName, FileSize, ClientID) VALUES (?, ?, ?, 7, ?)',
          [bytes(other.id), step.name, step.path, bytes(clientId)],
        );
      case 'identify':
        this.#foreign.pragma('foreign_keys = OFF');
        await this.#execute(true, 'UPDATE OR REPLACE files SET ID = ? WHERE ID = ?', [bytes(other.id), bytes(id)]);
        this.#foreign.pragma('foreign_keys = ON');
        return;
      case 'move':
        this.#foreign.pragma('foreign_keys = OFF');
        await this.#execute(
          true,
          'UPDATE OR REPLACE files SET rowid = (SELECT rowid FROM files WHERE ID = ?) WHERE ID = ?',
          [bytes(other.id), bytes(id)],
        );
        this.#foreign.pragma('foreign_keys = ON');
        return;
    }
  }
}

// So small that each plan is taken in a catalogue of a dozen files.
const BOUNDS: SearchBounds[] = [
  { few: 2_000, stretch: 2_000 },
  { few: 0, stretch: 3 },
  { few: 2, stretch: 1 },
];

t.test('random histories: matches, their order and their number are those of a look at each file', async (t) => {
  const { db, database } = await openCatalogue(t);
  const foreign = openForeign(database);
  t.teardown(() => foreign.close());
  const history = new History(db, foreign);
  const reached = new Map<SearchPlan, number>();
  await holds(
    t,
    fc.asyncProperty(
      fc.array(operation, { minLength: 5, maxLength: 40 }),
      fc.array(
        fc.record({ filter: filters, limit: fc.integer({ min: 1, max: 6 }), bounds: fc.constantFrom(...BOUNDS) }),
        {
          minLength: 20,
          maxLength: 40,
        },
      ),
      fc.boolean(),
      async (operations, searches, isIndexed) => {
        await history.begin();
        for (const step of operations) await history.attempt(step);
        if (isIndexed) await indexAll(db);
        const files = await storedFiles(db);
        for (const {
          filter: { client, ...given },
          limit,
          bounds,
        } of searches) {
          const clientId = client === undefined ? undefined : (history.clientIds[client] ?? '0'.repeat(32));
          const filter = { ...given, clientId } as SearchFilter;
          const expected = searchModel(files, filter);
          const found: string[] = [];
          let after = null as ReturnType<typeof checkFilter>['after'];
          do {
            const request = { ...checkFilter({ ...filter, limit }), after, bounds };
            const result = await db.run(searchFiles, request);
            reached.set(result.plan, (reached.get(result.plan) ?? 0) + 1);
            strictEqual(result.total, expected.length, `the number of matches for ${JSON.stringify(filter)}`);
            found.push(...idsOf(result.files.slice(0, limit)));
            after = result.files.length > limit ? (result.keys[limit - 1] ?? null) : null;
          } while (after !== null && found.length <= expected.length);
          deepStrictEqual(found, expected, JSON.stringify({ filter, limit, bounds }));
        }
      },
    ),
    { numRuns: 80, sample: 15 },
  );
  t.equal(db.stats().beforeCommit.failures, 0);
  t.comment(`searches by plan: ${JSON.stringify(Object.fromEntries(reached))}`);
  // Rare: it takes many matches with dates that only JavaScript reads. The table of plans below has it.
  const usual = (Object.keys(SEARCH_PLANS) as SearchPlan[]).filter((plan) => plan !== 'index walk');
  if (isLong)
    t.same(
      usual.filter((plan) => !reached.has(plan)),
      [],
      'each plan was compared with the model',
    );
});

const waitingRows = async (db: DatabaseManager) => (await db.run(indexState, null)).waiting;

async function withFiles(t: Test, names: readonly string[]) {
  const { db, database } = await openCatalogue(t);
  const { id: clientId } = await db.clients.save({ name: 'laptop' });
  const ids: string[] = [];
  for (const fileName of names) {
    const { file } = await db.files.save({ clientId, fileName, pathName: `store/${ids.length}`, fileSize: ids.length });
    ids.push(file.id);
  }
  return { db, database, clientId, ids };
}

t.test('whatever changes a name, by whoever, is noted for the index; nothing else is', async (t) => {
  const { db, database, clientId, ids } = await withFiles(t, ['one.txt', 'two.txt', 'three.txt', 'four.txt']);
  const foreign = openForeign(database);
  t.teardown(() => foreign.close());
  foreign.pragma('foreign_keys = OFF');
  const [one, two, three, four] = ids.map((id) => `x'${id}'`);
  const fresh = `x'${'ab'.repeat(16)}'`;
  const columns = '(ID, FileName, PathName, ClientID)';
  const noted: [text: string, rows: number[]][] = [
    [`UPDATE files SET FileSize = 3, Verified = 1 WHERE ID = ${one}`, []],
    [`UPDATE files SET FileName = FileName WHERE ID = ${one}`, []],
    [`UPDATE files SET FileName = 'uno' WHERE ID = ${one}`, [1]],
    [`UPDATE OR ABORT files SET PathName = 'else' WHERE ID IN (${one}, ${two})`, [1, 2]],
    [`INSERT INTO files ${columns} VALUES (${fresh}, 'five', 'p', x'${clientId}')`, [5]],
    [`INSERT OR REPLACE INTO files ${columns} VALUES (${two}, 'dos', 'p', x'${clientId}')`, [2, 6]],
    [`UPDATE OR REPLACE files SET ID = ${one} WHERE ID = ${three}`, [1]],
    [`UPDATE files SET rowid = 9 WHERE ID = ${four}`, [4, 9]],
    [`DELETE FROM files WHERE ID = ${four}`, [9]],
    ['DELETE FROM files', [3, 5, 6]],
  ];
  for (const [text, expected] of noted) {
    await indexAll(db);
    foreign.exec(text);
    const found = await db.query('SELECT FileRow AS "row" FROM search_todo ORDER BY FileRow');
    t.same(found.map(({ row }) => row), expected, text); // biome-ignore format: one line
  }
  await indexAll(db);
  t.same(await db.query(`SELECT rowid FROM search_index WHERE search_index MATCH '"txt"'`), []);
});

t.test('a page of each sort and direction, files without a value last', async (t) => {
  const { db, clientId } = await withFiles(t, ['b.txt', 'B.txt', 'ab.txt', 'c.txt']);
  await db.execute('UPDATE files SET FileSize = NULL WHERE FileName = ?', ['ab.txt']);
  await db.files.save({ clientId, fileName: 'c.txt', pathName: 'b.txt', fileSize: 9, modificationDate: '2025-01-01' });
  const names = async (filter: SearchFilter) => (await db.files.search(filter)).files.map(({ fileName }) => fileName);
  t.same(await names({}), ['B.txt', 'ab.txt', 'b.txt', 'c.txt'], 'by name without a term');
  t.same(await names({ order: 'desc' }), ['c.txt', 'b.txt', 'ab.txt', 'B.txt']);
  t.same(await names({ term: 'b.TXT' }), ['B.txt', 'b.txt', 'ab.txt', 'c.txt'], 'by relevance with one');
  t.same(await names({ term: 'b.txt', sort: 'relevance', order: 'desc' }), ['c.txt', 'ab.txt', 'b.txt', 'B.txt']);
  t.same(await names({ sort: 'size' }), ['b.txt', 'B.txt', 'c.txt', 'ab.txt']);
  t.same(await names({ sort: 'size', order: 'desc' }), ['c.txt', 'B.txt', 'b.txt', 'ab.txt']);
  t.same(await names({ sort: 'date', order: 'desc', limit: 1 }), ['c.txt']);
  const walked: string[] = [];
  for await (const { fileName } of db.files.searchAll({ term: '.txt', sort: 'size', order: 'desc' }))
    walked.push(fileName);
  t.same(walked, ['c.txt', 'B.txt', 'b.txt', 'ab.txt']);
});

t.test('any text is a term, and means itself', async (t) => {
  const { db, ids } = await withFiles(t, [
    '100%_\\"quoted"*.txt',
    "it's (NEAR) ^x: a AND b",
    'ordinary',
    'näme STRAẞE',
  ]);
  await indexAll(db);
  const found = async (term: string) => (await db.files.search({ term })).files.map(({ id }) => ids.indexOf(id));
  for (const term of ['%', '_', '\\', '"', '*', '%_\\"', '"quoted"', '_\\"QUOTED"*.T'])
    t.same(await found(term), [0], term);
  for (const term of ["'", '(', '^', ':', '^x:', '(NEAR)', 'a AND b', "it's (near) ^X: a and B"])
    t.same(await found(term), [1], term);
  for (const term of ['NEAR(', 'Name:x', 'ordinary*', 'o%y', 'or_inary', '""', '\u0001', 'y\u0001', '\ufffd', '😀'])
    t.same(await found(term), [], term);
  t.same(await found('NA\u0308M'), [3], 'the same letters in another form');
  for (const term of ['Straße', 'strasse', 'STRAẞE', 'sse'])
    t.same(await found(term), [3], 'one letter, four spellings');
  t.same(await found('ordinary'.repeat(1_250)), [], '10,000 characters');
  t.equal((await db.files.search({ term: '' })).total, 4, 'an empty term finds every file');
  t.equal((await db.files.search({ term: null })).total, 4);
});

t.test('names that were folded by another rule are indexed again, on the way up and down', async (t) => {
  const { db } = await withFiles(t, ['straße', 'STRAẞE', 'strasse', 'WEIẞ']);
  const waiting = () => db.query('SELECT FileName FROM search_todo JOIN files f ON f.rowid = FileRow ORDER BY FileRow');
  const folded = [{ FileName: 'STRAẞE' }, { FileName: 'WEIẞ' }];
  await indexAll(db);
  await db.migrations.down({ to: 24 });
  t.same(await waiting(), folded);
  await db.execute('DELETE FROM search_todo WHERE true');
  await db.migrations.up();
  t.same(await waiting(), folded);
});

t.test('what no filter can be is refused by name', async (t) => {
  const { db } = await withFiles(t, ['one.txt', 'two.txt', 'three.txt']);
  const refused: [filter: object, field: string][] = [
    [{ term: 'a\0b' }, 'term'],
    [{ term: 'a\ud800' }, 'term'],
    [{ term: 7 }, 'term'],
    [{ term: 'x'.repeat(40_000) }, 'term'],
    [{ fileType: 'tar.gz' }, 'fileType'],
    [{ fileType: '.' }, 'fileType'],
    [{ clientId: 'x' }, 'clientId'],
    [{ clientName: '' }, 'clientName'],
    [{ dateFrom: '2025-02-30' }, 'dateFrom'],
    [{ dateTo: 'yesterday' }, 'dateTo'],
    [{ minSize: -1 }, 'minSize'],
    [{ maxSize: 1.5 }, 'maxSize'],
    [{ verifiedOnly: 'yes' }, 'verifiedOnly'],
    [{ sort: 'path' }, 'sort'],
    [{ order: 'up' }, 'order'],
    [{ limit: 0 }, 'limit'],
    [{ limit: 1_001 }, 'limit'],
    [{ cursor: 'x' }, 'cursor'],
    [{ terms: 'x' }, 'terms'],
  ];
  for (const [filter, field] of refused) {
    await t.rejects(db.files.search(filter as never), { code: 'CATALOG_VALIDATION', field }, JSON.stringify(filter));
  }
  await t.rejects(
    db.files.search({ dateTo: '2026-02-30' }),
    { code: 'CATALOG_VALIDATION', received: '"2026-02-30"' },
    'as it came',
  );
  await t.rejects(db.files.search({ size: 5 } as never), { code: 'CATALOG_VALIDATION', hint: 'Did you mean minSize?' });
  const { nextCursor: cursor } = await db.files.search({ sort: 'size', limit: 1 });
  await t.rejects(
    db.files.search({ sort: 'size', order: 'desc', cursor }),
    { code: 'CATALOG_VALIDATION', field: 'cursor' },
    'of another order',
  );
  const forged = (...keys: unknown[]) =>
    Buffer.from(JSON.stringify(['files.search size asc', ...keys])).toString('base64url');
  await t.rejects(db.files.search({ sort: 'size', cursor: forged('x', '00') }), {
    code: 'CATALOG_VALIDATION',
    field: 'cursor',
  });
  await t.rejects(db.files.search({ sort: 'size', cursor: forged(1, 'no id') }), {
    code: 'CATALOG_VALIDATION',
    field: 'cursor',
  });
  const signal = AbortSignal.abort(new Error('enough'));
  const enough = { message: 'enough' };
  await t.rejects(db.files.searchAll({}, { signal }).next(), enough);
  await t.rejects(db.files.search({ signal }), enough);
  await t.rejects(db.files.search({}, { signal }), enough, 'where every other call takes it');
  await t.rejects(db.files.search({}, { sinal: signal } as never), { code: 'CATALOG_VALIDATION', field: 'sinal' });
});

t.test('a transaction finds what it wrote, and nothing of it once it is rolled back', async (t) => {
  const { db, clientId } = await withFiles(t, ['one.txt']);
  await indexAll(db);
  const saving = (count: number, andThen?: Error) =>
    db.transaction(async (tx) => {
      const save = (_: unknown, i: number) =>
        tx.files.save({ clientId, fileName: `new-${i}`, pathName: 'p', fileSize: 1 });
      await Promise.all(Array.from({ length: count }, save));
      t.equal((await tx.files.search({ term: 'NEW-1' })).total, (await db.files.search({ term: 'NEW-1' })).total + 11);
      if (andThen !== undefined) throw andThen;
    });
  await t.rejects(saving(20, new Error('never mind')), { message: 'never mind' });
  t.equal((await db.files.search({ term: 'NEW' })).total, 0);
  await saving(20);
  t.equal((await db.files.search({ term: 'NEW-1' })).total, 11);
  await db.transaction(async (tx) => tx.execute("UPDATE files SET PathName = PathName || '-moved'"));
  t.equal((await db.files.search({ term: '-MOVED' })).total, 21);
});

t.test('rows are taken into the index many at once, whoever wrote them', async (t) => {
  const { db, database, clientId } = await withFiles(t, []);
  const files = Array.from({ length: 511 }, (_, i) => ({ clientId, fileName: `f${i}`, pathName: 'p', fileSize: 1 }));
  await db.files.saveMany(files);
  t.equal(await waitingRows(db), 511);
  const foreign = openForeign(database);
  foreign.prepare('UPDATE files SET FileName = ? WHERE FileName = ?').run('renamed', 'f7');
  foreign
    .prepare('INSERT INTO files (ID, FileName, PathName, ClientID) VALUES (?, ?, ?, ?)')
    .run(bytes('cd'.repeat(16)), 'foreign', 'p', bytes(clientId));
  foreign.close();
  t.equal(await waitingRows(db), 512);
  await db.files.save({ clientId, fileName: 'last', pathName: 'p', fileSize: 1 });
  t.equal(await waitingRows(db), 0);
  for (const term of ['renamed', 'foreign', 'last']) t.equal((await db.files.search({ term })).total, 1, term);
  t.match(db.stats().beforeCommit, { failures: 0, lastError: null });
});

t.test('an index that is damaged or gone fails no save and no search, and is made anew', async (t) => {
  const damages = [
    'UPDATE search_index_data SET block = zeroblob(length(block)) WHERE id > 10',
    'DELETE FROM search_index_data WHERE id > 10',
    'DROP TABLE search_index_data',
    'DROP TABLE search_index',
    // A level of two thousand million segments: SQLite calls that a lack of memory, and rolls back the transaction.
    "UPDATE search_index_data SET block = x'00000000010100008fffffff7f' WHERE id = 10",
  ];
  for (const damage of damages) {
    const { db, database, clientId } = await withFiles(t, ['one.txt', 'two.txt']);
    await indexAll(db);
    const foreign = openForeign(database);
    foreign.unsafeMode(true);
    foreign.pragma('writable_schema = ON');
    foreign.exec(damage);
    foreign.close();
    const more = Array.from({ length: 520 }, (_, i) => ({
      clientId,
      fileName: `more-${i}`,
      pathName: 'p',
      fileSize: 1,
    }));
    t.match(await db.files.saveMany(more), { saved: 520, failed: [] }, damage);
    // Damaged pages are met when they are merged or read, tables and structure at once.
    const failures = /^DROP|id = 10$/.test(damage) ? 1 : 0;
    t.equal(db.stats().beforeCommit.failures, failures, 'an index that cannot be kept rests');
    const found = async () => ({
      one: (await db.files.search({ term: 'ONE' })).total,
      more: (await db.files.search({ term: 'more-5' })).total,
      short: (await db.files.search({ term: 'x' })).total,
    });
    t.same(await found(), { one: 1, more: 31, short: 2 });
    await db.run(renewIndex, null);
    t.same(await found(), { one: 1, more: 31, short: 2 });
    await indexAll(db);
    t.same(await found(), { one: 1, more: 31, short: 2 });
    await db.execute(`INSERT INTO search_index (search_index) VALUES ('integrity-check')`);
    await db.close();
  }
});

t.test('VACUUM leaves every row where the index knows it', async (t) => {
  const { db, database, clientId, ids } = await withFiles(
    t,
    Array.from({ length: 40 }, (_, i) => `file-${i}.txt`),
  );
  for (const id of ids.filter((_, i) => i % 3 === 0)) await db.files.delete(id);
  await indexAll(db);
  const rowsBefore = await db.query('SELECT rowid, FileName FROM files ORDER BY rowid');
  await db.close();
  const foreign = openForeign(database);
  foreign.exec('VACUUM');
  foreign.close();
  const again = await DatabaseManager.open({ database, poolSize: 2 });
  t.teardown(() => again.close());
  t.same(await again.query('SELECT rowid, FileName FROM files ORDER BY rowid'), rowsBefore);
  t.equal((await again.files.search({ term: 'file-1', clientId })).total, 8);
});

t.test('a backlog is worked off after opening, and searches are exact before', async (t) => {
  const { db, database, clientId } = await withFiles(t, []);
  const files = Array.from({ length: 3_000 }, (_, i) => ({ clientId, fileName: `f${i}`, pathName: 'p', fileSize: 1 }));
  await db.files.saveMany(files);
  await db.run(renewIndex, null);
  await db.close();
  const again = await DatabaseManager.open({ database, poolSize: 2 });
  t.teardown(() => again.close());
  t.equal((await again.files.search({ term: 'F29' })).total, 111);
  while ((await waitingRows(again)) >= 512) t.equal((await again.files.search({ term: 'f29' })).total, 111);
  t.equal((await again.files.search({ term: 'F29' })).total, 111);
  t.match(again.stats().beforeCommit, { failures: 0 });
});

t.test('each plan of a search is taken where it should be, and finds the same', async (t) => {
  const names = Array.from({ length: 40 }, (_, i) => `report-${i}.${i % 2 === 0 ? 'txt' : 'pdf'}`);
  const { db, clientId } = await withFiles(t, [...names, 'odd.bin', 'quiet.bin']);
  const other = await db.clients.save({ name: 'tower' });
  await db.files.save({ clientId: other.id, fileName: 'tower.txt', pathName: 'p', fileSize: 900 });
  await indexAll(db);
  await db.files.save({ clientId, fileName: 'waiting.zip', pathName: 'p', fileSize: 5 });
  // A date that only JavaScript reads.
  await db.execute("UPDATE files SET ModificationDate = '2025-08-05 18:20' WHERE FileName = 'odd.bin'");
  const few: SearchBounds = { few: 3, stretch: 2 };
  const one: SearchBounds = { few: 1, stretch: 2 };
  const plenty: SearchBounds = { few: 2_000, stretch: 2_000 };
  const none: SearchBounds = { few: 0, stretch: 2 };
  const cases: [plan: SearchPlan, filter: SearchFilter, bounds: SearchBounds, total: number][] = [
    ['no client', { clientName: 'nobody' }, few, 0],
    ['few files', { clientId: other.id }, few, 1],
    ['few files', { term: 'report', minSize: 38 }, one, 2],
    ['waiting files', { term: '\u{1f600}z' }, few, 0],
    ['waiting files', { term: 'z' }, none, 1],
    ['phrase', { term: 'quiet' }, few, 1],
    ['phrase', { term: 'report' }, plenty, 40],
    ['phrase', { term: 'waiting' }, few, 1],
    ['short term', { term: 'q' }, few, 1],
    ['extension', { fileType: 'bin' }, few, 2],
    ['phrase', { term: 'quiet', fileType: 'bin' }, few, 1],
    ['index walk', { fileType: 'bin', sort: 'date' }, none, 2],
    ['ordered walk', { sort: 'name', limit: 5 }, few, 44],
    ['ordered walk', { sort: 'size', order: 'desc', limit: 5 }, few, 44],
    ['ordered walk', { term: 'report', sort: 'name' }, none, 40],
    ['sort', { sort: 'name', limit: 50 }, few, 44],
    ['sort', { fileType: 'pdf', sort: 'date' }, none, 20],
    ['ranks', { term: 'report' }, none, 40],
    ['ranks', { term: 'r', sort: 'relevance' }, none, 43],
    ['scan', { sort: 'date' }, few, 44],
  ];
  for (const [plan, filter, bounds, total] of cases) {
    const request = { ...checkFilter(filter), bounds };
    const found = await db.run(searchFiles, request);
    t.match(found, { plan, total }, JSON.stringify({ filter, bounds }));
    const scanned = await db.run(searchFiles, { ...request, withoutIndex: true });
    t.same(idsOf(found.files), plan === 'no client' ? [] : idsOf(scanned.files), 'as a scan finds them');
  }
  t.same(new Set(cases.map(([plan]) => plan)), new Set(Object.keys(SEARCH_PLANS)), 'no plan is left out');
});

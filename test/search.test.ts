/** `db.files.search`: exactly what looking at each file would give, whatever was written and by whom. */
import { deepStrictEqual, strictEqual } from 'node:assert';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type CatalogFile, DatabaseError, DatabaseManager, type SearchFilter } from '../lib/index.ts';
import { checkFilter, type SearchBounds } from '../lib/search/search-filter.ts';
import { catchUpIndex, emptyIndex, indexState } from '../lib/search/search-index.ts';
import { searchFiles } from '../lib/search/search-procedures.ts';
import { holds } from './fixtures/property.ts';
import { type ModelFile, searchModel } from './search-model.ts';

async function openCatalogue(t: Test, name = 'catalogue.db') {
  const database = join(t.testdir(), name);
  const db = await DatabaseManager.open({ database, defaultQuotaBytes: null, poolSize: 2, durability: 'normal' });
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
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('save' as const), client: fc.nat(2), name: anyText(4), path: anyText(5), size: fc.nat(5), date: fc.constantFrom(...DATES), verified: fc.boolean() }) },
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
const rarely = <Value>(value: fc.Arbitrary<Value>) => fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, value);
const filters = fc.record({
  term: optional(fc.oneof({ weight: 3, arbitrary: anyText(2) }, anyText(4), fc.constant('report.txt'))),
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
    if (step.kind === 'empty index') return db.run(emptyIndex, null);
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
      async (operations, searches) => {
        await history.begin();
        for (const step of operations) await history.attempt(step);
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
            strictEqual(result.total, expected.length, `the number of matches for ${JSON.stringify(filter)}`);
            found.push(...idsOf(result.files.slice(0, limit)));
            after = result.files.length > limit ? (result.keys[limit - 1] ?? null) : null;
          } while (after !== null && found.length <= expected.length);
          deepStrictEqual(found, expected, JSON.stringify({ filter, limit, bounds }));
        }
      },
    ),
    { numRuns: Number(process.env['RUNS'] ?? 40) },
  );
  t.equal(db.stats().upkeep.failures, 0);
});

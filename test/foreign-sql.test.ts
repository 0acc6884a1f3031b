/** Files and backups in which somebody else's SQL waits to be run: views, triggers, computed columns. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { DatabaseManager } from '../lib/index.ts';
import { OWN_SCHEMA } from '../lib/migrations/journal.ts';
import { MIGRATIONS } from '../lib/migrations/migration-list.ts';
import { assertOwnNames, assertStoredColumns, SCHEMA_OBJECTS, type SchemaObject } from '../lib/schema/own-objects.ts';
import { objectsAfter } from '../lib/schema/schema-objects.ts';

t.setTimeout(600_000);

const ENDLESS = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS ID FROM n';

/** Changes a file with a connection of its own, its schema included. */
function tamper(path: string, ...statements: readonly string[]): void {
  const raw = new Database(path);
  try {
    raw.unsafeMode(true);
    raw.pragma('foreign_keys = OFF');
    raw.pragma('writable_schema = ON');
    for (const statement of statements) raw.exec(statement);
    raw.pragma('writable_schema = RESET');
  } finally {
    raw.close();
  }
}

/** Puts an endless view in the place of a table, as nothing but an edited schema can do for some. */
const asView = (name: string): string =>
  `UPDATE sqlite_schema SET type = 'view', rootpage = 0, sql = 'CREATE VIEW ${name} AS ${ENDLESS}' WHERE name = '${name}';
   DELETE FROM sqlite_schema WHERE tbl_name = '${name}' AND type IN ('index', 'trigger')`;

async function makeCatalogue(path: string): Promise<string> {
  const db = await DatabaseManager.open({ database: path });
  const { id } = await db.clients.save({ name: 'alpha' });
  await db.files.save({ clientId: id, fileName: 'a.txt', pathName: '/a', fileSize: 1 });
  await db.close();
  return path;
}

/** Everything in a folder: names, modes, times and contents. */
const contentsOf = (folder: string) =>
  readdirSync(folder).map((name) => {
    const path = join(folder, name);
    const { mode, mtimeMs } = statSync(path);
    return [name, mode, mtimeMs, createHash('sha256').update(readFileSync(path)).digest('hex')];
  });

t.test('what must be a table of ours follows from the migrations', async (t) => {
  const { tables } = objectsAfter(MIGRATIONS);
  const { plain, virtual } = OWN_SCHEMA.tables;
  const shadows = plain.filter((name) => /^search_index_/.test(name));
  t.same(
    [...plain.filter((name) => !shadows.includes(name)), ...Object.keys(virtual)].sort(),
    [...tables.keys(), 'catalog_migrations'].sort(),
  );
  t.same(virtual, { search_index: 'fts5', search_vocabulary: 'fts5vocab' });
  const path = await makeCatalogue(join(t.testdir(), 'a.db'));
  const raw = new Database(path);
  t.teardown(() => raw.close());
  const objects = raw.prepare(SCHEMA_OBJECTS).all() as SchemaObject[];
  const stored = objects.filter(({ kind }) => kind === 'table').map(({ name }) => name);
  t.same(
    shadows.filter((name) => !stored.includes(name)),
    ['search_index_content'],
    'it keeps no content',
  );
  assertOwnNames(objects, OWN_SCHEMA.tables);
  for (const object of objects.filter(({ kind }) => kind === 'table')) {
    for (const changed of [
      { ...object, kind: 'view', text: `CREATE VIEW ${object.name} AS SELECT 1` },
      { ...object, text: `CREATE VIRTUAL TABLE ${object.name} USING fts5(x, content=secrets)` },
      { ...object, text: `CREATE VIRTUAL TABLE ${object.name} USING fts5(x, y='content=''''', content='v')` },
      { ...object, text: `CREATE/* */VIRTUAL TABLE ${object.name} USING rtree(a, b, c)` },
    ]) {
      t.throws(() => assertOwnNames([changed], OWN_SCHEMA.tables), { code: 'CATALOG_FOREIGN_DATABASE' }, changed.text);
    }
  }
  const others: SchemaObject[] = [
    { kind: 'view', name: 'report', table: 'report', text: 'CREATE VIEW report AS SELECT 1' },
    { kind: 'table', name: 'words', table: 'words', text: 'CREATE VIRTUAL TABLE words USING fts5(x)' },
    { kind: 'trigger', name: 'files', table: 'report', text: 'CREATE TRIGGER files INSTEAD OF INSERT ON report' },
    { kind: 'table', name: 'search_index', table: 'search_index', text: 'CREATE TABLE search_index (x)' },
  ];
  assertOwnNames(others, OWN_SCHEMA.tables);
  const column = [{ table: 'files', column: 'crc' }];
  t.throws(() => assertStoredColumns(column, OWN_SCHEMA.tables), { code: 'CATALOG_FOREIGN_DATABASE' });
  assertStoredColumns(column, OWN_SCHEMA.tables, { files: ['filename'] });
});

const INTRUDERS: Readonly<Record<string, readonly string[]>> = {
  'files as an endless view': ['DROP TABLE files', `CREATE VIEW files AS ${ENDLESS}`],
  'the history as an endless view': [asView('maintenance_history')],
  'a journal that is a view of a valid one': [
    'ALTER TABLE catalog_migrations RENAME TO valid',
    'CREATE VIEW catalog_migrations AS SELECT * FROM valid',
  ],
  'a shadow table of the search index as a view': [asView('search_index_data')],
  'the counters of rows as a view': [asView('sqlite_sequence')],
  'a search index that shows a view': [
    'DROP TABLE search_vocabulary',
    'DROP TABLE search_index',
    `CREATE VIEW contents AS ${ENDLESS}`,
    "CREATE VIRTUAL TABLE search_index USING fts5(ID, content='contents')",
  ],
  'a table of ours with a computed column': [
    'DROP TABLE client_activity',
    `CREATE TABLE client_activity (ID INTEGER PRIMARY KEY, ClientID BLOB, ActivityType TEXT, Timestamp TEXT,
      FileCount INTEGER, BytesTransferred INTEGER, FileName TEXT, Reason TEXT AS (hex(zeroblob(400000000))))`,
  ],
};

for (const [name, statements] of Object.entries(INTRUDERS)) {
  t.test(`refused with a valid journal, untouched to the byte: ${name}`, async (t) => {
    const folder = t.testdir();
    const path = await makeCatalogue(join(folder, 'a.db'));
    tamper(path, ...statements);
    const before = contentsOf(folder);
    for (const options of [{}, { readOnly: true }]) {
      await t.rejects(DatabaseManager.open({ database: path, ...options }), { code: 'CATALOG_FOREIGN_DATABASE' });
      t.strictSame(contentsOf(folder), before);
    }
  });
}

t.test('what users, own procedures and newer releases add to a catalogue keeps it from nothing', async (t) => {
  const path = await makeCatalogue(join(t.testdir(), 'a.db'));
  tamper(
    path,
    'CREATE VIEW report AS SELECT * FROM files',
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, length INTEGER AS (length(text)))',
    'ALTER TABLE files ADD COLUMN Colour TEXT',
    'ALTER TABLE files ADD COLUMN NameLength INTEGER AS (length(FileName))',
    "CREATE VIRTUAL TABLE words USING fts5(text, content='notes', content_rowid='id')",
    'CREATE INDEX by_colour ON files(Colour)',
  );
  const db = await DatabaseManager.open({ database: path });
  t.match(await db.migrations.verify(), { ok: true });
  t.same((await db.health()).issues, []);
  t.equal(await db.files.count(), 1);
  await db.close();
});

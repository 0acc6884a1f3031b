/** Files and backups in which somebody else's SQL waits to be run: views, triggers, computed columns. */
import { createHash } from 'node:crypto';
import { copyFileSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { restoreLive } from '../lib/backup/restore/restore.ts';
import { stageBackup } from '../lib/backup/verify.ts';
import { assertTriggersEnd } from '../lib/catalog/foreign-triggers.ts';
import { backupHost } from '../lib/catalog/hosts.ts';
import { openUnmigrated } from '../lib/catalog/open.ts';
import { settingsOf } from '../lib/catalog/settings.ts';
import { migrateApart } from '../lib/catalog/trial.ts';
import { DatabaseError, DatabaseManager } from '../lib/index.ts';
import { OWN_SCHEMA, RELEASE_SCHEMA } from '../lib/migrations/journal.ts';
import { MIGRATIONS } from '../lib/migrations/migration-list.ts';
import { resolveOptions } from '../lib/options/reader.ts';
import { assertOwnNames, assertStoredColumns, SCHEMA_OBJECTS, type SchemaObject } from '../lib/schema/own-objects.ts';
import { objectsAfter } from '../lib/schema/schema-objects.ts';
import { isLong, sampleOf } from './fixtures/tier.ts';

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
    // Of a program with an extension that this one does not load.
    `INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)
      VALUES ('table', 'places', 'places', 0, 'CREATE VIRTUAL TABLE places USING spatial(shape)')`,
  );
  const db = await DatabaseManager.open({ database: path });
  t.match(await db.migrations.verify(), { ok: true });
  t.same((await db.health()).issues, []);
  t.equal(await db.files.count(), 1);
  await db.close();
});

const trigger = (when: string, table: string, body: string, name = 'evil') =>
  `CREATE TRIGGER ${name} ${when} ON ${table} BEGIN ${body}; END`;

const SPIN = `INSERT INTO sink ${ENDLESS}`;

t.test('no call reports a change that a trigger has left out', async (t) => {
  for (const table of ['clients', 'files', 'file_versions']) {
    for (const when of ['INSERT', 'UPDATE', 'DELETE']) {
      const path = await makeCatalogue(join(t.testdir(), 'a.db'));
      tamper(path, trigger(`BEFORE ${when}`, table, 'SELECT RAISE(IGNORE)'));
      const db = await DatabaseManager.open({ database: path, poolSize: 1 });
      const client = await db.clients.getByName('alpha');
      const clientId = client?.id ?? '';
      const [file] = (await db.files.list()).files;
      const fileId = file?.id ?? '';
      const saved = async (fileName: string, pathName: string) => {
        const { file: told } = await db.files.save({ clientId, fileName, pathName, fileSize: 1 });
        const stored = await db.files.get(told.id);
        const versions = await db.versions.list(told.id);
        return stored?.pathName === pathName && versions.some((version) => version.pathName === pathName);
      };
      const calls: Readonly<Record<string, () => Promise<boolean>>> = {
        'a new file': () => saved('b.txt', '/b'),
        'a further version': () => saved('a.txt', '/a2'),
        'a batch': async () => {
          const { saved: count } = await db.files.saveMany([
            { clientId, fileName: 'a.txt', pathName: '/a3', fileSize: 1 },
          ]);
          return count === 0 || (await db.files.get(fileId))?.pathName === '/a3';
        },
        verifying: async () => (await db.files.verify(fileId)).verified,
        'a new name': async () => (await db.clients.rename(clientId, 'beta')).name === 'beta',
        'a key': async () => (await db.clients.save({ id: clientId, name: 'beta', aesKey: new Uint8Array(32) })).hasKey,
        'a new client': async () =>
          (await db.clients.getByName((await db.clients.save({ name: 'gamma' })).name)) !== null,
        'a file that goes': async () =>
          (await db.files.delete(fileId)).deleted === 1 && (await db.files.get(fileId)) === null,
        'a client that goes': async () => {
          await db.clients.delete(clientId);
          return (await db.clients.get(clientId)) === null;
        },
      };
      for (const [name, call] of Object.entries(calls)) {
        const outcome = await call().catch((error: unknown) => error);
        const isTyped =
          outcome instanceof DatabaseError && ['CATALOG_CONFLICT', 'CATALOG_NOT_FOUND'].includes(outcome.code);
        t.ok(outcome === true || isTyped, `${name}, ${when} of ${table} left out: ${outcome}`);
      }
      await db.close();
    }
  }
});

t.test('triggers of others are a warning of health, unless a newer release may have made them', async (t) => {
  const path = await makeCatalogue(join(t.testdir(), 'a.db'));
  const issuesOf = async () => {
    const db = await DatabaseManager.open({ database: path });
    await db.query('SELECT 1'); // its reader is open then: a busy machine takes longer for that than health waits
    const { issues } = await db.health();
    await db.close();
    return issues.filter(({ code }) => code === 'HEALTH_FOREIGN_TRIGGER');
  };
  t.same(await issuesOf(), []);
  const audit = (table: string, name: string) => trigger('AFTER INSERT', table, 'INSERT INTO log VALUES (1)', name);
  tamper(path, 'CREATE TABLE log (x)', 'CREATE TABLE other (x)', audit('other', 'harmless'), audit('files', 'Mine'));
  t.match(await issuesOf(), [
    { severity: 'warn', message: /another program: mine on files$/, hint: /drop unknown ones/ },
  ]);
  tamper(path, audit('catalog_migrations', 'later'));
  t.match(await issuesOf(), [{ message: /: mine on files, later on catalog_migrations$/ }]);
  tamper(
    path,
    `INSERT INTO catalog_migrations SELECT 99, 'later', checksum, applied_at, applied_by, '9.0.0', 1, '0'
      FROM catalog_migrations WHERE version = 0`,
  );
  t.same(await issuesOf(), []);
});

/** Enough for a process that has something to do, and little to wait for one that never ends. */
const SHORT = { writesMs: 2_000, migrationMs: 8_000, migrationMsPerMb: 0 };

const settingsFor = (database: string) => settingsOf(resolveOptions({ database }), database);

/** The content of a database, table by table. */
function dump(path: string): unknown {
  const raw = new Database(path, { readonly: true });
  try {
    const tables = raw
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
      .pluck()
      .all() as string[];
    return tables.map((table) => [table, raw.prepare(`SELECT * FROM "${table}"`).raw().all()]);
  } finally {
    raw.close();
  }
}

t.test('a copy in which something never ends is given up, and any other is left as it is', async (t) => {
  const folder = t.testdir();
  const source = await makeCatalogue(join(folder, 'source.db'));
  tamper(source, 'CREATE TABLE sink (x)');
  const doubling = `UPDATE clients SET LastSeen = LastSeen || 'x' WHERE ID = NEW.ID;
    UPDATE clients SET LastSeen = LastSeen || 'y' WHERE ID = NEW.ID`;
  const cases: Readonly<Record<string, readonly [endless: boolean, ...statements: string[]]>> = {
    'after a file is inserted': [true, trigger('AFTER INSERT', 'files', SPIN)],
    'before a version is inserted': [true, trigger('BEFORE INSERT', 'file_versions', SPIN)],
    'before a file is changed': [true, trigger('BEFORE UPDATE', 'files', SPIN)],
    'after the history is written': [true, trigger('AFTER INSERT', 'maintenance_history', SPIN)],
    'triggers that fire themselves twice': [false, trigger('AFTER UPDATE', 'clients', doubling)],
    'a trigger with a name of ours': [
      true,
      'DROP TRIGGER catalog_version_inserted',
      trigger('AFTER INSERT', 'file_versions', SPIN, 'catalog_version_inserted'),
    ],
    nothing: [false],
    'a log of the user': [false, trigger('AFTER INSERT', 'files', 'INSERT INTO sink VALUES (NEW.FileName)')],
    'a rule of the user': [false, trigger('BEFORE INSERT', 'clients', "SELECT RAISE(ABORT, 'no more clients')")],
    'triggers that leave everything out': [false, trigger('BEFORE INSERT', 'clients', 'SELECT RAISE(IGNORE)')],
    'a trigger that fires itself': [
      false,
      trigger('AFTER UPDATE', 'clients', 'UPDATE clients SET LastSeen = LastSeen WHERE ID = NEW.ID'),
    ],
  };
  for (const [place, [name, [isEndless, ...statements]]] of sampleOf(Object.entries(cases), 4).entries()) {
    const path = join(folder, `${place}.db`);
    copyFileSync(source, path);
    tamper(path, ...statements);
    const before = dump(path);
    const tried = migrateApart(settingsFor(path), path, isEndless ? SHORT : undefined);
    const invalid = { code: 'CATALOG_BACKUP_INVALID', message: /a save did not end within 2000 ms/, hint: /trigger/ };
    if (isEndless) await t.rejects(tried, invalid, name);
    else await t.resolves(tried, name);
    t.strictSame(dump(path), before, name);
  }
  const view = join(folder, 'view.db');
  copyFileSync(source, view);
  tamper(view, 'DROP TABLE quota_reservations', `CREATE VIEW quota_reservations AS ${ENDLESS}`);
  const taken = { code: 'CATALOG_BACKUP_INVALID', message: /quota_reservations is a view/ };
  await t.rejects(migrateApart(settingsFor(view), view), taken);
});

t.test('a restore tries only what holds more than the schema of this release, or another one', async (t) => {
  const folder = t.testdir();
  const source = await makeCatalogue(join(folder, 'source.db'));
  const down = async (path: string) => {
    const migrations = await DatabaseManager.openMigrations({ database: path });
    await migrations.down({ to: 22 });
    await migrations.close();
  };
  const cases: Readonly<Record<string, readonly [isTried: boolean, change: (path: string) => void | Promise<void>]>> = {
    nothing: [false, () => undefined],
    'the tables of SQLite itself': [false, (path) => tamper(path, 'ANALYZE')],
    'an older schema': [true, down],
    'a table of the user': [true, (path) => tamper(path, 'CREATE TABLE notes (text)')],
    'an index of the user': [true, (path) => tamper(path, 'CREATE INDEX i ON files(lower(FileName))')],
    'a trigger': [true, (path) => tamper(path, trigger('AFTER INSERT', 'files', 'SELECT 1'))],
    'a trigger with a name of ours': [
      true,
      (path) =>
        tamper(
          path,
          'DROP TRIGGER catalog_version_inserted',
          trigger('AFTER INSERT', 'file_versions', 'SELECT 1', 'catalog_version_inserted'),
        ),
    ],
    'a rule in a table of ours': [
      true,
      (path) =>
        tamper(path, "UPDATE sqlite_schema SET sql = replace(sql, 'CRC INTEGER', 'CRC INTEGER CHECK (CRC > 0)')"),
    ],
    'a table that passes for one of SQLite': [
      true,
      (path) => tamper(path, "UPDATE sqlite_schema SET sql = sql || ' ' WHERE name = 'sqlite_sequence'"),
    ],
    'a journal with another checksum': [
      true,
      (path) => tamper(path, "UPDATE catalog_migrations SET checksum = 'x' WHERE version = 3"),
    ],
    'a journal that lacks a version': [
      true,
      (path) => tamper(path, 'DELETE FROM catalog_migrations WHERE version = 3'),
    ],
  };
  for (const [place, [name, [isTried, change]]] of Object.entries(cases).entries()) {
    const path = join(folder, `${place}.db`);
    copyFileSync(source, path);
    await change(path);
    const stage = join(folder, `${place}.stage.db`);
    const { findings } = await stageBackup(path, stage, { allowMissingManifest: true, release: RELEASE_SCHEMA });
    t.equal(findings.isPlain, !isTried, name);
  }
  const catalog = await openUnmigrated({ database: source });
  t.teardown(() => catalog.close());
  const tried: string[] = [];
  const host = { ...backupHost(catalog), migrateCopy: async (copy: string) => void tried.push(copy) };
  const options = { allowMissingManifest: true };
  await restoreLive(host, join(folder, '0.db'), options);
  t.same(tried, [], 'an ordinary restore starts no process for it');
  await restoreLive(host, join(folder, '3.db'), options);
  t.equal(tried.length, 1);
});

t.test('a schema is not brought up to date where a trigger of others never ends', async (t) => {
  const folder = t.testdir();
  const path = await makeCatalogue(join(folder, 'a.db'));
  const db = await DatabaseManager.openMigrations({ database: path });
  await db.down({ to: 8 });
  await db.close();
  tamper(
    path,
    'CREATE TABLE sink (x)',
    trigger('AFTER UPDATE', 'files', SPIN),
    trigger('AFTER INSERT', 'files', SPIN, 'b'),
  );
  const catalog = await openUnmigrated({ database: path });
  t.teardown(() => catalog.close());
  const tried = (copy: string) => migrateApart(catalog.settings, copy, SHORT);
  const before = dump(path);
  await t.rejects(assertTriggersEnd(catalog, tried, undefined), {
    code: 'CATALOG_CONFLICT',
    message: /evil on files, b on files/,
    hint: /DROP TRIGGER/,
  });
  t.strictSame(dump(path), before);
  t.same(
    readdirSync(join(folder, 'backups')).filter((name) => /trial|partial/.test(name)),
    [],
  );
});

const SPINS = !isLong && 'two processes spin until the deadline of 30 seconds';

t.test('a restore and a repair that would never end are refused, and change nothing', { skip: SPINS }, async (t) => {
  const folder = t.testdir();
  const source = await makeCatalogue(join(folder, 'source.db'));
  tamper(source, 'CREATE TABLE sink (x)');
  const open = async (name: string) => {
    copyFileSync(source, join(folder, name));
    const db = await DatabaseManager.open({ database: join(folder, name), backupDir: join(folder, `${name}-backups`) });
    t.teardown(() => db.close());
    return db;
  };
  const [restored, repaired] = [await open('restored.db'), await open('repaired.db')];
  await restored.execute(trigger('AFTER INSERT', 'files', SPIN));
  const { path } = await restored.backups.create();
  await restored.execute('DROP TRIGGER evil');
  await repaired.execute(trigger('AFTER UPDATE', 'files', SPIN));
  const before = dump(join(folder, 'restored.db'));
  await Promise.all([
    t.rejects(restored.backups.restore(path), { code: 'CATALOG_BACKUP_INVALID', message: /never|did not end/ }),
    t.rejects(repaired.maintenance.repair({ dryRun: true }), { code: 'CATALOG_CONFLICT', message: /evil on files/ }),
  ]);
  t.strictSame(dump(join(folder, 'restored.db')), before);
  t.equal(await restored.files.count(), 1, 'and it goes on');
  const { id } = await restored.clients.save({ name: 'beta' });
  t.ok((await restored.files.save({ clientId: id, fileName: 'b', pathName: '/b', fileSize: 1 })).created);
});

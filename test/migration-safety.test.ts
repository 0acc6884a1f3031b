/** Migrations that are killed at any instant, that race, and files that must not be touched. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { openUnmigrated } from '../lib/catalog/open.ts';
import { DatabaseManager } from '../lib/index.ts';
import { inspectFile } from '../lib/legacy/inspection.ts';
import { KNOWN, OWN_SCHEMA, ownColumns, ownTriggers } from '../lib/migrations/journal.ts';
import { LATEST_VERSION } from '../lib/migrations/migration-list.ts';
import { triggersOfOthers } from '../lib/migrations/schema-state.ts';
import { LIBRARY_VERSION } from '../lib/runtime/version.ts';
import { brokenRules, lostFacts } from './adoption-facts.ts';
import { inLanes, numbersBelow } from './fixtures/lanes.ts';
import { makeLegacyFile } from './fixtures/legacy-file.ts';
import { someRows } from './fixtures/legacy-rows.ts';
import { runScript } from './fixtures/process.ts';
import { newCatalogue } from './fixtures/template.ts';
import { byTier, isLong, sampleOf } from './fixtures/tier.ts';

const LONG = { timeout: 900_000 }; // some hundred processes, one after the other

t.setTimeout(2 * LONG.timeout);

const MIGRATING = fileURLToPath(new URL('./fixtures/migrating.ts', import.meta.url));
const BARE = fileURLToPath(new URL('./fixtures/migrating-bare.ts', import.meta.url));

/** Everything in a folder: names, modes, times, contents; of a -shm, SQLite's scratch for readers, only that it is there. */
function contentsOf(folder: string): Record<string, string> {
  const entries = readdirSync(folder).map((name) => {
    const path = join(folder, name);
    const { mode, mtimeMs } = statSync(path);
    const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
    return [name, name.endsWith('-shm') ? 'scratch' : `${mode.toString(8)} ${mtimeMs} ${hash}`];
  });
  return Object.fromEntries(entries);
}

function makeLegacy(folder: string, rows = someRows()): { path: string; old: string } {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'defensive.db');
  makeLegacyFile(path, { version: 3, ...rows });
  const old = `${folder}-old.db`;
  copyFileSync(path, old);
  return { path, old };
}

/** The versions in the journal, read with a connection of its own. */
function journalOf(path: string): number[] {
  const database = new Database(path);
  try {
    const exists = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'catalog_migrations'").get();
    const integrity = database.pragma('integrity_check', { simple: true });
    if (integrity !== 'ok') throw new Error(`${path}: ${integrity}`);
    return exists === undefined
      ? []
      : (database.prepare('SELECT version FROM catalog_migrations ORDER BY version').pluck().all() as number[]);
  } finally {
    database.close();
  }
}

/** Everything that SQLite says to be in a file: what was defined, and each row. */
function contentOf(path: string): string {
  const database = new Database(path);
  try {
    const objects = database.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY name').all() as {
      readonly type: string;
      readonly name: string;
    }[];
    const tables = objects.filter(({ type }) => type === 'table');
    return JSON.stringify([objects, tables.map(({ name }) => database.prepare(`SELECT * FROM "${name}"`).all())]);
  } finally {
    database.close();
  }
}

const ALL = Array.from({ length: LATEST_VERSION + 1 }, (_, version) => version);

function assertOldOrNew(t: Test, path: string, what: string): void {
  const journal = journalOf(path);
  t.strictSame(journal, journal.length === 0 ? [] : ALL, what);
}

async function assertWhole(t: Test, folder: string, path: string, old: string): Promise<void> {
  const db = await DatabaseManager.open({ database: path, legacyTimeZone: 'UTC', poolSize: 2 });
  t.strictSame((await db.migrations.verify()).problems, []);
  await db.close();
  const names = readdirSync(folder);
  t.strictSame(names.filter((name) => name !== 'backups').sort(), ['defensive.db'], 'nothing is left beside it');
  const backups = names.includes('backups') ? readdirSync(join(folder, 'backups')) : [];
  t.strictSame(
    backups.filter((name) => !/\.db(\.manifest\.json)?$/.test(name)),
    [],
    'nothing unfinished is left among the backups',
  );
  // Last: a reader that is closed last leaves an empty log.
  t.strictSame([...lostFacts(old, path), ...brokenRules(path)], []);
}

const started = (path: string, env: NodeJS.ProcessEnv = {}): ChildProcess =>
  spawn(process.execPath, [MIGRATING, path], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } });

/** Resolves when the process has begun to open the file. */
const opening = async (child: ChildProcess) => void (await once(child.stdout!, 'data'));

const LANES = 2; // as many as a small machine has processors

t.test('a process that is killed at any instant leaves the old version or the new one', { ...LONG }, async (t) => {
  const root = t.testdir();
  const timed = async (lane: number) => {
    const child = started(makeLegacy(join(root, `measured-${lane}`)).path);
    await opening(child);
    const start = performance.now();
    await once(child, 'exit');
    return performance.now() - start;
  };
  const took = Math.max(...(await Promise.all(numbersBelow(LANES).map(timed))));
  const ends: number[] = [];
  await inLanes(LANES, sampleOf(numbersBelow(50), 4), async (instant) => {
    const folder = join(root, `instant-${instant}`);
    const { path, old } = makeLegacy(folder);
    const victim = started(path);
    await opening(victim);
    const exited = once(victim, 'exit');
    await Promise.race([pause((took * instant) / 50), exited]);
    victim.kill('SIGKILL');
    await exited;
    assertOldOrNew(t, path, `killed after ${instant} fiftieths`);
    ends.push(journalOf(path).length);
    if (!isLong || instant % 5 === 0) await assertWhole(t, folder, path, old);
  });
  t.ok(ends.includes(0), 'some were killed before they had migrated');
});

t.test('a process that is killed between any two statements leaves the old version', { ...LONG }, async (t) => {
  const root = t.testdir();
  const rows = someRows();
  const few = { clients: rows.clients.slice(0, 1), files: rows.files.slice(0, 2) };
  const counted = makeLegacy(join(root, 'counted'), few);
  const countIn = join(root, 'count');
  const copies = join(root, 'copies');
  const env = { COUNT_IN: countIn, COPY_FROM: counted.path, COPY_TO: copies };
  t.equal((await runScript(BARE, [counted.path], { cwd: root, env })).code, 0);
  const statements = Number(readFileSync(countIn, 'utf8'));
  t.ok(statements > 100, `${statements} statements`);
  t.strictSame(journalOf(counted.path), ALL, 'which make all versions');
  const content = contentOf(counted.old);
  t.not(contentOf(counted.path), content);
  for (const at of numbersBelow(statements)) {
    const copy = join(copies, String(at), 'defensive.db');
    t.strictSame(journalOf(copy), [], `what would be left before statement ${at}`);
    t.strictSame(contentOf(copy), content, 'and nothing is missing or added');
  }
  for (const at of sampleOf(numbersBelow(statements), 3)) {
    const folder = join(copies, String(at));
    await assertWhole(t, folder, join(folder, 'defensive.db'), counted.old);
  }
  const folders = numbersBelow(LANES).map((lane) => join(root, `killed-${lane}`));
  const files = folders.map((folder) => ({ folder, ...makeLegacy(folder, few) }));
  await inLanes(LANES, sampleOf(numbersBelow(statements), 6), async (at, lane) => {
    const path = files[lane]?.path ?? '';
    const ended = await runScript(BARE, [path], { cwd: root, env: { KILL_AT: String(at) } });
    if (ended.signal !== 'SIGKILL') t.fail(`statement ${at}: ended with ${ended.code}: ${ended.stderr}`);
    const journal = journalOf(path);
    if (journal.length > 0) t.fail(`statement ${at}: the journal holds ${journal}`);
  });
  for (const { folder, path, old } of files) await assertWhole(t, folder, path, old);
});

const STARTERS = byTier(4, 8);

t.test('of several that start at once one migrates, and all end well', { ...LONG }, async (t) => {
  for (const kind of ['legacy', 'new'] as const) {
    const folder = join(t.testdir({ [kind]: {} }), kind);
    const path = kind === 'legacy' ? makeLegacy(join(folder, 'data')).path : join(folder, 'defensive.db');
    const ended = await Promise.all(
      Array.from({ length: STARTERS }, () => runScript(MIGRATING, [path], { cwd: folder })),
    );
    t.strictSame(
      ended.map(({ code, stderr }) => [code, stderr]),
      Array.from({ length: STARTERS }, () => [0, '']),
    );
    const migrated = ended.filter(({ stdout }) => stdout !== 'opening\n[]\n');
    t.equal(migrated.length, 1, 'exactly one migrated');
    t.strictSame(journalOf(path), ALL);
    if (kind === 'legacy')
      t.equal(readdirSync(join(folder, 'data/backups')).length, 2, 'and made one copy with its manifest');
  }
});

const ENDLESS = `CREATE VIEW files AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS ID FROM n`;

/** Leaves a log with changes beside the file, as a process that was killed does. */
function leaveLog(path: string, statements: string): void {
  const script = `import Database from 'better-sqlite3';
    const database = new Database(${JSON.stringify(path)});
    database.pragma('journal_mode = WAL');
    database.exec(${JSON.stringify(statements)});
    process.kill(process.pid, 'SIGKILL');`;
  const file = `${path}.mjs`;
  const here = fileURLToPath(new URL('.', import.meta.url));
  writeFileSync(file, script.replace("'better-sqlite3'", JSON.stringify(import.meta.resolve('better-sqlite3', here))));
}

/** Files that are not ours to touch, and the code each is refused with. */
const REFUSED: Readonly<Record<string, { code: string; make: (path: string) => Promise<void> | void }>> = {
  'another program’s database': {
    code: 'CATALOG_FOREIGN_DATABASE',
    make: (path) => new Database(path).exec('CREATE TABLE songs (title TEXT)').close() && undefined,
  },
  'another program’s database in WAL mode': {
    code: 'CATALOG_FOREIGN_DATABASE',
    make: (path) => {
      const database = new Database(path);
      database.pragma('journal_mode = WAL');
      database.exec("CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('a')");
      database.close();
    },
  },
  'another program’s database whose owner was killed': {
    code: 'CATALOG_FOREIGN_DATABASE',
    make: async (path) => {
      leaveLog(path, "CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('a')");
      await runScript(`${path}.mjs`, [], { cwd: '/' });
    },
  },
  'tables of our names with other columns': {
    code: 'CATALOG_FOREIGN_DATABASE',
    make: (path) => new Database(path).exec('CREATE TABLE clients (id INTEGER, mail TEXT)').close() && undefined,
  },
  'a view that never ends in the place of a table': {
    code: 'CATALOG_FOREIGN_DATABASE',
    make: (path) => new Database(path).exec(ENDLESS).close() && undefined,
  },
  'no database at all': {
    code: 'CATALOG_FOREIGN_DATABASE',
    make: (path) => writeFileSync(path, 'Dear diary, '.repeat(1_000)),
  },
  'a legacy file with a page that was overwritten': {
    code: 'CATALOG_CORRUPT',
    make: (path) => {
      makeLegacyFile(path, { version: 5, ...someRows() });
      const content = readFileSync(path);
      content.fill(0xff, 4096 * 2, 4096 * 6);
      writeFileSync(path, content);
    },
  },
  'a legacy file that lost its header': {
    code: 'CATALOG_CORRUPT',
    make: (path) => {
      makeLegacyFile(path, { version: 5, ...someRows() });
      writeFileSync(path, readFileSync(path).fill(0, 0, 64));
    },
  },
  'a legacy file that was cut off': {
    code: 'CATALOG_CORRUPT',
    make: (path) => {
      makeLegacyFile(path, { version: 5, ...someRows() });
      truncateSync(path, 4096 * 9);
    },
  },
  'a file of a newer release': {
    code: 'CATALOG_SCHEMA_NEWER',
    make: async (path) => {
      await newCatalogue(path);
      const database = new Database(path);
      database.exec(`INSERT INTO catalog_migrations SELECT 99, 'later', checksum, applied_at, applied_by, '9.0.0', 1, '98'
        FROM catalog_migrations WHERE version = 0`);
      database.close();
    },
  },
  'a migration that was applied with other text': {
    code: 'CATALOG_MIGRATION_FAILED',
    make: async (path) => {
      await newCatalogue(path);
      const database = new Database(path);
      database.exec("UPDATE catalog_migrations SET checksum = 'changed' WHERE version = 3");
      database.close();
    },
  },
  'a journal with a gap': {
    code: 'CATALOG_MIGRATION_FAILED',
    make: async (path) => {
      await newCatalogue(path);
      const database = new Database(path);
      database.exec('DELETE FROM catalog_migrations WHERE version = 4');
      database.close();
    },
  },
};

const WAYS = [{}, { readOnly: true }, { create: false }];

for (const [place, [name, { code, make }]] of Object.entries(REFUSED).entries()) {
  t.test(`refused, untouched to the byte: ${name}`, async (t) => {
    const folder = t.testdir();
    const path = join(folder, 'defensive.db');
    await make(path);
    const before = contentsOf(folder);
    for (const options of byTier(WAYS.slice(place % WAYS.length).slice(0, 1), WAYS)) {
      await t.rejects(DatabaseManager.open({ database: path, ...options }), { code, hint: /\w/ });
      t.strictSame(contentsOf(folder), before);
    }
  });
}

t.test('a newer file is opened if its journal allows this release, and only then', async (t) => {
  const path = join(t.testdir(), 'defensive.db');
  await newCatalogue(path);
  const next = LATEST_VERSION + 1;
  const mark = (version: number, safeVersion: string | null) => {
    const database = new Database(path);
    database.prepare('DELETE FROM catalog_migrations WHERE version >= ?').run(next);
    database
      .prepare(`INSERT INTO catalog_migrations SELECT ?, 'later', checksum, applied_at, applied_by, '9.0.0', 1, ?
        FROM catalog_migrations WHERE version = 0`)
      .run(version, safeVersion);
    database.close();
  };
  const safe = [String(LATEST_VERSION), '0', '0.0.1', LIBRARY_VERSION];
  for (const [version, safeVersion] of [...safe.map((text) => [next, text] as const), [next + 80, '5'] as const]) {
    mark(version, safeVersion);
    const db = await DatabaseManager.open({ database: path });
    t.match(await db.migrations.status(), { current: version, latest: LATEST_VERSION, pending: [] }, safeVersion);
    await db.clients.save({ name: `works with ${safeVersion} and ${version}` });
    const refused = { code: 'CATALOG_SCHEMA_NEWER', hint: /release that applied it/ };
    for (const to of [5, LATEST_VERSION]) await t.rejects(db.migrations.down({ to }), refused, `to ${to}`);
    const nothing = { from: version, to: version, direction: 'up', migrations: [], backupBytes: 0 };
    t.match(await db.migrations.plan(), nothing, 'the plan is what up does: nothing');
    t.match(await db.migrations.up(), { from: version, to: version, migrations: [] }, 'and so does up');
    t.match(await db.migrations.verify(), { ok: true });
    await db.close();
  }
  for (const safeVersion of [null, '', ' ', '-1', 'x', String(next), '99.0.0', '0.10.0']) {
    mark(next, safeVersion);
    await t.rejects(DatabaseManager.open({ database: path }), { code: 'CATALOG_SCHEMA_NEWER' }, `${safeVersion}`);
  }
});

t.test('triggers are not others’ where a newer release may have made them', async (t) => {
  const path = join(t.testdir(), 'defensive.db');
  await newCatalogue(path);
  const database = new Database(path);
  database.exec('CREATE TRIGGER later AFTER INSERT ON files BEGIN SELECT 1; END');
  const { engine } = await openUnmigrated({ database: path });
  t.teardown(() => engine.close());
  const asked = () => engine.run(triggersOfOthers, { ...OWN_SCHEMA, triggers: ownTriggers() });
  t.strictSame(await asked(), ['later on files']);
  database.exec(`INSERT INTO catalog_migrations SELECT version + 1, 'later', checksum, applied_at, applied_by, '9.0.0', 1, '0'
    FROM catalog_migrations ORDER BY version DESC LIMIT 1`);
  database.close();
  t.strictSame(await asked(), []);
});

t.test('a missing file is not made unless it may be', async (t) => {
  const folder = t.testdir();
  await t.rejects(DatabaseManager.open({ database: join(folder, 'a.db'), create: false }), {
    code: 'CATALOG_NOT_FOUND',
  });
  t.strictSame(readdirSync(folder), []);
});

t.test('a file that cannot be looked at in time is refused', async (t) => {
  const path = join(t.testdir(), 'a.db');
  makeLegacyFile(path, { version: 0, ...someRows() });
  const order = { path, known: KNOWN, own: OWN_SCHEMA.tables, columns: ownColumns() };
  await t.rejects(inspectFile(order, 1), { code: 'CATALOG_FOREIGN_DATABASE', message: /took too long/ });
  t.equal(await inspectFile(order), 'legacy');
});

t.test('our own file is opened again after its process was killed', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'defensive.db');
  const db = await DatabaseManager.open({ database: path });
  await db.clients.save({ name: 'before' });
  await db.close();
  leaveLog(path, "UPDATE clients SET Name = 'in the log'");
  await runScript(`${path}.mjs`, [], { cwd: folder });
  const copy = join(folder, 'copy.db');
  for (const suffix of ['', '-wal']) copyFileSync(`${path}${suffix}`, `${copy}${suffix}`);
  for (const database of [path, copy]) {
    const again = await DatabaseManager.open({ database });
    t.not(await again.clients.getByName('in the log'), null, 'with what stood in its log');
    await again.close();
  }
});

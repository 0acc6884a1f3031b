/** The schema's way up and down, plans, rehearsals, the gate against losses, and the rules for new migrations. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import Database from 'better-sqlite3';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { openUnmigrated } from '../lib/catalog/open.ts';
import { rulesOf } from '../lib/catalog/settings.ts';
import { DatabaseManager, findDangerousOperations } from '../lib/index.ts';
import { estimate } from '../lib/migrations/estimate.ts';
import { LATEST_VERSION, MIGRATIONS } from '../lib/migrations/migration-list.ts';
import { Migrator } from '../lib/migrations/migrator.ts';
import { assertNoneAdded } from '../lib/migrations/schema-validation.ts';
import { assertDeclared } from '../lib/schema/dangerous-operations.ts';
import type { Migration } from '../lib/schema/migration.ts';
import { watched } from '../lib/schema/watched.ts';
import { driveSync, run } from '../lib/sql/procedure.ts';
import { sql } from '../lib/sql/template.ts';
import { lintMigrations } from '../scripts/migration-rules.ts';
import released from '../scripts/released-migrations.json' with { type: 'json' };
import { listSchema, schemaText } from '../scripts/schema-text.ts';
import { makeLegacyFile } from './fixtures/legacy-file.ts';
import { someRows } from './fixtures/legacy-rows.ts';
import { openNew } from './fixtures/template.ts';
import { sampleOf } from './fixtures/tier.ts';

const LONG = { timeout: 300_000 };

t.setTimeout(4 * LONG.timeout);

// In memory, where the system has that.
const OTHER_DISK = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

function legacyIn(t: Test, version = 3): string {
  const folder = join(t.testdir(), 'data');
  mkdirSync(folder);
  const path = join(folder, 'defensive.db');
  makeLegacyFile(path, { version, ...someRows() });
  return path;
}

/** A catalogue with two clients, files with several versions, a category, a quota and activity. */
async function filled(path: string): Promise<DatabaseManager> {
  const db = await openNew({ database: path, poolSize: 2 });
  for (const name of ['laptop', 'server']) {
    const { id: clientId } = await db.clients.save({
      name,
      publicKey: Buffer.alloc(160, 1),
      aesKey: Buffer.alloc(32, 2),
    });
    for (let number = 0; number < 12; number += 1) {
      const file = {
        clientId,
        fileName: `file-${number % 5}.txt`,
        pathName: `/srv/${name}/${number}`,
        fileSize: 1_000 * number,
      };
      await db.files.save({
        ...file,
        crc: number,
        verified: number % 2 === 0,
        modificationDate: '2025-01-02T03:04:05.678Z',
      });
    }
    await db.quotas.set(clientId, { quotaBytes: 5_000_000, warningThreshold: 0.5 });
  }
  await db.categories.save({ name: 'notes', extensions: ['note'] });
  return db;
}

/** Every row of the columns that two versions share, as one text. */
function digestOf(path: string, columns: ReadonlyMap<string, readonly string[]>): Record<string, string> {
  const database = new Database(path, { readonly: true });
  try {
    return Object.fromEntries(
      [...columns].map(([table, names]) => {
        const list = names.map((name) => `quote("${name}")`).join(` || ',' || `);
        const rows = database.prepare(`SELECT ${list} FROM "${table}" ORDER BY 1`).pluck().all();
        return [table, rows.join('\n')];
      }),
    );
  } finally {
    database.close();
  }
}

const OWN_TABLES = new Set(['catalog_migrations', 'catalog_reports', 'search_todo']);

/** The tables and columns a file has, but for what tells of migrations or of full-text search itself. */
function columnsOf(path: string): Map<string, string[]> {
  const database = new Database(path, { readonly: true });
  try {
    const tables = database
      .prepare(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT GLOB 'sqlite_*'",
      )
      .pluck()
      .all() as string[];
    return new Map(
      tables
        .filter((table) => !OWN_TABLES.has(table))
        .map((table) => [
          table,
          database.prepare('SELECT name FROM pragma_table_info(?) ORDER BY name').pluck().all(table) as string[],
        ]),
    );
  } finally {
    database.close();
  }
}

t.test('down and up again keeps everything that the versions share', { ...LONG }, async (t) => {
  const versions = MIGRATIONS.map(({ version }) => version).slice(0, -1);
  for (const to of sampleOf(
    versions.filter((version) => version < 8 || version % 3 === 2),
    4,
  )) {
    await t.test(`by version ${to}`, { ...LONG }, async (t) => {
      const path = join(t.testdir(), 'defensive.db');
      const db = await filled(path);
      const down = await db.migrations.down({ to });
      t.match(down, { from: LATEST_VERSION, to });
      t.notOk(Object.values(down.counts).includes(0), 'only what happened to rows is counted');
      t.equal((await db.migrations.status()).current, to);
      t.strictSame((await db.migrations.verify()).problems, [], 'the older schema is whole');
      const shared = columnsOf(path);
      // Below 5 there are no versions, so that going up again counts the use of fewer.
      const quotas = shared.get('client_quotas');
      if (to < 5 && quotas !== undefined) {
        shared.set(
          'client_quotas',
          quotas.filter((column) => column !== 'UsedBytes' && column !== 'LastUpdated'),
        );
      }
      const before = digestOf(path, shared);
      await db.migrations.up();
      t.strictSame((await db.migrations.verify()).problems, []);
      t.strictSame(digestOf(path, shared), before);
      const zero = await db.maintenance.repair({ dryRun: true });
      t.ok(
        Object.values(zero).every((rows) => rows === 0),
        JSON.stringify(zero),
      );
      await db.close();
      t.equal(
        readdirSync(join(path, '../backups')).filter((name) => name.endsWith('.db')).length,
        2,
        'a copy each way',
      );
    });
  }
});

t.test('below 6 what is lost of versions that are not current is what the plan says, and no more', async (t) => {
  const db = await filled(join(t.testdir(), 'defensive.db'));
  t.teardown(() => db.close());
  const [file] = (await db.files.list({ limit: 1 })).files;
  const before = await db.versions.list(file?.id ?? '');
  t.ok(before.length > 1 && before.every(({ crc, modificationDate }) => crc !== null && modificationDate !== null));
  await db.migrations.down({ to: 5 });
  await db.migrations.up();
  const lost = { modificationDate: null, crc: null, verified: false, category: null, mimeType: null };
  t.strictSame(
    await db.versions.list(file?.id ?? ''),
    before.map((version) => (version.isActive ? version : { ...version, ...lost })),
  );
  t.strictSame(await db.files.get(file?.id ?? ''), file);
});

t.test('status, plan and verify stop on a signal', async (t) => {
  await using migrations = await DatabaseManager.openMigrations({ database: legacyIn(t) });
  const signal = AbortSignal.abort(new Error('enough'));
  await t.rejects(migrations.status({ signal }), { message: 'enough' });
  await t.rejects(migrations.plan({ signal }), { message: 'enough' });
  await t.rejects(migrations.verify({ signal }), { message: 'enough' });
  await t.rejects(migrations.status({ signal: 'soon' } as never), { code: 'CATALOG_VALIDATION', field: 'signal' });
  await t.rejects(migrations.verify({ sginal: signal } as never), { code: 'CATALOG_VALIDATION' });
  t.match(await migrations.status({ signal: new AbortController().signal }), { current: -1 });
});

t.test('a plan says what would run, on how many rows, and what cannot be kept', async (t) => {
  const path = legacyIn(t);
  await using migrations = await DatabaseManager.openMigrations({ database: path });
  const up = await migrations.plan();
  t.match(up, { from: -1, to: LATEST_VERSION, direction: 'up', databaseBytes: Number, freeBytes: Number });
  t.strictSame(
    up.migrations.map(({ version, name }) => [version, name]),
    MIGRATIONS.map(({ version, name }) => [version, name]),
  );
  t.ok(up.migrations.some(({ rows }) => rows > 10));
  t.ok(up.estimatedMs > 0 && up.backupBytes > 0 && up.growthBytes > 0);
  t.equal((await migrations.status()).current, -1, 'nothing was done');
  await migrations.up();
  const down = await migrations.plan({ to: 3 });
  t.match(down, { from: LATEST_VERSION, to: 3, direction: 'down' });
  t.strictSame(
    down.migrations.map(({ version }) => version),
    [...MIGRATIONS.keys()].slice(4).reverse(),
  );
  const told = new Map(down.migrations.map(({ version, loses }) => [version, loses ?? '']));
  t.match(told.get(5), /every version of a file except the current one/);
  for (const fact of ['modification dates', 'checksums', 'transfer figures', 'operation ids', 'may be given again']) {
    t.match(told.get(6), fact, 'what versions but the current one lose below 6');
  }
  t.match(await migrations.plan(), { migrations: [], estimatedMs: 0, backupBytes: 0 });
  await t.rejects(migrations.plan({ to: 99 }), { code: 'CATALOG_VALIDATION' });
  await t.rejects(migrations.down({ to: -1 }), { code: 'CATALOG_VALIDATION' });
  await t.rejects(migrations.up({ too: 5 } as never), { code: 'CATALOG_VALIDATION' });
});

t.test('a rehearsal measures on a copy and leaves the file as it is', async (t) => {
  const path = legacyIn(t, 5);
  await using migrations = await DatabaseManager.openMigrations({ database: path });
  const before = digestOf(path, columnsOf(path));
  const heard: string[] = [];
  const rehearsal = await migrations.rehearse({ onProgress: ({ step }) => heard.push(step) });
  t.match(rehearsal, { from: -1, to: LATEST_VERSION, problems: [], migrationMs: Number, copyMs: Number });
  t.equal(rehearsal.migrations.length, MIGRATIONS.length);
  t.ok(rehearsal.bytesAfter > 0 && rehearsal.peakWalBytes > 0 && Number(rehearsal.counts['files']) > 0);
  t.ok(heard.includes('adoption.files'), 'progress is told');
  t.strictSame(digestOf(path, columnsOf(path)), before);
  t.strictSame(readdirSync(join(path, '../backups')), [], 'and nothing of it is left');
});

t.test('the copy made first holds what stands in the log, is private and whole', async (t) => {
  const path = join(t.testdir(), 'defensive.db');
  const db = await filled(path);
  t.teardown(() => db.close());
  const { backup } = await db.migrations.down({ to: LATEST_VERSION - 1 });
  t.equal(statSync(String(backup)).mode & 0o777, 0o600);
  const copy = new Database(String(backup), { readonly: true });
  t.equal(copy.pragma('integrity_check', { simple: true }), 'ok');
  t.equal(copy.prepare('SELECT count(*) FROM file_versions').pluck().get(), 24);
  t.equal(copy.prepare('SELECT max(version) FROM catalog_migrations').pluck().get(), LATEST_VERSION);
  copy.close();
});

t.test(
  'nothing is begun that the disk has no room for: the log, and the copy where it is on the same disk',
  async (t) => {
    const path = legacyIn(t);
    const { engine, settings } = await openUnmigrated({ database: path });
    t.teardown(() => engine.close());
    const logger = pino({ level: 'silent' });
    const openCopy = () => Promise.reject(new Error('not needed'));
    const room = { here: 4_096 };
    const free = async (folder: string) => (folder === dirname(path) ? room.here : Number.MAX_SAFE_INTEGER);
    const rules = rulesOf(settings);
    const host = { engine, database: path, rules, logger, openCopy, free };
    const migrator = new Migrator(host);
    const before = digestOf(path, columnsOf(path));
    await t.rejects(migrator.up(), { code: 'CATALOG_FULL', hint: /Free some disk space/ });
    const { growthBytes, backupBytes } = await migrator.plan();
    room.here = growthBytes + backupBytes - 1;
    const needs = new RegExp(`the migration needs ${growthBytes + backupBytes} bytes`);
    await t.rejects(migrator.up(), { code: 'CATALOG_FULL', message: needs });
    const elsewhere = mkdtempSync(join(OTHER_DISK, 'catalogue-backups-'));
    t.teardown(() => rmSync(elsewhere, { recursive: true }));
    if (statSync(elsewhere).dev !== statSync(path).dev) {
      room.here = growthBytes - 1;
      const apart = new Migrator({ ...host, rules: { ...rules, backupDir: join(elsewhere, 'none', 'yet') } });
      const less = new RegExp(`the migration needs ${growthBytes} bytes`);
      await t.rejects(apart.up(), { code: 'CATALOG_FULL', message: less }, 'a copy on another disk takes nothing here');
    }
    t.strictSame(digestOf(path, columnsOf(path)), before);
    room.here = growthBytes + backupBytes;
    t.match(await migrator.up(), { to: LATEST_VERSION }, 'and that is enough');
  },
);

t.test('an estimate adds up rows, megabytes and the speed of the machine', async (t) => {
  const step = (version: number, cost?: Migration['cost']): Migration => ({
    version,
    name: `step ${version}`,
    up: [],
    down: [],
    safeVersion: 5,
    loses: version === 8 ? 'dates' : null,
    ...(cost === undefined ? {} : { cost }),
  });
  const steps = [
    step(7, { table: 'files', upMicroseconds: 20, downMicroseconds: 5, bytes: 30 }),
    step(8, { table: 'clients', upMicroseconds: 1_000, downMicroseconds: 3_000, bytes: 7 }),
    step(9),
  ];
  const measured = {
    rows: { files: 10_000, clients: 3 },
    databaseBytes: 10 * 1024 * 1024,
    probeMs: 50,
    backup: true,
    validation: true,
  };
  t.strictSame(estimate(steps, 'up', measured), {
    migrations: [
      { version: 7, name: 'step 7', rows: 10_000, estimatedMs: 400, loses: null },
      { version: 8, name: 'step 8', rows: 3, estimatedMs: 6, loses: null },
      { version: 9, name: 'step 9', rows: 0, estimatedMs: 0, loses: null },
    ],
    estimatedMs: 400 + 6 + 10 * 2 * (16 + 5),
    growthBytes: 2 * 10 * 1024 * 1024 + 10_000 * 30 + 3 * 7,
  });
  t.match(estimate(steps.toReversed(), 'down', { ...measured, backup: false }), {
    migrations: [{ loses: null }, { estimatedMs: 18, loses: 'dates' }, { estimatedMs: 100, loses: null }],
    estimatedMs: 18 + 100 + 10 * 2 * 5,
  });
  t.match(estimate([step(9)], 'up', { ...measured, validation: false }), { estimatedMs: 10 * 2 * 16, growthBytes: 0 });
});

t.test('a migration whose statement fails says so, with the cause', async (t) => {
  const path = join(t.testdir(), 'defensive.db');
  await (await filled(path)).close();
  const raw = new Database(path);
  raw.exec(`CREATE TRIGGER refusing BEFORE DELETE ON catalog_migrations BEGIN SELECT RAISE(ABORT, 'not today'); END`);
  raw.close();
  await using migrations = await DatabaseManager.openMigrations({ database: path });
  await t.rejects(migrations.down({ to: LATEST_VERSION - 1 }), {
    code: 'CATALOG_MIGRATION_FAILED',
    message: /not today/,
  });
  t.match(await migrations.status(), { current: LATEST_VERSION });
});

t.test('dates that were read in a zone which nobody named are a warning', async (t) => {
  for (const [assumesZone, expected] of [
    [true, [/the system names no time zone/]],
    [false, []],
  ] as const) {
    const path = join(t.testdir(), `${assumesZone}.db`);
    makeLegacyFile(path, { version: 3, ...someRows() });
    const { engine, settings } = await openUnmigrated({
      database: path,
      legacyTimeZone: 'UTC',
      migrationBackup: false,
    });
    t.teardown(() => engine.close());
    const told: string[] = [];
    const write = (line: string, _: unknown, done: () => void) => {
      told.push(JSON.parse(line).msg);
      done();
    };
    const logger = pino({ level: 'info' }, new Writable({ write, decodeStrings: false }));
    const openCopy = () => Promise.reject(new Error('not needed'));
    const rules = { ...rulesOf(settings), assumesZone };
    await new Migrator({ engine, database: path, rules, logger, openCopy }).up();
    t.match(told, expected);
    t.equal(told.length, expected.length, 'a short migration writes no line into the log');
  }
});

t.test('a migration that leaves a row naming one that does not exist fails, and changes nothing', async (t) => {
  const path = join(t.testdir(), 'defensive.db');
  await (await filled(path)).close();
  const raw = new Database(path);
  raw.exec(`CREATE TRIGGER careless AFTER DELETE ON catalog_migrations BEGIN
    INSERT INTO client_activity (ClientID, ActivityType, Timestamp) VALUES (x'99', 'upload', '2025'); END`);
  raw.close();
  const before = digestOf(path, columnsOf(path));
  await using migrations = await DatabaseManager.openMigrations({ database: path });
  await t.rejects(migrations.down({ to: LATEST_VERSION - 1 }), {
    code: 'CATALOG_MIGRATION_FAILED',
    message: 'the migrated schema does not verify: client_activity → clients: 1 rows refer to missing rows',
  });
  t.match(await migrations.status(), { current: LATEST_VERSION });
  t.strictSame(digestOf(path, columnsOf(path)), before);
});

t.test('a migration that is stopped leaves the file as it was', async (t) => {
  const path = legacyIn(t);
  await using migrations = await DatabaseManager.openMigrations({ database: path });
  const before = digestOf(path, columnsOf(path));
  const stop = new AbortController();
  const onProgress = ({ step }: { step: string }) => {
    if (step === 'adoption.files') stop.abort();
  };
  await t.rejects(migrations.up({ onProgress, signal: stop.signal }), { name: 'AbortError' });
  t.strictSame(digestOf(path, columnsOf(path)), before);
  await migrations.up();
});

t.test('only new violations of foreign keys fail a migration', async (t) => {
  const path = join(t.testdir(), 'defensive.db');
  const db = await filled(path);
  await db.close();
  const { engine } = await openUnmigrated({ database: path });
  t.teardown(() => engine.close());
  const breaking = new Database(path);
  breaking.pragma('foreign_keys = OFF');
  breaking.exec("INSERT INTO client_activity (ClientID, ActivityType, Timestamp) VALUES (x'99', 'upload', '2025')");
  breaking.close();
  await engine.transaction('read', async (connection) => {
    await assertNoneAdded(connection, new Map([['client_activity → clients', 1]]));
    await t.rejects(assertNoneAdded(connection, new Map()), {
      code: 'CATALOG_MIGRATION_FAILED',
      message: /client_activity/,
    });
  });
  const warnings: unknown[] = [];
  const heard = new Writable({
    write: (line, _, done) => {
      warnings.push(JSON.parse(line));
      done();
    },
  });
  await using migrations = await DatabaseManager.openMigrations({
    database: path,
    logger: pino({ level: 'warn' }, heard),
  });
  await migrations.down({ to: LATEST_VERSION - 1 });
  t.match(warnings, [{ module: 'migrations', rows: { 'client_activity → clients': 1 } }], 'the old one is a warning');
});

t.test('opening without migrating', async (t) => {
  const path = legacyIn(t);
  for (const options of [{ migrate: 'off' }, { readOnly: true }] as const) {
    await t.rejects(DatabaseManager.open({ database: path, ...options }), { code: 'CATALOG_MIGRATION_PENDING' });
  }
  const db = await DatabaseManager.open({ database: path });
  await db.migrations.down({ to: LATEST_VERSION - 1 });
  await db.close();
  await t.rejects(DatabaseManager.open({ database: path, migrate: 'off' }), { code: 'CATALOG_MIGRATION_PENDING' });
  await (await DatabaseManager.open({ database: path })).close();
  await (await DatabaseManager.open({ database: path, migrate: 'off' })).close();
});

t.test('a signal ends the waiting for another process that migrates, with its own reason', async (t) => {
  const path = join(t.testdir(), 'catalog.db');
  const options = { database: path, migrationBackup: false, busyTimeoutMs: 1 };
  const aborted = AbortSignal.abort(new Error('not wanted any more'));
  await t.rejects(DatabaseManager.open({ ...options, signal: aborted }), aborted.reason);
  t.notOk(existsSync(path), 'nothing was begun');
  await t.rejects(DatabaseManager.open({ ...options, signal: 1 } as never), {
    code: 'CATALOG_VALIDATION',
    field: 'signal',
  });
  const migrations = await DatabaseManager.openMigrations(options);
  await migrations.up({ to: LATEST_VERSION - 1 });
  const other = new Database(path);
  other.exec('BEGIN IMMEDIATE');
  // Whenever it fires, it ends the call: the other holds the lock all the time.
  const soon = () => AbortSignal.timeout(100);
  for (const call of [
    (signal: AbortSignal) => migrations.up({ signal }),
    (signal: AbortSignal) => DatabaseManager.open({ ...options, signal }),
  ]) {
    const signal = soon();
    t.equal(await call(signal).catch((error: unknown) => error), signal.reason);
  }
  other.close();
  t.match(await migrations.status(), { current: LATEST_VERSION - 1 }, 'and nothing was changed');
  await migrations.close();
  await (await DatabaseManager.open({ ...options, signal: new AbortController().signal })).close();
});

t.test('umzug’s own command line works on the migrations', async (t) => {
  const path = legacyIn(t);
  await using migrations = await DatabaseManager.openMigrations({ database: path, migrationBackup: false });
  const umzug = await migrations.umzug();
  t.equal((await umzug.pending()).length, MIGRATIONS.length);
  t.equal(await umzug.runAsCLI(['up']), true);
  t.equal((await umzug.executed()).length, MIGRATIONS.length);
  t.equal(await umzug.runAsCLI(['down']), true);
  t.match(await migrations.status(), { current: LATEST_VERSION - 1 });
  t.equal(
    await umzug.runAsCLI(['up', '--name', `${String(LATEST_VERSION).padStart(4, '0')}-${MIGRATIONS.at(-1)?.name}`]),
    true,
  );
  t.match(await migrations.status(), { current: LATEST_VERSION, pending: [] });
  t.strictSame((await migrations.verify()).problems, []);
});

t.test('what verifying finds', async (t) => {
  const path = join(t.testdir(), 'defensive.db');
  await (await DatabaseManager.open({ database: path })).close();
  const database = new Database(path);
  database.exec('DROP INDEX idx_files_filename; DROP TRIGGER catalog_file_deleted; ALTER TABLE files DROP COLUMN CRC');
  database.close();
  const db = await DatabaseManager.open({ database: path });
  t.teardown(() => db.close());
  t.match(await db.migrations.verify(), {
    ok: false,
    problems: [
      'files lacks the column crc',
      'the index idx_files_filename is missing',
      'the trigger catalog_file_deleted is missing',
    ],
  });
});

t.test('statements that can lose data are found by reading them', async (t) => {
  const found = (text: string) => findDangerousOperations(text).map(({ operation }) => operation);
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['drop/**/table x', ['DROP TABLE']],
    ['DROP TABLE IF EXISTS `a b`;', ['DROP TABLE']],
    ['-- DROP TABLE x\nSELECT 1', []],
    ['SELECT \'DROP TABLE x\', "DELETE FROM y", [UPDATE z SET a = 1] /* DROP TABLE q */', []],
    ['DELETE FROM a', ['DELETE without WHERE']],
    ['DELETE FROM a WHERE 1', []],
    ['DELETE FROM a RETURNING "where"', ['DELETE without WHERE']],
    ['WITH q AS (SELECT 1 WHERE 1) DELETE FROM a', ['DELETE without WHERE']],
    ['UPDATE a SET b = (SELECT 1 WHERE 2)', ['UPDATE without WHERE']],
    ['UPDATE a SET b = 1 FROM c WHERE c.x = a.x', []],
    ['INSERT INTO a VALUES (1) ON CONFLICT DO UPDATE SET b = 1', []],
    ['CREATE TABLE a (b REFERENCES c ON DELETE CASCADE ON UPDATE SET NULL)', []],
    ['ALTER TABLE "t" DROP c', ['DROP COLUMN']],
    ['ALTER TABLE main.t DROP COLUMN c', ['DROP COLUMN']],
    ['ALTER TABLE t ADD COLUMN dropped INTEGER', []],
    ['PRAGMA main.writable_schema = ON', ['PRAGMA writable_schema']],
    ['PRAGMA "writable_schema"(1)', ['PRAGMA writable_schema']],
    ['SELECT 1; ; UPDATE t SET a = 1', ['UPDATE without WHERE']],
    [
      'CREATE TRIGGER x AFTER UPDATE OF a ON b BEGIN UPDATE c SET d = CASE WHEN 1 THEN 2 END WHERE 1; DELETE FROM e; END; DROP TABLE z',
      ['DELETE without WHERE', 'DROP TABLE'],
    ],
  ];
  for (const [text, expected] of cases) t.strictSame(found(text), expected, text);
});

t.test('an undeclared loss is refused, also where a procedure put the statement together', async (t) => {
  t.throws(() => assertDeclared('7 (x)', 'DROP TABLE files'), {
    name: 'DangerousOperationError',
    code: 'CATALOG_DANGEROUS_OPERATION',
    operation: 'DROP TABLE',
    statement: 'DROP TABLE files',
  });
  assertDeclared('7 (x)', 'DROP TABLE files', ['DROP TABLE']);
  const ran: string[] = [];
  function* steps() {
    yield* run(sql`DELETE FROM files WHERE ID = ${'a'}`);
    yield* run(sql`UPDATE files SET CRC = ${1}`);
  }
  const drive = (declared: null | readonly ['UPDATE without WHERE'] | readonly []) =>
    driveSync(watched(steps(), { migration: '7 (x)', declared }), ({ sql: { sql: text } }) => ran.push(text));
  t.throws(() => drive([]), { code: 'CATALOG_DANGEROUS_OPERATION', message: /7 \(x\).*UPDATE without WHERE/ });
  t.equal(ran.length, 1, 'and was not run');
  drive(['UPDATE without WHERE']);
  drive(null);
  t.equal(ran.length, 5);
});

t.test('the migrations keep to the rules, and the rules find what breaks them', async (t) => {
  t.strictSame(lintMigrations(MIGRATIONS, released), []);
  const bad = (step: Partial<Migration>): string[] => {
    const version = MIGRATIONS.length;
    const base = { version, name: 'later', up: ['CREATE TABLE later (a)'], down: ['DROP TABLE later'], safeVersion: 5 };
    return lintMigrations([
      ...MIGRATIONS,
      { ...base, loses: null, declares: { down: ['DROP TABLE', 'DROP COLUMN'] }, ...step },
    ]);
  };
  t.strictSame(bad({}), []);
  const cases: readonly (readonly [Partial<Migration>, RegExp])[] = [
    [{ name: 'Later' }, /lower case/],
    [{ name: 'base-schema' }, /another migration has its name/],
    [{ down: [] }, /no way down/],
    [{ down: ['SELECT 1'] }, /going down leaves later/],
    [{ declares: {} }, /undeclared DROP TABLE/],
    [{ loses: undefined }, /does not say what DROP TABLE later/],
    [
      { up: ['ALTER TABLE files DROP COLUMN CRC'], declares: { up: ['DROP COLUMN'], down: ['DROP TABLE'] } },
      /files.CRC, which version 5/,
    ],
    [
      { up: ['DROP TABLE client_quotas'], declares: { up: ['DROP TABLE'], down: ['DROP TABLE'] } },
      /which version 5 reads/,
    ],
    [{ up: ['ALTER TABLE files RENAME COLUMN CRC TO Checksum'] }, /renames in files/],
    [{ up: ['ALTER TABLE files ADD COLUMN x TEXT NOT NULL'] }, /NOT NULL without a default/],
    [{ up: ['CREATE UNIQUE INDEX u ON files(ClientID, FileName)'] }, /UNIQUE on files/],
    [{ up: ['CREATE INDEX i ON files(fold(FileName))'] }, /calls fold\(\)/],
  ];
  for (const [step, expected] of cases) t.match(bad(step).join('\n'), expected);
  const [first] = MIGRATIONS;
  t.match(
    lintMigrations([{ ...first!, up: [...first!.up, 'SELECT 1'] }], { 0: 'released' }).join(),
    /has changed since/,
  );
});

t.test('the schema is the one that was committed', async (t) => {
  const committed = readFileSync(new URL('../docs/schema.sql', import.meta.url), 'utf8');
  t.equal(schemaText(MIGRATIONS), committed, 'run `npm run schema:dump` and look at what changed');
  const path = join(t.testdir(), 'defensive.db');
  await (await DatabaseManager.open({ database: path })).close();
  const copy = `${path}.copy`;
  copyFileSync(path, copy);
  const database = new Database(copy);
  t.equal(listSchema(database, LATEST_VERSION), committed, 'a new file has it');
  database.close();
});

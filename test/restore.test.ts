/** Restoring: into a catalogue that is in use, in the place of one that is damaged or gone, and everything that goes wrong on the way. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { check } from '../lib/backup/checker.ts';
import { type RestoreParts, restoreLive, restoreParts } from '../lib/backup/restore/restore.ts';
import { backupHost } from '../lib/catalog/hosts.ts';
import { openUnmigrated } from '../lib/catalog/open.ts';
import { type CatalogOptions, type DatabaseError, DatabaseManager } from '../lib/index.ts';
import { lastMaintenance } from '../lib/maintenance/history.ts';
import { beginEpochs, FILES, look, turnEpoch, useCatalogue, WHOLE } from './fixtures/catalogue-users.ts';
import { makeLegacyFile } from './fixtures/legacy-file.ts';
import { openNew } from './fixtures/template.ts';
import { byTier, sampleOf } from './fixtures/tier.ts';

t.setTimeout(900_000); // a hundred processes, on a machine that may be busy

const execute = promisify(execFile);
const PEER = fileURLToPath(new URL('./fixtures/backup-peer.ts', import.meta.url));
const [OLD, NEW] = WHOLE as [string, string];

async function openCatalogue(t: Test, database: string, options: CatalogOptions = {}): Promise<DatabaseManager> {
  const db = await openNew({ database, defaultQuotaBytes: null, poolSize: 3, ...options });
  t.teardown(() => db.close());
  return db;
}

/** A catalogue in epoch b, and a backup of it in epoch a. */
async function twoEpochs(t: Test, options: CatalogOptions = {}) {
  const folder = t.testdir();
  const database = join(folder, 'catalogue.db');
  const db = await openCatalogue(t, database, options);
  const clientId = await beginEpochs(db);
  const { path } = await db.backups.create({ reason: 'epoch a' });
  await turnEpoch(db);
  return { folder, database, db, path, clientId };
}

const sound = async (db: DatabaseManager) => [
  ...(await db.query('PRAGMA integrity_check')),
  ...(await db.query('PRAGMA foreign_key_check')),
];
const OK = [{ integrity_check: 'ok' }];

/** Everything in a folder of backups that has no final name. */
const unfinished = (folder: string) => {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter((name) => name.includes('.partial') || /-(?:wal|shm|journal)$/.test(name));
};

const pathsIn = (file: string): Set<string> => {
  const database = new Database(file, { readonly: true });
  const paths = database.prepare('SELECT PathName FROM files').pluck().all() as string[];
  database.close();
  return new Set(paths);
};

const peer = (work: string, database: string, path = ''): ChildProcess =>
  spawn(process.execPath, [PEER, work, database, path], { stdio: ['pipe', 'pipe', 'inherit'] });

async function linesOf(child: ChildProcess, onLine: (line: string) => void): Promise<string[]> {
  const lines: string[] = [];
  const ended = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout! })) {
    lines.push(line);
    onLine(line);
  }
  await ended;
  return lines;
}

t.test(
  'a restore under readers and writers of two processes: no mix is seen, no acknowledged save is lost',
  async (t) => {
    const { database, db, path } = await twoEpochs(t, { poolSize: 5 });
    const said: string[] = [];
    const child = peer('use', database);
    const { promise: warm, resolve: isWarm } = Promise.withResolvers<void>();
    const { promise: after, resolve: isAfter } = Promise.withResolvers<void>();
    let restored = false;
    let since = 0;
    const childLines = linesOf(child, (line) => {
      if (!line.startsWith('saved')) return;
      since += 1;
      if (!restored && since > 10) isWarm();
      if (restored && since > 10) isAfter();
    });
    const stop = new AbortController();
    const own = useCatalogue(db, {
      readers: 4,
      writers: 2,
      name: 'own',
      signal: stop.signal,
      say: (line) => said.push(line),
    });
    await warm;
    const { safetyCopy, counts } = await db.backups.restore(path);
    restored = true;
    since = 0;
    await after;
    stop.abort();
    child.stdin?.end();
    const lines = [...said, ...(await childLines)];
    await own;
    t.same(
      lines.filter((line) => line.startsWith('failed')),
      [],
      'nothing failed that may not be tried again',
    );
    const seen = new Set(lines.filter((line) => line.startsWith('saw ')).map((line) => line.slice(4)));
    t.same([...seen].toSorted(), [OLD, NEW].toSorted(), 'every reader saw the one state or the other');
    t.equal(counts.files, FILES);
    t.equal(await look(db), OLD);
    const kept = pathsIn(safetyCopy ?? '');
    const present = new Set((await db.query('SELECT PathName AS "path" FROM files')).map(({ path }) => String(path)));
    const saved = lines.filter((line) => line.startsWith('saved ')).map((line) => line.slice(6));
    t.ok(saved.length > 20, `${saved.length} saves`);
    t.same(
      saved.filter((name) => !kept.has(name) && !present.has(name)),
      [],
      'each acknowledged save is in the safety copy or in the restored catalogue',
    );
    t.same(
      saved.filter((name) => kept.has(name) && present.has(name)),
      [],
      'and in one of them only',
    );
    t.match(await db.backups.verify(safetyCopy ?? ''), { ok: true, manifest: { reason: 'before restore' } });
    t.same(await sound(db), OK);
    t.match(await db.analytics.audit(), {}, 'totals can be audited');
    t.match(await db.quotas.audit(), { driftBytes: 0 });
  },
);

t.test('a restore goes back whichever part fails, before or after it has done its work', async (t) => {
  const { folder, database, db, path } = await twoEpochs(t);
  await db.close();
  const file = await openUnmigrated({ database, defaultQuotaBytes: null, poolSize: 3 });
  t.teardown(() => file.close());
  const host = backupHost(file);
  const backups = join(folder, 'backups');
  const before = readdirSync(backups).toSorted();
  const content = () => pathsIn(database);
  const expected = content();
  const parts = restoreParts(host, path, {});
  const names = Object.keys(parts) as (keyof RestoreParts)[];
  t.same(names.toSorted(), ['finish', 'health', 'migrate', 'safety', 'stage', 'swap']);
  const whens = names.flatMap((name) => (['before', 'after'] as const).map((when) => ({ name, when })));
  for (const { name, when } of sampleOf(whens, 4)) {
    const failure = new Error(`injected ${when} ${name}`);
    let times = 0;
    const failing = async (...given: unknown[]) => {
      times += 1;
      // The swap that goes back is let through.
      if (when === 'before' && times === 1) throw failure;
      const result = await (parts[name] as (...args: unknown[]) => Promise<unknown>)(...given);
      if (times === 1) throw failure;
      return result;
    };
    const injected = { ...parts, [name]: failing } as RestoreParts;
    await t.rejects(restoreLive(host, path, {}, injected), failure, `${when} ${name}`);
    t.same(content(), expected, 'the catalogue is as it was');
    t.same(unfinished(backups), [], 'and nothing unfinished is left');
  }
  const made = readdirSync(backups).filter((name) => !before.includes(name));
  t.ok(
    made.every((name) => /before-restore|failed-restore/.test(name)),
    'only copies of what was replaced are new',
  );
  const between = 'saved by another between the swap and the going back';
  const failure = new Error('not healthy');
  let swaps = 0;
  const swap: RestoreParts['swap'] = async (source, whileLocked) => {
    await parts.swap(source, whileLocked);
    swaps += 1;
    if (swaps > 1) return;
    const other = new Database(database);
    other.prepare('UPDATE files SET PathName = ? WHERE rowid = (SELECT min(rowid) FROM files)').run(between);
    other.close();
    throw failure;
  };
  await t.rejects(restoreLive(host, path, {}, { ...parts, swap }), failure);
  t.same(content(), expected, 'the catalogue is as it was');
  const aside = readdirSync(backups).filter((name) => /failed-restore.*\.db$/.test(name) && !made.includes(name));
  t.equal(aside.length, 1);
  t.ok(pathsIn(join(backups, aside[0] ?? '')).has(between), 'what another process saved meanwhile is kept');
  await file.close();
  const again = await openCatalogue(t, database);
  t.same(await sound(again), OK);
  t.equal(await look(again), NEW);
});

t.test('what must not be restored is refused before anything happens', async (t) => {
  const { folder, database, db, path } = await twoEpochs(t);
  const backups = join(folder, 'backups');
  const plain = join(folder, 'plain.db');
  copyFileSync(path, plain);
  const newer = join(folder, 'newer.db');
  copyFileSync(path, newer);
  const raw = new Database(newer);
  raw.exec(`INSERT INTO catalog_migrations VALUES (9999, 'of-tomorrow', 'x', '', '', '', 0, NULL)`);
  raw.close();
  const foreign = join(folder, 'foreign.db');
  const other = new Database(foreign);
  other.exec('CREATE TABLE notes (text)');
  other.close();
  const view = join(folder, 'view.db');
  const trap = new Database(view);
  trap.exec(
    `CREATE TABLE clients (ID); CREATE VIEW files AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n`,
  );
  trap.close();
  writeFileSync(join(folder, 'text.db'), 'no database at all');
  symlinkSync(foreign, join(backups, 'link.db'));
  const lax = { allowMissingManifest: true };
  const before = readdirSync(backups).toSorted();
  const cases: [string, string, object, { code: string; message?: RegExp }][] = [
    ['no manifest', plain, {}, { code: 'CATALOG_BACKUP_INVALID', message: /no manifest/ }],
    ['newer', newer, lax, { code: 'CATALOG_SCHEMA_NEWER' }],
    ['foreign', foreign, lax, { code: 'CATALOG_BACKUP_INVALID' }],
    ['a view for a table', view, lax, { code: 'CATALOG_BACKUP_INVALID' }],
    ['a text', join(folder, 'text.db'), lax, { code: 'CATALOG_BACKUP_INVALID' }],
    ['gone', join(folder, 'gone.db'), {}, { code: 'CATALOG_NOT_FOUND' }],
    ['a folder', backups, {}, { code: 'CATALOG_VALIDATION' }],
    ['the catalogue itself', database, lax, { code: 'CATALOG_VALIDATION' }],
    ['a link out of its folder', join(backups, 'link.db'), lax, { code: 'CATALOG_VALIDATION' }],
    ['NUL', `${path}\0`, {}, { code: 'CATALOG_VALIDATION' }],
    ['an unknown option', path, { force: true }, { code: 'CATALOG_VALIDATION' }],
  ];
  for (const [what, from, options, error] of cases) await t.rejects(db.backups.restore(from, options), error, what);
  await t.rejects(
    db.transaction(() => db.backups.restore(path)),
    { code: 'CATALOG_CONFLICT' },
    'inside a transaction',
  );
  t.same(readdirSync(backups).toSorted(), before, 'nothing was made');
  t.equal(await look(db), NEW);
  const reader = await openCatalogue(t, database, { readOnly: true });
  await t.rejects(reader.backups.restore(path), { code: 'CATALOG_READ_ONLY' });
  t.match(await db.backups.restore(plain, lax), { manifest: null, counts: { files: FILES } });
  t.equal(await look(db), OLD, 'a sound file without a manifest is taken when that is asked for');
});

t.test('a backup of an older schema, or with other pages, is brought up to date on the way', async (t) => {
  const { folder, db, path } = await twoEpochs(t);
  const legacy = join(folder, 'python.db');
  makeLegacyFile(legacy, { version: 5, clients: [], files: [] });
  const wide = join(folder, 'wide.db');
  copyFileSync(path, wide);
  const raw = new Database(wide);
  raw.pragma('journal_mode = DELETE');
  raw.pragma('page_size = 8192');
  raw.exec('VACUUM');
  raw.close();
  await db.backups.restore(wide, { allowMissingManifest: true });
  t.equal(await look(db), OLD);
  t.equal((await db.files.search({ term: '17.tx' })).total, 1, 'the search index fits its files');
  t.same(await db.query('PRAGMA page_size'), [{ page_size: 4096 }]);
  const { latest } = await db.migrations.status();
  t.match(await db.backups.restore(legacy, { allowMissingManifest: true }), { schemaVersion: latest });
  t.match(await db.migrations.status(), { current: latest, pending: [] });
  t.equal(await db.files.count(), 0);
  t.same(await sound(db), OK);
});

t.test('a file that no backup made is read with its logs, and not while it is written', async (t) => {
  const { folder, db, path } = await twoEpochs(t);
  const used = join(folder, 'used.db');
  const left = join(folder, 'left.db');
  copyFileSync(path, used);
  const raw = new Database(used);
  raw.pragma('journal_mode = DELETE');
  raw.exec(`CREATE TABLE bulk AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    SELECT randomblob(2000) AS b FROM n`);
  raw.pragma('cache_size = 10'); // so that a part of the transaction is in the file already
  raw.exec("BEGIN; UPDATE files SET PathName = 'half'; UPDATE bulk SET b = randomblob(2000)");
  for (const suffix of ['', '-journal']) copyFileSync(`${used}${suffix}`, `${left}${suffix}`);
  raw.exec('ROLLBACK');
  raw.close();
  t.ok(readFileSync(left).includes('half'), 'what was not committed is in the file that a killed server left');
  await db.backups.restore(left, { allowMissingManifest: true });
  t.equal(await look(db), OLD, 'and is taken back by its journal');
  t.same(await sound(db), OK);

  // A pipe gives its content at the moment that the test chooses.
  const [pipe, stage] = [join(folder, 'pipe.db'), join(folder, 'stage.db')];
  await execute('mkfifo', [pipe]);
  writeFileSync(stage, '');
  const verdict = check({ kind: 'read', path: pipe, manifest: null, stage });
  const content = await open(pipe, 'w'); // once it is read
  writeFileSync(`${pipe}-journal`, '');
  await content.writeFile(readFileSync(path));
  await content.close();
  t.match(await verdict, { problem: /was written while it was read/ });
});

t.test('a catalogue that is gone, or damaged, is restored; what was there is kept', async (t) => {
  const { folder, database, db, path } = await twoEpochs(t);
  await t.rejects(DatabaseManager.restore({ database, from: path, allow: 1 } as never), { code: 'CATALOG_VALIDATION' });
  await t.rejects(DatabaseManager.restore({ database: path, from: path }), {
    message: /^from: got .* another file than/,
  });
  const misspelt = { message: /^form: got an unknown key; accepted: one of from, .*database/ };
  await t.rejects(DatabaseManager.restore({ database, form: path } as never), misspelt);
  await t.rejects(DatabaseManager.restore(path as never), { message: /^options: got .* accepted: an object$/ });
  const live = await DatabaseManager.restore({ database, from: path });
  t.match(
    live,
    { damaged: [], safetyCopy: /before-restore/ },
    'one that works is restored as it is, though it is open',
  );
  t.equal(await look(db), OLD);
  await db.close();

  rmSync(database);
  t.match(await DatabaseManager.restore({ database, from: path }), { damaged: [], safetyCopy: null });
  t.equal(statSync(database).mode & 0o777, 0o600);

  const ways: [string, (bytes: Buffer) => Buffer][] = [
    ['cut off', (bytes) => bytes.subarray(0, bytes.length - 40_000)],
    ['pages overwritten', (bytes) => Buffer.from(bytes).fill(0xaa, 8_192, bytes.length - 8_192)],
    ['header overwritten', (bytes) => Buffer.from(bytes).fill(0, 0, 512)],
    ['not a trace left', () => Buffer.from('not a database at all')],
  ];
  for (const [way, damage] of sampleOf(ways, 2)) {
    const bytes = damage(readFileSync(database));
    writeFileSync(database, bytes);
    writeFileSync(`${database}-wal`, 'half a log');
    const { damaged, safetyCopy } = await DatabaseManager.restore({ database, from: path });
    t.equal(safetyCopy, null, way);
    const [kept = '', log = ''] = damaged;
    t.match(kept, /catalogue\.db\.damaged-\d{8}T\d{9}Z$/);
    t.same(readFileSync(kept), bytes, 'the damaged file is kept to the byte');
    if (log !== '') t.match(log, /catalogue\.db-wal\.damaged-\d{8}T\d{9}Z$/);
    const again = await openCatalogue(t, database);
    t.equal(await look(again), OLD);
    t.same(await sound(again), OK);
    await again.close();
  }

  truncateSync(database, 40_960);
  const bytes = readFileSync(database);
  const before = readdirSync(folder).toSorted();
  writeFileSync(join(folder, 'no-backup.db'), 'text');
  const bad = { database, from: join(folder, 'no-backup.db'), allowMissingManifest: true };
  await t.rejects(DatabaseManager.restore(bad), { code: 'CATALOG_BACKUP_INVALID' });
  t.same(readFileSync(database), bytes);
  t.same(readdirSync(folder).toSorted(), [...before, 'no-backup.db'].toSorted(), 'nothing was changed');

  writeFileSync(`${database}-wal`, 'half a log');
  const files = readdirSync(folder).toSorted();
  const onProgress = ({ step }: { step: string }) => {
    // The last moment before the backup takes its name.
    const stage = readdirSync(folder).find((name) => name.endsWith('.partial'));
    if (step === 'swap') rmSync(join(folder, String(stage)));
  };
  await t.rejects(DatabaseManager.restore({ database, from: path, onProgress }), { code: 'CATALOG_IO' });
  t.same(readdirSync(folder).toSorted(), files, 'what could not be replaced has its names, the log as well');
  t.same(readFileSync(database), bytes);

  const other = new Database(join(folder, 'notes.db'));
  other.exec('CREATE TABLE notes (text)');
  other.close();
  const error = { code: 'CATALOG_FOREIGN_DATABASE', hint: /move it away/ };
  await t.rejects(DatabaseManager.restore({ database: join(folder, 'notes.db'), from: path }), error);
});

t.test('a restore that is killed leaves the old state or the new one, and the next start tidies up', async (t) => {
  const folder = t.testdir();
  for (const [work, steps] of Object.entries({
    restore: ['read', 'migrate', 'safety', 'swap', 'health'],
    replace: ['read', 'check', 'swap'],
  })) {
    for (const step of byTier(steps.slice(-2, -1), steps)) {
      const place = join(folder, `${work}-${step}`);
      mkdirSync(place);
      const database = join(place, 'catalogue.db');
      const db = await openCatalogue(t, database);
      await beginEpochs(db);
      const { path } = await db.backups.create();
      await turnEpoch(db);
      await db.close();
      if (work === 'replace') rmSync(database);
      const child = peer(work, database, path);
      await linesOf(child, (line) => void (line === step && child.kill('SIGKILL')));
      // A last step may be over before the signal arrives.
      if (step !== steps.at(-1)) t.equal(child.signalCode, 'SIGKILL', `killed at ${work}, ${step}`);
      if (work === 'replace' && !existsSync(database)) {
        await DatabaseManager.restore({ database, from: path });
      }
      const again = await openCatalogue(t, database);
      t.ok(WHOLE.includes(await look(again)), `${await look(again)}`);
      t.same(await sound(again), OK);
      const left = await again.backups.list();
      t.same([...unfinished(join(place, 'backups')), ...left.flatMap(({ problems }) => problems)], [], 'tidied up');
      t.same(
        readdirSync(place).filter((name) => name.includes('partial')),
        [],
      );
      await again.close();
    }
  }
});

t.test('a drill proves the newest backup and is remembered; one that cannot be restored is told', async (t) => {
  const { folder, db } = await twoEpochs(t);
  await db.backups.create({ compress: true });
  const good = await db.backups.drill();
  t.match(good, { ok: true, problems: [], counts: { clients: 1, files: FILES }, path: /\.zst$/ });
  t.ok(good.durationMs > 0);
  const last = await db.run(lastMaintenance, null);
  t.match(last, {
    drill: { ok: true, detail: good.path, startedAt: good.startedAt },
    backup: { ok: true },
    restore: null,
  });
  const bytes = readFileSync(good.path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(good.path, bytes);
  t.match(await db.backups.drill(), { ok: false, problems: [/checksum|decompressed/], counts: null });
  t.same((await db.run(lastMaintenance, null)).drill, last.drill, 'the last proven one is still that before');
  t.same(unfinished(join(folder, 'backups')), []);
  const empty = await openCatalogue(t, join(folder, 'other.db'), { backupDir: join(folder, 'none') });
  await t.rejects(empty.backups.drill(), { code: 'CATALOG_NOT_FOUND' } satisfies Partial<DatabaseError>);
});

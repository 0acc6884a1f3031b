/** Backups: what they hold, how they are proven, which are removed, and everything that must leave none behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { BackupEntry } from '../lib/backup/list.ts';
import { checkBackupPolicy, planBackupPrune } from '../lib/backup/prune.ts';
import { partialPath } from '../lib/backup/publish.ts';
import { type CatalogOptions, DatabaseManager, type Manifest } from '../lib/index.ts';
import { inLanes } from './fixtures/lanes.ts';
import { runToEnd } from './fixtures/process.ts';
import { holds } from './fixtures/property.ts';
import { openNew } from './fixtures/template.ts';
import { byTier } from './fixtures/tier.ts';

t.setTimeout(900_000); // some five hundred processes, on a machine that may be busy

const PEER = fileURLToPath(new URL('./fixtures/backup-peer.ts', import.meta.url));
const MANIFEST = '.manifest.json';

async function openCatalogue(t: Test, database: string, options: CatalogOptions = {}): Promise<DatabaseManager> {
  const db = await openNew({ database, defaultQuotaBytes: null, poolSize: 3, ...options });
  t.teardown(() => db.close());
  return db;
}

async function save(db: DatabaseManager, clientId: string, from: number, count: number): Promise<void> {
  const files = Array.from({ length: count }, (_, i) => {
    const pathName = `/srv/${from + i}`;
    return { clientId, fileName: `${from + i}.txt`, pathName, fileSize: 1 };
  });
  await db.files.saveMany(files);
}

async function filled(t: Test, folder: string, name = 'catalogue.db', options: CatalogOptions = {}) {
  const database = join(folder, name);
  const db = await openCatalogue(t, database, options);
  const { id } = await db.clients.save({ name: 'laptop' });
  await save(db, id, 0, 60);
  return { db, database, clientId: id, backups: join(folder, 'backups') };
}

const names = (folder: string) => (existsSync(folder) ? readdirSync(folder).toSorted() : []);

/** Every version a file holds, in the order of the commits. */
function commitsIn(path: string): string[] {
  const database = new Database(path, { readonly: true });
  const commits = database
    .prepare("SELECT ID || ' ' || PathName FROM file_versions ORDER BY ID")
    .pluck()
    .all() as string[];
  database.close();
  return commits;
}

const LANES = 3; // each item starts a process

t.test(
  'backups made one after another while 16 callers write: each verifies and holds exactly a prefix of the commits',
  async (t) => {
    const { db, database, clientId } = await filled(t, t.testdir());
    let isWriting = true;
    let acknowledged = 60;
    let issued = 60;
    const caller = async () => {
      while (isWriting) {
        issued += 1;
        const pathName = `/srv/${issued}`;
        await db.files.save({ clientId, fileName: `${issued % 50}.txt`, pathName, fileSize: 1 });
        acknowledged += 1;
      }
    };
    const callers = Promise.all(Array.from({ length: 16 }, caller));
    const made: { path: string; least: number; most: number }[] = [];
    for (let round = 0; round < byTier(3, 6); round += 1) {
      const least = acknowledged;
      const { path, counts } = await db.backups.create({ compress: false });
      made.push({ path, least, most: issued });
      t.ok(counts.versions >= least, 'what was acknowledged before is in it');
    }
    isWriting = false;
    await callers;
    await db.close();
    const all = commitsIn(database);
    t.ok(
      made.every(({ most }, i) => i === 0 || most > made[i - 1]!.most),
      'callers wrote all the while',
    );
    for (const { path, least, most } of made) {
      const commits = commitsIn(path);
      t.same(commits, all.slice(0, commits.length), `exactly the first ${commits.length} commits`);
      t.ok(commits.length >= least && commits.length <= most);
    }
    const again = await openCatalogue(t, database);
    for (const { path } of made) t.match(await again.backups.verify(path), { ok: true, problems: [] });
  },
);

t.test('a backup is private, quiet to readers, known by its manifest, and listed newest first', async (t) => {
  const folder = t.testdir();
  const { db, backups } = await filled(t, folder);
  const progress: string[] = [];
  const before = Date.now();
  const first = await db.backups.create({ reason: 'nightly', onProgress: ({ step }) => progress.push(step) });
  const { path, ...manifest } = first;
  t.match(first, {
    path: /\/backups\/catalogue-\d{8}T\d{9}Z\.db$/,
    sha256: /^[0-9a-f]{64}$/,
    databaseId: /^[0-9a-f]{32}$/,
    counts: { clients: 1, files: 60, versions: 60 },
    reason: 'nightly',
    compressed: false,
    bytes: statSync(first.path).size,
  });
  t.ok(Date.parse(first.createdAt) >= before && Date.parse(first.createdAt) <= Date.now());
  t.same(JSON.parse(readFileSync(`${path}${MANIFEST}`, 'utf8')), manifest);
  t.equal(createHash('sha256').update(readFileSync(path)).digest('hex'), manifest.sha256);
  for (const file of [path, `${path}${MANIFEST}`]) t.equal(statSync(file).mode & 0o777, 0o600, basename(file));
  t.equal(statSync(backups).mode & 0o777, 0o700);
  t.same([...new Set(progress)], ['copy', 'check']);
  t.equal(commitsIn(path).length, 60);
  t.same(names(backups), [basename(path), `${basename(path)}${MANIFEST}`], 'reading it leaves nothing beside it');

  const small = await db.backups.create({ compress: true });
  t.match(small, { path: /\.db\.zst$/, compressed: true, reason: 'manual' });
  t.ok(small.bytes < first.bytes / 3, 'smaller');
  t.match(await db.backups.verify(small.path), { ok: true, problems: [], manifest: { sha256: small.sha256 } });

  const other = await filled(t, folder, 'other.db', { backupDir: backups });
  const foreign = await other.db.backups.create();
  writeFileSync(join(backups, 'stray.db'), 'x');
  const expected = [foreign, small, first].map((backup) => ({ ...backup, own: backup !== foreign, problems: [] }));
  const listed = await db.backups.list();
  t.same(listed.slice(0, 3), expected);
  t.match(listed.slice(3), [{ path: join(backups, 'stray.db'), own: false, sha256: null, problems: [/no manifest/] }]);
  t.not(foreign.databaseId, first.databaseId);

  const history = await db.query(
    'SELECT Kind AS "kind", Succeeded AS "ok", Detail AS "detail" FROM maintenance_history',
  );
  t.same(
    history,
    [first, small].map((backup) => ({ kind: 'backup', ok: 1, detail: backup.path })),
  );
});

t.test('what is asked for wrongly, called off or not possible leaves nothing', async (t) => {
  const folder = t.testdir();
  const { db, backups } = await filled(t, folder);
  const target = join(backups, 'mine.db');
  mkdirSync(backups);
  mkdirSync(join(folder, 'elsewhere'));
  symlinkSync(join(folder, 'elsewhere'), join(backups, 'out'));
  const links = names(backups);
  const refused: [string, object][] = [
    ['NUL', { path: `${target}\0` }],
    ['spaces around', { path: `${target} ` }],
    ['an empty path', { path: '' }],
    ['a link out of the folder', { path: join(backups, 'out', 'x.db') }],
    ['no flag', { compress: 'zstd' }],
    ['no function', { onProgress: 1 }],
    ['no signal', { signal: {} }],
    ['an unknown key', { compres: true }],
  ];
  for (const [what, options] of refused)
    await t.rejects(db.backups.create(options), { code: 'CATALOG_VALIDATION' }, what);
  const reason = new Error('enough');
  await t.rejects(db.backups.create({ path: target, signal: AbortSignal.abort(reason) }), reason);
  for (const wanted of ['copy', 'check']) {
    const controller = new AbortController();
    const onProgress = ({ step }: { step: string }) => void (step === wanted && controller.abort(reason));
    await t.rejects(db.backups.create({ path: target, signal: controller.signal, onProgress }), reason, `at ${wanted}`);
    const thrower = ({ step }: { step: string }) => {
      if (step === wanted) throw reason;
    };
    await t.rejects(
      db.backups.create({ path: target, onProgress: thrower }),
      { cause: reason },
      `a listener, ${wanted}`,
    );
  }
  t.same(names(backups), links);
  t.same(names(join(folder, 'elsewhere')), []);
  const { path } = await db.backups.create({ path: target });
  const bytes = readFileSync(path);
  await t.rejects(db.backups.create({ path: target }), { code: 'CATALOG_CONFLICT' }, 'none is written over');
  t.same(readFileSync(path), bytes);
  await t.rejects(db.backups.verify(join(folder, 'gone.db')), { code: 'CATALOG_NOT_FOUND' });
  await t.rejects(db.backups.verify(join(folder, 'catalogue.db')), { code: 'CATALOG_VALIDATION' }, 'the live file');
  const failed = await db.query('SELECT count(*) AS "n" FROM maintenance_history WHERE Succeeded = 0');
  t.ok(Number(failed[0]?.['n']) > 0, 'failures are in the history');
  const before = names(backups);
  await db.close();
  const calls: (() => Promise<unknown>)[] = [
    () => db.backups.create(),
    () => db.backups.list(),
    () => db.backups.verify(path),
    () => db.backups.restore(path),
    () => db.backups.drill(),
    () => db.backups.prune({ keepLast: 1 }),
  ];
  for (const call of calls) await t.rejects(call(), { code: 'CATALOG_CLOSED' }, String(call));
  t.same(names(backups), before, 'a catalogue that is closed makes none');
});

interface Damage {
  readonly kind: string;
  readonly at: number;
  readonly by: number;
}

/** The bytes a kind of damage makes of a backup. */
function damaged(bytes: Buffer, { kind, at, by }: Damage, foreign: Buffer): Buffer {
  const place = Math.floor(at * bytes.length);
  const pages = Math.floor(bytes.length / 4096);
  const result = Buffer.from(bytes);
  if (kind === 'bit') result[place]! ^= 1 << (by % 8);
  if (kind === 'cut') return result.subarray(0, place);
  if (kind === 'longer') return Buffer.concat([result, Buffer.alloc(1 + (by % 5_000), by)]);
  if (kind === 'zeros') result.fill(0, place, Math.min(place + 512, bytes.length));
  if (kind === 'foreign') foreign.copy(result, 0, 0, bytes.length);
  if (kind === 'pages' && pages > 1) {
    const [one, two] = [(place / 4096) | 0, by % pages];
    bytes.copy(result, Math.min(one, pages - 1) * 4096, two * 4096, (two + 1) * 4096);
    bytes.copy(result, two * 4096, Math.min(one, pages - 1) * 4096, (Math.min(one, pages - 1) + 1) * 4096);
  }
  return result;
}

function damagedManifest(text: string, { kind, by }: Damage): string | null {
  const manifest = JSON.parse(text) as Manifest;
  if (kind === 'no manifest') return null;
  if (kind === 'manifest cut') return text.slice(0, by % text.length);
  if (kind === 'other counts') return JSON.stringify({ ...manifest, counts: { ...manifest.counts, files: by } });
  if (kind === 'other identity') return JSON.stringify({ ...manifest, databaseId: 'a'.repeat(32) });
  if (kind === 'other schema') return JSON.stringify({ ...manifest, schemaVersion: by });
  return text;
}

const KINDS = [
  'bit',
  'cut',
  'longer',
  'zeros',
  'foreign',
  'pages',
  'no manifest',
  'manifest cut',
  'other counts',
  'other identity',
  'other schema',
];

const [DAMAGED, SOUND] = [byTier(2 * KINDS.length, 300), byTier(5, 50)];

t.test(
  `${DAMAGED} damaged copies: each whose content differs is refused, no restore of one changes anything; ${SOUND} sound ones pass`,
  async (t) => {
    const folder = t.testdir();
    const { db, database, clientId, backups } = await filled(t, folder);
    const plain = await db.backups.create();
    const small = await db.backups.create({ compress: true });
    const stranger = await filled(t, folder, 'stranger.db', { backupDir: join(folder, 'others') });
    const foreign = readFileSync((await stranger.db.backups.create()).path);
    await save(db, clientId, 100, 5);
    const state = async () => db.query('SELECT ID, PathName FROM file_versions ORDER BY ID');
    const before = await state();
    const listed = names(backups);
    const place = join(folder, 'copies');
    mkdirSync(place);
    let number = 0;
    const seen = new Map<string, number>();
    const wrong: string[] = [];

    const attempt = async (damage: Damage) => {
      number += 1;
      const origin = number % 3 === 0 ? small : plain;
      const copy = join(place, `${number}.db${origin.compressed ? '.zst' : ''}`);
      const bytes = readFileSync(origin.path);
      const text = readFileSync(`${origin.path}${MANIFEST}`, 'utf8');
      const [newBytes, newText] = [damaged(bytes, damage, foreign), damagedManifest(text, damage)];
      writeFileSync(copy, newBytes);
      if (newText !== null) writeFileSync(`${copy}${MANIFEST}`, newText);
      const isSame = newBytes.equals(bytes) && newText !== null && isSameManifest(newText, text);
      const verified = db.backups.verify(copy);
      const { ok, problems } = await verified.catch((error) => ({ ok: null, problems: [String(error)] }));
      if (ok !== isSame || ok !== (problems.length === 0)) wrong.push(`${JSON.stringify(damage)}: ${ok}, ${problems}`);
      seen.set(damage.kind, (seen.get(damage.kind) ?? 0) + 1);
      if (!ok) await refuses(copy);
      for (const name of [copy, `${copy}${MANIFEST}`]) rmSync(name, { force: true });
    };
    const refuses = async (copy: string) => {
      const code = await db.backups.restore(copy).then(
        () => 'restored',
        (error) => error.code,
      );
      if (code !== 'CATALOG_BACKUP_INVALID') wrong.push(`${copy}: ${code}`);
    };

    const damages = fc
      .array(fc.record({ at: fc.nat(999_999).map((millionths) => millionths / 1e6), by: fc.nat(1_000_000) }), {
        minLength: DAMAGED,
        maxLength: DAMAGED,
      })
      .map((places) => places.map((place, n) => ({ ...place, kind: KINDS[n % KINDS.length] ?? '' })));
    await holds(
      t,
      fc.asyncProperty(damages, async (list) => {
        await inLanes(LANES, list, attempt);
        t.same(wrong, []);
      }),
      { numRuns: 1, endOnFailure: true },
    );
    t.equal(seen.size, KINDS.length, JSON.stringify(Object.fromEntries(seen)));
    t.same(await state(), before, 'the catalogue is as it was');
    t.same(names(backups), listed, 'and so are its backups');
    t.equal(await db.files.count(), before.length);

    const sound = Array.from({ length: SOUND }, (_, i) => ({ i, origin: i % 5 === 0 ? small : plain }));
    await inLanes(LANES, sound, async ({ i, origin }) => {
      const copy = join(place, `sound-${i}.db${origin.compressed ? '.zst' : ''}`);
      copyFileSync(origin.path, copy);
      copyFileSync(`${origin.path}${MANIFEST}`, `${copy}${MANIFEST}`);
      t.match(await db.backups.verify(copy), { ok: true, problems: [] });
    });
    t.ok(existsSync(database));
  },
);

function isSameManifest(text: string, original: string): boolean {
  try {
    return JSON.stringify(JSON.parse(text)) === JSON.stringify(JSON.parse(original));
  } catch {
    return false;
  }
}

const peer = (work: string, database: string, path: string): ChildProcess =>
  spawn(process.execPath, [PEER, work, database, path], { stdio: ['pipe', 'pipe', 'inherit'] });

t.test('two that make a backup of one name: one is made, and neither takes the file of the other away', async (t) => {
  const { db, backups } = await filled(t, t.testdir());
  const path = join(backups, 'one.db');
  const made = await Promise.allSettled([db.backups.create({ path }), db.backups.create({ path })]);
  const [lost, ...others] = made.filter(({ status }) => status === 'rejected');
  t.match(lost, { reason: { code: 'CATALOG_CONFLICT' } });
  t.same(others, []);
  t.match(await db.backups.verify(path), { ok: true });
  const rehearsed = await Promise.all([db.migrations.rehearse(), db.migrations.rehearse()]);
  t.match(rehearsed, [{ problems: [] }, { problems: [] }]);
  t.same(names(backups), ['one.db', `one.db${MANIFEST}`]);
});

t.test('unfinished files are removed where nobody makes them: also of an id that came again', async (t) => {
  const folder = t.testdir();
  const { db, database, backups } = await filled(t, folder);
  const { path } = await db.backups.create();
  await db.close();
  // After a restart of a container its process has the same id.
  const unfinished = (place: string, name: string) => join(place, partialPath(name));
  const [stage, before] = [unfinished(folder, 'catalogue.db'), unfinished(backups, 'a.db')];
  const old = [stage, before, `${before}-wal`, join(backups, 'b.db.0123cafe-1.partial')];
  // Another machine may use the folder: only its own processes know whether they make it.
  const kept = [unfinished(backups, 'c.db'), join(backups, 'd.db.0123cafe-9999999.partial')];
  for (const file of [...old, ...kept]) writeFileSync(file, 'half');
  for (const file of old) utimesSync(file, 1, 1);
  rmSync(database);
  t.match(await DatabaseManager.restore({ database, from: path }), { damaged: [], counts: { files: 60 } });
  t.equal(existsSync(stage), false, 'a restore that was killed is no obstacle to the next');
  await openCatalogue(t, database);
  const left = [path, `${path}${MANIFEST}`, ...kept].map((file) => basename(file));
  t.same(names(backups), left.toSorted());
});

t.test('a process that is killed leaves no half backup, and the next start removes what it left', async (t) => {
  const folder = t.testdir();
  const { db, database, backups } = await filled(t, folder);
  await db.close();
  const kept = join(folder, 'kept.partial');
  writeFileSync(kept, 'not ours');
  for (const [round, at] of ['open', 'copy 0', 'check 0', 'check'].entries()) {
    const child = peer('create', database, join(backups, `killed-${round}.db`));
    const lines = createInterface({ input: child.stdout! });
    const ended = once(child, 'exit');
    let isReached = false;
    for await (const line of lines) {
      isReached ||= at === 'check' ? /^check [1-9]/.test(line) : line === at;
      if (isReached) child.kill('SIGKILL'); // it may be over before the signal arrives
    }
    await ended;
    t.ok(isReached, at);
    const again = await openCatalogue(t, database);
    for (const { path, problems } of await again.backups.list()) {
      t.same(problems, []);
      t.match(await again.backups.verify(path), { ok: true });
    }
    t.same(
      names(backups).filter((name) => !/^killed-\d\.db(?:\.manifest\.json)?$/.test(name)),
      [],
      'nothing unfinished is left',
    );
    await again.close();
  }
  // Between the two names: the manifest is there, its backup is not.
  mkdirSync(backups, { recursive: true });
  writeFileSync(join(backups, `lost.db${MANIFEST}`), '{}');
  const again = await openCatalogue(t, database);
  t.notOk(existsSync(join(backups, `lost.db${MANIFEST}`)), 'a manifest alone goes');
  t.ok(existsSync(kept), 'what is not ours stays');
  await again.close();
});

t.test('a disk that is full leaves everything as it was', async (t) => {
  const folder = t.testdir();
  const { db, database, clientId, backups } = await filled(t, folder);
  await save(db, clientId, 100, 3_000);
  const { path } = await db.backups.create();
  const limit = Math.floor(statSync(path).size / 1024 / 2); // half of what a copy needs, in the 1,024 bytes of `ulimit -f`
  await db.close();
  const [before, bytes] = [names(backups), readFileSync(database)];
  for (const [work, argument] of [
    ['create', join(backups, 'mine.db')],
    ['restore', path],
  ] as const) {
    // Without the hooks of the test runner, which end a process at the signal that Node.js itself ignores.
    const command = `ulimit -f ${limit}; unset NODE_OPTIONS; exec "$0" "$@"`;
    const args = ['-c', command, process.execPath, PEER, work, database, argument];
    const { stdout, signal } = await runToEnd('bash', args, { cwd: folder });
    const last = stdout.trim().split('\n').at(-1);
    t.match({ last, signal }, { last: /^failed CATALOG_(?:FULL|IO)$/, signal: null }, work);
    t.same(names(backups), before, 'the backups are as they were');
    t.same(
      names(folder).filter((name) => !/^(?:backups|catalogue\.db(?:-wal|-shm)?)$/.test(name)),
      [],
      'and nothing but its log is beside the catalogue',
    );
  }
  const again = await openCatalogue(t, database);
  t.equal(await again.files.count(), 3_060);
  t.ok(readFileSync(path).length > 0 && bytes.length > 0);
  const tight = await openFileWithRoom(t, database, 1_000);
  await t.rejects(tight.backups.create(), { code: 'CATALOG_FULL' }, 'asked before anything is written');
  t.same(names(backups), before);
});

/** A manager whose disk has so many bytes left. */
async function openFileWithRoom(t: Test, database: string, bytes: number) {
  const { Backups } = await import('../lib/backup/backups.ts');
  const { openUnmigrated } = await import('../lib/catalog/open.ts');
  const { backupHost } = await import('../lib/catalog/hosts.ts');
  const file = await openUnmigrated({ database });
  t.teardown(() => file.close());
  return { backups: new Backups({ ...backupHost(file), free: async () => bytes }) };
}

t.test('a catalogue that is damaged gets no backup', async (t) => {
  const folder = t.testdir();
  const { db, database, clientId, backups } = await filled(t, folder);
  await save(db, clientId, 100, 400);
  await db.close();
  const bytes = readFileSync(database);
  bytes.fill(0xaa, bytes.length - 8_192);
  writeFileSync(database, bytes);
  const again = await openCatalogue(t, database);
  await t.rejects(again.backups.create(), { code: 'CATALOG_CORRUPT' });
  t.same(names(backups), []);
});

const DAY = 86_400_000;
const NOW = Date.parse('2025-06-30T12:00:00.000Z');

const entry = (hoursAgo: number, rest: Partial<BackupEntry> = {}): BackupEntry => ({
  path: `/backups/${hoursAgo}.db`,
  sha256: '',
  bytes: 10,
  schemaVersion: 1,
  databaseId: 'a',
  counts: { clients: 0, files: 0, versions: 0 },
  createdAt: new Date(NOW - hoursAgo * 3_600_000).toISOString(),
  sequence: null,
  reason: '',
  compressed: false,
  own: true,
  problems: [],
  ...rest,
});

const keptBy = (entries: BackupEntry[], policy: object, newest: string | null) =>
  planBackupPrune(entries, checkBackupPolicy(policy), newest, NOW).kept.map(({ path, reasons }) => [
    basename(path, '.db'),
    ...reasons,
  ]);

t.test('a policy says what stays and why', async (t) => {
  const entries = [0, 1, 24, 25, 48, 24 * 8, 24 * 40].map((hours) => entry(hours));
  const newest = entries[0]!.path;
  t.same(keptBy(entries, { keepLast: 2 }, newest), [
    ['0', 'newest verified', 'last'],
    ['1', 'last'],
  ]);
  t.same(keptBy(entries, { keepDaily: 3 }, newest), [
    ['0', 'newest verified', 'daily'],
    ['24', 'daily'],
    ['48', 'daily'],
  ]);
  t.same(
    keptBy(entries, { keepWeekly: 2 }, newest).map(([name]) => name),
    ['0', '24'],
    'the week begins on Monday: the 30th of June 2025',
  );
  t.same(
    keptBy(entries, { keepMonthly: 5 }, newest).map(([name]) => name),
    ['0', String(24 * 40)],
  );
  t.same(
    keptBy(entries, { maxAgeDays: 1 }, newest).map(([name]) => name),
    ['0', '1', '24'],
  );
  t.same(
    keptBy(entries, { keepMonthly: 5, maxAgeDays: 30 }, newest).map(([name]) => name),
    ['0'],
    'age wins over the other rules',
  );
  t.same(keptBy([entry(99 * 24)], { maxAgeDays: 1 }, entry(99 * 24).path), [
    [String(99 * 24), 'newest verified', 'older than 1 days'],
  ]);
  t.same(
    keptBy(entries, { keepWeekly: 10 }, null),
    [
      ['0', 'weekly'],
      ['24', 'weekly'],
      [String(24 * 8), 'weekly'],
      [String(24 * 40), 'weekly'],
    ],
    'weeks that have a backup',
  );
  t.same(
    keptBy(entries.slice(0, 2), { keepDaily: 10, maxAgeDays: 1 }, null),
    [
      ['0', 'daily'],
      ['1', 'oldest daily'],
    ],
    'the oldest stays where a rule finds fewer than it may keep',
  );
  t.same(
    keptBy(entries, { keepLast: -1 }, null).map(([name]) => name),
    entries.map(({ path }) => basename(path, '.db')),
    '-1 keeps all',
  );
  t.same(
    keptBy([entry(-48), entry(-1), ...entries], { keepLast: 1 }, entry(-1).path),
    [
      ['-48', 'in the future'],
      ['-1', 'newest verified', 'in the future'],
      ['0', 'last'],
    ],
    'what is dated in the future fills no rule',
  );
  for (const policy of [{}, { keepLast: 0 }, { keepLast: -2 }, { keepLatest: 1 }, { maxAgeDays: 'x' }, null]) {
    t.throws(() => checkBackupPolicy(policy), { code: 'CATALOG_VALIDATION' }, JSON.stringify(policy));
  }
});

t.test('whatever the policy, the newest verified, other databases’ and unsound backups stay', async (t) => {
  const entries = fc.array(
    fc.record({ hours: fc.nat(24 * 100), own: fc.boolean(), bad: fc.boolean() }).map(({ hours, own, bad }) =>
      entry(hours, {
        own,
        databaseId: own ? 'a' : 'b',
        problems: bad ? ['bad'] : [],
        path: `/b/${hours}-${own}-${bad}.db`,
      }),
    ),
    { maxLength: 30 },
  );
  const count = fc.option(fc.nat(5), { nil: undefined });
  const policy = fc
    .record({ keepLast: count, keepDaily: count, keepWeekly: count, keepMonthly: count, maxAgeDays: count })
    .filter(
      ({ maxAgeDays, ...rest }) => maxAgeDays !== undefined || Object.values(rest).some((value) => (value ?? 0) > 0),
    );
  const property = fc.property(entries, policy, (unsorted, rules) => {
    const sorted = unsorted.toSorted((a, b) => (b.createdAt ?? '').localeCompare(a.createdAt ?? ''));
    const newest = sorted.find(({ own, problems }) => own && problems.length === 0)?.path ?? null;
    const { removed, kept } = planBackupPrune(sorted, checkBackupPolicy(rules), newest, NOW);
    const isGone = new Set(removed.map(({ path }) => path));
    const touched = sorted.filter(
      ({ path, own, problems }) => isGone.has(path) && (!own || problems.length > 0 || path === newest),
    );
    const old = sorted.filter(
      ({ path, own, problems, createdAt }) =>
        !isGone.has(path) &&
        own &&
        problems.length === 0 &&
        path !== newest &&
        NOW - Date.parse(createdAt ?? '') > (rules.maxAgeDays ?? Number.POSITIVE_INFINITY) * DAY,
    );
    return touched.length === 0 && old.length === 0 && removed.length + kept.length === sorted.length;
  });
  await holds(t, property);
});

t.test('pruning removes exactly what its dry run says, and keeps the newest that verifies', async (t) => {
  const folder = t.testdir();
  const { db, backups } = await filled(t, folder);
  const other = await filled(t, folder, 'other.db', { backupDir: backups });
  const theirs = await other.db.backups.create();
  const [first, second, third] = [await db.backups.create(), await db.backups.create(), await db.backups.create()];
  const bytes = readFileSync(third.path);
  bytes[5_000]! ^= 1;
  writeFileSync(third.path, bytes);
  const plan = await db.backups.prune({ keepLast: 1 }, { dryRun: true });
  t.same(
    plan.removed.map(({ path }) => path),
    [first.path],
  );
  t.match(
    plan.kept.map(({ path, reasons }) => [path, reasons]),
    [
      [third.path, [/not counted: its checksum/]],
      [second.path, ['newest verified', 'last']],
      [theirs.path, ['of another database']],
    ],
  );
  t.ok(existsSync(first.path), 'a dry run removes nothing');
  t.same(await db.backups.prune({ keepLast: 1 }), plan);
  t.same(
    names(backups),
    [theirs, second, third].flatMap(({ path }) => [basename(path), `${basename(path)}${MANIFEST}`]).toSorted(),
  );
  await t.rejects(db.backups.prune({}), { code: 'CATALOG_VALIDATION' });
  chmodSync(backups, 0o700);
});

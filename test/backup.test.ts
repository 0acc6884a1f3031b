/** Backups: what they hold, how they are proven, which are removed, and everything that must leave none behind. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs, {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createZstdCompress, zstdCompressSync } from 'node:zlib';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { check, deadlineFor } from '../lib/backup/checker.ts';
import type { BackupEntry } from '../lib/backup/list.ts';
import { contentMark } from '../lib/backup/marks.ts';
import { checkBackupPolicy, planBackupPrune } from '../lib/backup/prune.ts';
import { partialPath } from '../lib/backup/publish.ts';
import { takeSnapshot } from '../lib/backup/snapshot.ts';
import { type CatalogOptions, DatabaseManager, type FreeBytes, type Manifest } from '../lib/index.ts';
import { recordFiles } from './fixtures/file-record.ts';
import { inLanes } from './fixtures/lanes.ts';
import { runToEnd } from './fixtures/process.ts';
import { holds } from './fixtures/property.ts';
import { restore } from './fixtures/restore.ts';
import { newCatalogue, openNew } from './fixtures/template.ts';
import { byTier, sampleOf } from './fixtures/tier.ts';

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
  for (const stray of ['c.db', 'a.db', 'b.db']) writeFileSync(join(backups, stray), 'x');
  const expected = [foreign, small, first].map((backup) => ({ ...backup, own: backup !== foreign, problems: [] }));
  const listed = await db.backups.list();
  t.same(listed.slice(0, 3), expected);
  const unknown = { own: false, sha256: null, problems: [/no manifest/] };
  t.match(
    listed.slice(3),
    ['c.db', 'b.db', 'a.db'].map((stray) => ({ path: join(backups, stray), ...unknown })),
  );
  const { promises } = fs;
  const { readdir } = promises;
  const restored = () => {
    Object.assign(promises, { readdir });
    syncBuiltinESMExports();
  };
  t.teardown(restored);
  const vanishing = async (...given: Parameters<typeof readdir>) => {
    const found = await readdir(...given);
    rmSync(join(backups, 'b.db'), { force: true });
    return found;
  };
  Object.assign(promises, { readdir: vanishing });
  syncBuiltinESMExports();
  const later = await db.backups.list();
  restored();
  t.same(
    later.map(({ path: found }) => found),
    listed.map(({ path: found }) => found).filter((found) => !found.endsWith('/b.db')),
    'what goes while the folder is read is no entry',
  );
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
  symlinkSync(folder, join(folder, 'way'));
  const links = names(backups);
  const refused: [string, object][] = [
    ['NUL', { path: `${target}\0` }],
    ['spaces around', { path: `${target} ` }],
    ['an empty path', { path: '' }],
    ['a link out of the folder', { path: join(backups, 'out', 'x.db') }],
    ...[
      'catalogue.db-journal',
      'catalogue.db-WAL',
      'new.db-shm',
      'x.db-mj0A1B2C3D',
      'x.db.manifest.json',
      'x.db.partial',
    ].map((name): [string, object] => [`a name of another file: ${name}`, { path: join(folder, name) }]),
    ['the catalogue itself', { path: join(folder, 'catalogue.db') }],
    ['the catalogue by another way', { path: join(folder, 'way', 'catalogue.db') }],
    ['compressed, and not called so', { path: target, compress: true }],
    ['called compressed, and not so', { path: `${target}.zst` }],
    ['a file as its folder', { path: join(folder, 'catalogue.db', 'x.db') }],
    ['no flag', { compress: 'zstd' }],
    ['no function', { onProgress: 1 }],
    ['no signal', { signal: {} }],
    ['an unknown key', { compres: true }],
  ];
  for (const [what, options] of refused)
    await t.rejects(db.backups.create(options), { code: 'CATALOG_VALIDATION' }, what);
  for (const place of [join(folder, 'none'), join(folder, 'none', 'of', 'these'), join(backups, 'none')]) {
    const missing = {
      code: 'CATALOG_NOT_FOUND',
      message: `the folder ${place} does not exist`,
      hint: /Create it first/,
    };
    await t.rejects(db.backups.create({ path: join(place, 'x.db') }), missing);
    t.notOk(existsSync(place), 'no folder is made');
  }
  const lone = join(folder, 'lone.db');
  writeFileSync(`${lone}-wal`, 'the log of a database that is not there');
  await t.rejects(
    db.backups.create({ path: lone }),
    { code: 'CATALOG_CONFLICT' },
    'it would be played into the backup',
  );
  rmSync(`${lone}-wal`);
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

const [DAMAGED, SOUND] = [byTier(KINDS.length, 300), byTier(2, 50)];

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
  t.match(await restore({ database, from: path }), { damaged: [], counts: { files: 60 } });
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
  for (const [round, at] of sampleOf(['open', 'copy 0', 'check 0', 'check'], 2).entries()) {
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
  const tight = await openFileWithRoom(t, database, async () => 1_000);
  await t.rejects(tight.backups.create(), { code: 'CATALOG_FULL' }, 'asked before anything is written');
  t.same(names(backups), before);
});

/** Backups of a catalogue whose disk has so many bytes left. */
async function openFileWithRoom(t: Test, database: string, free: FreeBytes) {
  const { Backups } = await import('../lib/backup/backups.ts');
  const { openUnmigrated } = await import('../lib/catalog/open.ts');
  const { backupHost } = await import('../lib/catalog/hosts.ts');
  const file = await openUnmigrated({ database });
  t.teardown(() => file.close());
  return { backups: new Backups({ ...backupHost(file), free }) };
}

/** Changes what the manifest of a backup says. */
function amend(path: string, change: (manifest: Partial<Manifest>) => void): void {
  const manifest = JSON.parse(readFileSync(`${path}${MANIFEST}`, 'utf8')) as Partial<Manifest>;
  change(manifest);
  writeFileSync(`${path}${MANIFEST}`, JSON.stringify(manifest));
}

const madeIn2099 = (path: string) =>
  amend(path, (manifest: { createdAt?: string }) => {
    manifest.createdAt = '2099-01-01T00:00:00.000Z';
  });

t.test('backups are ordered by a number that only grows, whatever the clock says', async (t) => {
  const folder = t.testdir();
  const { db, database, backups } = await filled(t, folder);
  const numbers: (number | null)[] = [];
  const make = async (from: DatabaseManager, options = {}) => {
    const backup = await from.backups.create(options);
    numbers.push(backup.sequence);
    return backup;
  };
  const [first, second, third] = [await make(db), await make(db), await make(db, { compress: true })];
  t.same(numbers, [1, 2, 3]);
  madeIn2099(first.path);
  amend(second.path, (manifest: { sequence?: number | null }) => delete manifest.sequence);
  const list = async (from: DatabaseManager) =>
    (await from.backups.list()).map(({ path, sequence }) => [path, sequence]);
  t.same(await list(db), [
    [third.path, 3],
    [first.path, 1],
    [second.path, null],
  ]);
  t.match(await db.backups.drill(), { path: third.path, ok: true }, 'the newest is the one made last');
  const { removed, kept } = await db.backups.prune({ keepLast: 1 }, { dryRun: true });
  t.match(kept, [{ path: third.path, reasons: ['newest verified', 'last'] }]);
  t.same(
    removed.map(({ path }) => path),
    [first.path, second.path],
  );
  t.match(await db.health(), { status: 'pass' });
  await db.execute("UPDATE maintenance_history SET StartedAt = '2099-01-01T00:00:00.000Z' WHERE Kind = 'backup'");
  t.match(await db.health(), {
    status: 'warn',
    issues: [{ code: 'HEALTH_CLOCK', message: /^the last backup is dated \d+ days ahead of the clock$/ }],
  });

  const { safetyCopy } = await restore({ database, from: first.path });
  const [safety] = await db.backups.list();
  t.match(safety, { path: safetyCopy, sequence: 4 }, 'what a restore keeps has a number as well');
  // Somebody has moved the backups to another machine, all but one.
  const away = join(folder, 'away.db');
  for (const suffix of ['', MANIFEST]) copyFileSync(`${safetyCopy}${suffix}`, `${away}${suffix}`);
  amend(away, (manifest: { sequence?: number | null }) => {
    manifest.sequence = 40;
  });
  rmSync(backups, { recursive: true });
  await make(db);
  t.equal(numbers.at(-1), 5, 'a restore lowers nothing: the database knows it without the folder');
  await db.close();
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${database}${suffix}`, { force: true });
  await restore({ database, from: away });
  const again = await openCatalogue(t, database);
  const reader = await openCatalogue(t, database, { readOnly: true });
  await make(again);
  t.equal(numbers.at(-1), 41, 'and so does one that was restored');
  for (let time = 0; time < 2; time += 1) await make(reader);
  t.same(numbers.slice(-2), [42, 43], 'one that may not be written looks into the folder');
  const beside = await openCatalogue(t, database);
  const four = await Promise.all([again, beside, again, beside].map((from) => make(from)));
  t.same(four.map(({ sequence }) => sequence).toSorted(), [44, 45, 46, 47], 'no two have the same');
  await again.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('backup-catalog backups', 9e999)");
  t.equal((await make(again)).sequence, Number.MAX_SAFE_INTEGER, 'and nonsense keeps none from being made');
});

t.test('whatever lies in the folder of backups, no call waits for it', { timeout: 300_000 }, async (t) => {
  const folder = t.testdir();
  const { db, database, backups } = await filled(t, folder);
  const { path, ...manifest } = await db.backups.create();
  const small = await db.backups.create({ compress: true });
  const bytes = readFileSync(path);
  const odd: Record<string, (name: string) => unknown> = {
    fifo: (name) => execFileSync('mkfifo', [name]),
    folder: (name) => mkdirSync(name),
    socket: async (name) => {
      const server = createServer().listen(name);
      t.teardown(() => server.close());
      await once(server, 'listening');
    },
    'a link to a device': (name) => symlinkSync('/dev/zero', name),
    'a link to a fifo': (name) => symlinkSync(join(backups, 'fifo.db'), name),
    'a link to a manifest': (name) => symlinkSync(`${path}${MANIFEST}`, name),
    'a link to nothing': (name) => symlinkSync(join(folder, 'none'), name),
    large: (name) => writeFileSync(name, Buffer.alloc(1_000_000, '[')),
  };
  const cwd = process.cwd();
  process.chdir(backups); // the name of a socket may have a hundred characters
  t.teardown(() => process.chdir(cwd));
  for (const [what, make] of Object.entries(odd)) {
    const name = `${what}.db`;
    await make(name);
    writeFileSync(`${name}${MANIFEST}`, JSON.stringify(manifest));
    const beside = `beside ${what}.db`;
    writeFileSync(beside, bytes);
    await make(`${beside}${MANIFEST}`);
  }
  mkdirSync(`notes${MANIFEST}`);
  writeFileSync(join(`notes${MANIFEST}`, 'kept.txt'), 'not ours');
  process.chdir(cwd);

  const listed = await db.backups.list();
  const besides = listed.filter(({ path: found }) => basename(found).startsWith('beside'));
  t.same(
    Object.fromEntries(besides.map(({ path: found, problems }) => [basename(found), problems[0]])),
    Object.fromEntries(
      Object.keys(odd).map((what) => [
        `beside ${what}.db`,
        what === 'large' ? 'the manifest is too large' : 'the manifest is not a regular file',
      ]),
    ),
  );
  t.same(
    listed.filter(({ own, problems }) => own && problems.length === 0).map(({ path: found }) => found),
    [small.path, path],
    'only files are backups',
  );
  for (const what of Object.keys(odd)) {
    const beside = join(backups, `beside ${what}.db`);
    t.match(await db.backups.verify(beside), { ok: false, manifest: null });
    await t.rejects(db.backups.restore(beside), { code: 'CATALOG_BACKUP_INVALID' }, what);
    if (['large', 'a link to a manifest'].includes(what)) continue; // files
    const error = await db.backups.verify(join(backups, `${what}.db`)).catch((thrown) => thrown);
    t.ok(['CATALOG_VALIDATION', 'CATALOG_NOT_FOUND'].includes(error.code), `${what}: ${error.code}`);
  }
  t.match(await db.backups.drill(), { ok: true, path: small.path });
  t.match(await db.backups.prune({ keepLast: 1 }, { dryRun: true }), { removed: [{ path }] });
  const { path: third } = await db.backups.create();
  t.match(await db.backups.restore(third), { counts: { files: 60 } });
  await db.close();

  // Between two looks a file may become another thing; then it is the process that checks which meets it.
  const [fifo, stage] = [join(backups, 'fifo.db'), join(folder, 'stage.db')];
  writeFileSync(stage, '');
  t.match(await check({ kind: 'read', path: fifo, manifest: null, stage }), { problem: /is not a regular file/ });
  t.match(await check({ kind: 'read', path: fifo, manifest, stage: null }), { problem: /is not a regular file/ });
  const logged = join(folder, 'logged.db');
  copyFileSync(path, logged);
  execFileSync('mkfifo', [`${logged}-wal`]);
  const lax = { database, from: logged, allowMissingManifest: true };
  await t.rejects(DatabaseManager.restore(lax), { code: 'CATALOG_BACKUP_INVALID', message: /is not a regular file/ });

  await openCatalogue(t, database);
  t.ok(existsSync(join(backups, `notes${MANIFEST}`, 'kept.txt')), 'a folder is no manifest that was left');
});

t.test('a stream that unpacks to more than it announces fills no disk', async (t) => {
  const folder = t.testdir();
  const { db, database, backups } = await filled(t, folder);
  const made = await db.backups.create();
  const plain = readFileSync(made.path);
  const lax = { allowMissingManifest: true };
  const LARGE = 64 * 1024 * 1024;
  const streamed = (bytes: Buffer): Promise<Buffer> =>
    new Promise((resolve) => {
      const packing = createZstdCompress();
      const parts: Buffer[] = [];
      packing.on('data', (part) => parts.push(part)).on('end', () => resolve(Buffer.concat(parts)));
      packing.end(bytes);
    });
  const header = (pages: number, isCurrent = true) => {
    const bytes = Buffer.from(plain);
    bytes.writeUInt32BE(pages, 28);
    if (!isCurrent) bytes.writeUInt32BE(bytes.readUInt32BE(24) + 1, 92);
    return bytes;
  };
  const put = (name: string, bytes: Buffer) => {
    const path = join(backups, `${name}.db.zst`);
    writeFileSync(path, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const { path: _, ...manifest } = { ...made, compressed: true, bytes: bytes.length, sha256 };
    writeFileSync(`${path}${MANIFEST}`, JSON.stringify(manifest));
    return { path, manifest };
  };
  const zeros = Buffer.alloc(LARGE);
  const bombs: [string, Buffer, RegExp][] = [
    ['zeros', zstdCompressSync(zeros), /does not start with the header of a SQLite database/],
    ['zeros, as a stream', await streamed(zeros), /does not start with the header of a SQLite database/],
    ['nothing', zstdCompressSync(Buffer.alloc(0)), /does not start with the header of a SQLite database/],
    [
      'a database and zeros',
      zstdCompressSync(Buffer.concat([plain, zeros])),
      /is longer than the \d+ bytes it announces/,
    ],
    ['two streams', Buffer.concat([zstdCompressSync(plain), zstdCompressSync(zeros)]), /is longer than the \d+ bytes/],
    ['no size at all', await streamed(header(0)), /does not announce its unpacked size/],
    [
      'a size that is not valid',
      await streamed(header(plain.length / 4096, false)),
      /does not announce its unpacked size/,
    ],
  ];
  const before = names(backups);
  for (const [name, bytes, problem] of bombs) {
    const { path, manifest } = put(name, bytes);
    t.match(await db.backups.verify(path), { ok: false, problems: [problem] }, name);
    await t.rejects(db.backups.restore(path), { code: 'CATALOG_BACKUP_INVALID', message: problem });
    const stage = join(folder, 'stage.db');
    writeFileSync(stage, '');
    t.match(
      await check({ kind: 'read', path, manifest, stage }),
      { problem },
      'the process that unpacks it stops as well',
    );
    t.ok(statSync(stage).size <= plain.length, `${statSync(stage).size} bytes were written`);
    for (const file of [path, `${path}${MANIFEST}`]) rmSync(file);
  }
  t.same(names(backups), before);

  const asks: number[] = [];
  const { backups: tight } = await openFileWithRoom(t, database, async () => asks.push(0) * 0 + plain.length * 8);
  const huge = put('a huge one', await streamed(header(25_000_000)));
  await t.rejects(tight.verify(huge.path), { code: 'CATALOG_FULL', message: /needs 102400000000 bytes/ });
  await t.rejects(tight.restore(huge.path), { code: 'CATALOG_FULL', message: /needs 102400000000 bytes/ });
  t.ok(asks.length >= 2);
  for (const file of [huge.path, `${huge.path}${MANIFEST}`]) rmSync(file);
  t.same(names(backups), before, 'asked before anything was written');

  // What others have packed, with and without a size in its frame, or with a header that an old SQLite wrote.
  const narrow = join(folder, 'narrow.db');
  writeFileSync(narrow, plain);
  const raw = new Database(narrow);
  raw.exec('PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM');
  raw.close();
  const smallest = join(folder, 'narrow.db.zst');
  writeFileSync(smallest, await streamed(readFileSync(narrow)));
  const stage = join(folder, 'stage.db');
  writeFileSync(stage, '');
  const order = { kind: 'read', path: smallest, manifest: null, stage } as const;
  t.match(await check(order), { findings: { counts: { files: 60 } } }, 'with the smallest pages that there are');
  const others = [zstdCompressSync(plain), await streamed(plain), zstdCompressSync(header(plain.length / 4096, false))];
  for (const bytes of sampleOf(others, 1)) {
    const path = join(folder, 'others.db.zst');
    writeFileSync(path, bytes);
    t.match(await db.backups.restore(path, lax), { counts: { files: 60 } });
  }
});

const CHECK_PROCESS = fileURLToPath(new URL('../lib/backup/check-process.ts', import.meta.url));
const RECORD = new URL('./fixtures/file-record.ts', import.meta.url).href;

t.test('every byte is on the disk before its name, and the manifest before its backup', async (t) => {
  const folder = t.testdir();
  const { db, backups } = await filled(t, folder);
  mkdirSync(backups);
  const record: string[] = [];
  const stop = recordFiles((event) => void record.push(event.join(' ')));
  t.teardown(stop);
  for (const compress of [false, true]) {
    record.length = 0;
    const { path } = await db.backups.create({ compress });
    const told = record
      .filter((line) => line.includes(backups))
      .map((line) => line.replaceAll(`${path}${MANIFEST}`, 'MANIFEST').replaceAll(path, 'BACKUP'))
      .map((line) => line.replaceAll(/\.[0-9a-f]{8}-\d+\.partial/g, '.partial').replaceAll(backups, 'FOLDER'));
    const from = told.indexOf('sync MANIFEST.partial');
    t.same(told.slice(from, from + 8), [
      'sync MANIFEST.partial',
      'link MANIFEST.partial MANIFEST',
      'rm MANIFEST.partial',
      'rm MANIFEST.partial',
      'sync FOLDER',
      'link BACKUP.partial BACKUP',
      'rm BACKUP.partial',
      'sync FOLDER',
    ]);
    t.notOk(
      told.slice(0, from).some((line) => /^(?:link|rename) /.test(line)),
      'nothing has a name before',
    );
  }
  stop();

  const counts = { clients: 1, files: 60, versions: 60 };
  const log = join(folder, 'record.txt');
  for (const compressTo of [null, join(folder, 'packed')]) {
    const copy = join(folder, 'copy.db');
    copyFileSync((await db.backups.list())[1]?.path ?? '', copy);
    if (compressTo !== null) writeFileSync(compressTo, '');
    writeFileSync(log, '');
    const order = JSON.stringify({ kind: 'prove', path: copy, counts, compressTo });
    const env = { FILE_RECORD: log };
    const { stdout } = await runToEnd(process.execPath, ['--import', RECORD, CHECK_PROCESS, order], {
      cwd: folder,
      env,
    });
    t.match(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''), { findings: { counts } });
    const expected = [`sync ${copy}`, ...(compressTo === null ? [] : [`sync ${compressTo}`])];
    t.same(readFileSync(log, 'utf8').trim().split('\n'), expected, 'the copy is on the disk when it is proven');
  }
  const lacking = { ...counts, versions: 61 };
  const copy = join(folder, 'copy.db');
  const verdict = await check({ kind: 'prove', path: copy, counts: lacking, compressTo: null });
  t.match(verdict, { problem: /lacks rows/ }, 'a copy is compared with what was counted');
});

t.test('a name that is taken at the last moment is a conflict, and nothing is replaced', async (t) => {
  const folder = t.testdir();
  const { db, backups } = await filled(t, folder);
  mkdirSync(backups);
  const path = join(backups, 'mine.db');
  const noLinks = () => {
    throw Object.assign(new Error('no links here'), { code: 'EPERM' });
  };
  const takes = (taken: string, call: string) =>
    recordFiles(([made, from, to]) => {
      if (made === call && (to === taken || from === taken)) writeFileSync(taken, 'somebody else’s');
      if (made === 'link' && call !== 'link') noLinks();
    });
  for (const [what, taken, call] of [
    ['the backup', path, 'link'],
    ['the manifest', `${path}${MANIFEST}`, 'link'],
  ] as const) {
    const stop = takes(taken, call);
    t.teardown(stop);
    await t.rejects(db.backups.create({ path }), { code: 'CATALOG_CONFLICT' }, what);
    stop();
    t.same(names(backups), [basename(taken)], 'nothing else is left');
    t.equal(readFileSync(taken, 'utf8'), 'somebody else’s');
    rmSync(taken);
  }
  // Where there are no hard links the name is taken by an empty file first.
  let links = 0;
  const stop = recordFiles(([made, , to]) => {
    if (made !== 'link') return;
    links += 1;
    if (to === path && links === 2) writeFileSync(path, 'somebody else’s');
    noLinks();
  });
  t.teardown(stop);
  await t.rejects(db.backups.create({ path }), { code: 'CATALOG_CONFLICT' });
  t.same(names(backups), ['mine.db']);
  t.equal(readFileSync(path, 'utf8'), 'somebody else’s');
  rmSync(path);
  await db.backups.create({ path });
  stop();
  t.match(await db.backups.verify(path), { ok: true });
  t.same(names(backups), ['mine.db', `mine.db${MANIFEST}`]);
});

t.test('a manifest whose backup is about to get its name stays, whoever tidies up', async (t) => {
  const folder = t.testdir();
  const { database, db, backups } = await filled(t, folder);
  mkdirSync(backups);
  const path = join(backups, 'mine.db');
  let tidied = 0;
  const stop = recordFiles(async ([call, , to]) => {
    if (call !== 'link' || to !== path) return;
    tidied += 1;
    const other = await DatabaseManager.open({ database });
    await other.close();
  });
  t.teardown(stop);
  await db.backups.create({ path });
  stop();
  t.equal(tidied, 1);
  t.match(await db.backups.verify(path), { ok: true, problems: [] });
});

t.test('the time that a check may take, and what a stage keeps', async (t) => {
  const folder = t.testdir();
  const [plain, packed] = [join(folder, 'a.db'), join(folder, 'a.db.zst')];
  for (const path of [plain, packed]) {
    writeFileSync(path, '');
    truncateSync(path, 100 * 1024 * 1024);
  }
  t.equal(await deadlineFor({ path: plain }), 80_000);
  t.equal(await deadlineFor({ path: packed }), 460_000, 'a compressed one may be twenty times as large');

  const stage = join(folder, 'stage.db');
  await newCatalogue(stage);
  const raw = new Database(stage);
  raw.exec('CREATE TABLE bulk (b); INSERT INTO bulk VALUES (zeroblob(100000)); DROP TABLE bulk');
  const pageSize = Number(raw.pragma('page_size', { simple: true }));
  raw.pragma('wal_checkpoint(TRUNCATE)');
  raw.close();
  const { size } = statSync(stage);
  for (const wanted of [pageSize, null]) {
    const order = { kind: 'finish', path: stage, pageSize: wanted, stageMark: null } as const;
    t.match(await check(order), { findings: { bytes: size } }, 'pages that fit are not written anew');
  }

  const view = new Database(':memory:');
  view.exec('CREATE VIEW catalog_migrations AS SELECT 7 AS version');
  const mark = contentMark((query) => view.prepare(query).pluck().get() ?? null);
  t.same(mark, { token: null, schemaVersion: null }, 'a view is not asked');
  view.close();
});

t.test('why no copy could be made', async (t) => {
  const folder = t.testdir();
  const target = join(folder, 'copies', 'a.db');
  const text = join(folder, 'text.db');
  writeFileSync(text, 'Dear diary, '.repeat(1_000));
  const none = { code: 'CATALOG_IO', message: `could not make a copy at ${target}`, hint: /while nobody writes it/ };
  await t.rejects(takeSnapshot(join(folder, 'none.db'), target), none);
  await t.rejects(takeSnapshot(text, target), { code: 'CATALOG_CORRUPT', message: /the copy does not verify/ });
  t.same(names(join(folder, 'copies')), []);
});

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

t.test('a backup that another process removes while it is looked at is told as gone', async (t) => {
  const folder = t.testdir();
  const { db, database, backups } = await filled(t, folder);
  const kept = await db.backups.create();
  const packed = await db.backups.create({ compress: true });
  await db.close();
  const vanishing = await openFileWithRoom(t, database, async () => {
    rmSync(packed.path);
    return Number.MAX_SAFE_INTEGER;
  });
  const manifest = join(backups, `${basename(packed.path)}.manifest.json`);
  const copy = [readFileSync(packed.path), readFileSync(manifest)] as const;
  await t.rejects(vanishing.backups.verify(packed.path), { code: 'CATALOG_NOT_FOUND', hint: /removed during/ });
  writeFileSync(packed.path, copy[0]);
  const { removed, kept: stays } = await vanishing.backups.prune({ keepLast: 1 }, { dryRun: true });
  t.match(
    [removed, stays.map(({ path, reasons }) => [path, reasons])],
    [
      [],
      [
        [packed.path, ['not counted: it is gone']],
        [kept.path, ['newest verified', 'last']],
      ],
    ],
  );
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
      [theirs.path, ['from another database']],
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

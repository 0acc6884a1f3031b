/** What surrounds a catalogue: the names and the file system of its file, and how Node.js was started. */
import { copyFile, link, readdir, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import t, { type Test } from 'tap';
import { DatabaseManager } from '../lib/index.ts';
import { type Mount, mountOf, mountsIn, secondName, sharedFileSystem } from '../lib/pool/file-place.ts';
import { MACHINE } from '../lib/runtime/process-identity.ts';
import { makeLegacyFile } from './fixtures/legacy-file.ts';
import { someRows } from './fixtures/legacy-rows.ts';
import { runScript, runToEnd } from './fixtures/process.ts';
import { sampleOf } from './fixtures/tier.ts';

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}.ts`, import.meta.url));

/** Opens a catalogue, makes it if there is none, and closes it. */
async function makeCatalogue(database: string): Promise<string> {
  const db = await DatabaseManager.open({ database });
  await db.close();
  return database;
}

const refused = {
  code: 'CATALOG_IO',
  message: /hard links\), and each name has its own log/,
  hint: /`find \S+ -xdev -samefile \S+x\.db`.*`cp -p (\S+x\.db) (\S+own\.db) && mv \2 \1`, or open it with readOnly/,
};

t.test('a file with two names is written under neither, so that no acknowledged save is lost', async (t) => {
  const folder = t.testdir({ a: {}, b: {} });
  const database = await makeCatalogue(join(folder, 'a/x.db'));
  await link(database, join(folder, 'b/x.db'));
  const before = await stat(database);
  const savers = ['a', 'b'].map((name) =>
    runScript(fixture('saver'), [join(folder, name, 'x.db'), name, '100'], { cwd: folder }),
  );
  const ended = await Promise.all(savers);
  const acknowledged = ended.flatMap(({ stdout }) => stdout.split('\n').filter((line) => /^[0-9a-f]{32} /.test(line)));
  const db = await DatabaseManager.open({ database, readOnly: true });
  const rows = await db.query('SELECT PathName AS path FROM file_versions');
  const stored = new Set(rows.map(({ path }) => path));
  t.same(
    acknowledged.filter((line) => !stored.has(line.split(' ')[1] ?? '')),
    [],
  );
  t.match(await db.health(), { issues: [{ code: 'HEALTH_SECOND_NAME', hint: /own\.db/ }] });
  await db.close();
  for (const name of ['a', 'b']) await t.rejects(makeCatalogue(join(folder, name, 'x.db')), refused);
  t.same((await stat(database)).mtime, before.mtime, 'it is as it was');
  t.same(await readdir(join(folder, 'b')), ['x.db'], 'and nothing is beside it');

  const ways = await runToEnd('sh', ['-c', 'cp -p x.db own.db && mv own.db x.db'], { cwd: join(folder, 'b') });
  t.equal(ways.code, 0);
  for (const name of ['a', 'b']) await makeCatalogue(join(folder, name, `x.db`));
});

t.test('a second name that the file gets while it is open is a warning of health', async (t) => {
  const folder = t.testdir();
  const db = await DatabaseManager.open({ database: join(folder, 'x.db') });
  t.teardown(() => db.close());
  const codes = async () => (await db.health()).issues.map(({ code }) => code).filter((code) => /NAME/.test(code));
  t.same(await codes(), []);
  await link(join(folder, 'x.db'), join(folder, 'copy.db'));
  t.same(await codes(), ['HEALTH_SECOND_NAME']);
  await unlink(join(folder, 'copy.db'));
  t.same(await codes(), []);
});

t.test('a name under which a killed restore has put the file aside is none that anybody writes', async (t) => {
  const folder = t.testdir();
  const database = await makeCatalogue(join(folder, 'x.db'));
  await link(database, join(folder, 'x.db.damaged-20250101T000000000Z'));
  await makeCatalogue(database);
  // Killed between the name of the database and the end of the one it had before.
  await link(database, join(folder, `x.db.${MACHINE}-999999999.partial`));
  await makeCatalogue(database);
  await link(database, join(folder, 'x.db.partial'));
  await t.rejects(makeCatalogue(database), { ...refused, message: /3 names/ });
  await unlink(join(folder, 'x.db.partial'));
  await link(database, join(folder, 'other.db'));
  await t.rejects(makeCatalogue(database), { ...refused, message: /3 names/ });
});

const MOUNTINFO = `24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
25 24 0:21 / /proc rw - proc proc rw
40 24 0:44 /data /srv/my\\040data rw shared:3 master:1 - 9p none rw,trans=fd
41 40 8:1 /a/x.db /srv/my\\040data/x.db rw - ext4 /dev/sda1 rw
42 24 0:50 / /home/me rw - fuse.sshfs me@far:/ rw
43 42 0:51 / /home/me rw - virtiofs home rw
44 24 0:52 / /backup rw - tmpfs tmpfs rw
`;

t.test('the mounts of a process are read as the kernel writes them', async (t) => {
  const mounts = mountsIn(MOUNTINFO);
  t.same(mounts.slice(2, 4), [
    { point: '/srv/my data', type: '9p' },
    { point: '/srv/my data/x.db', type: 'ext4' },
  ]);
  const typeOf = (path: string) => mountOf(path, mounts)?.type;
  t.same(
    ['/etc/passwd', '/srv/my data/y.db', '/srv/my data/x.db', '/srv/my dataset/x.db', '/home/me/x.db'].map(typeOf),
    ['ext4', '9p', 'ext4', 'ext4', 'virtiofs'],
    'the innermost, and of two at one place the later',
  );
  t.same(mountsIn(''), []);
  t.same(mountsIn('not what it should be\n1 2 - \n'), []);
});

t.test('a file system that machines share is known by its number or by the name of its mount', async (t) => {
  const folder = t.testdir({ real: { 'x.db': '' } });
  await symlink(join(folder, 'real'), join(folder, 'link'));
  const local = async () => 0xef53;
  const at = (type: string) => async (): Promise<Mount[]> => [
    { point: '/', type: 'ext4' },
    { point: join(folder, 'real'), type },
  ];
  const found = (type: string) => sharedFileSystem(join(folder, 'link/x.db'), local, at(type));
  const types = ['nfs4', 'cifs', '9p', 'vboxsf', 'fuse.sshfs', 'virtiofs', 'ext4', 'overlay', 'fuse.gocryptfs'];
  t.same(await Promise.all(types.map(found)), [
    'NFS',
    'CIFS',
    '9p',
    'vboxsf',
    'SSHFS',
    'virtiofs',
    undefined,
    undefined,
    undefined,
  ]);
  t.equal(await sharedFileSystem(join(folder, 'link/new.db'), local, at('9p')), '9p', 'a file that is yet to be made');
  const numbers = [0x01021997, 0x786f4256, 0x65735546];
  const byNumber = (type: number) =>
    sharedFileSystem(
      folder,
      async () => type,
      async () => [],
    );
  t.same(await Promise.all(numbers.map(byNumber)), ['9p', 'vboxsf', undefined]);
});

t.test('a file that is mounted by itself is known, whichever link leads to it', async (t) => {
  const folder = t.testdir({ app: { 'x.db': '', 'y.db': '' } });
  await symlink(join(folder, 'app'), join(folder, 'link'));
  const mounts = async () => [{ point: join(folder, 'app/x.db'), type: 'ext4' }];
  for (const path of ['app/x.db', 'link/x.db']) {
    t.match(await secondName(join(folder, path), mounts), {
      message: /is a mount point/,
      hint: /docker run -v \.\/data:/,
    });
  }
  for (const path of ['app/y.db', 'app/new.db', 'app'])
    t.equal(await secondName(join(folder, path), mounts), undefined);
});

/** Runs a script of the shell where it may mount; undefined where this user may not. */
async function mounting(script: string, cwd: string): Promise<string[] | undefined> {
  const may = await runToEnd('unshare', ['--mount', 'true'], { cwd });
  if (may.code !== 0) return undefined;
  const { stdout, stderr, code } = await runToEnd('unshare', ['--mount', 'sh', '-euc', script], {
    cwd,
    env: { OPENER: fixture('opener'), NODE: process.execPath },
  });
  if (code !== 0) throw new Error(`${stdout}${stderr}`);
  return stdout.trim().split('\n');
}

async function mounted(t: Test, script: string, cwd: string): Promise<unknown[]> {
  const lines = await mounting(script, cwd);
  if (lines === undefined) t.pass('this user may not mount: what mountinfo says is tried above');
  return (lines ?? []).map((line) => JSON.parse(line));
}

t.test('a database that is mounted by itself is read and not written; a folder may be mounted', async (t) => {
  const folder = t.testdir({ host: {}, app: { 'my x.db': '' }, data: {} });
  await makeCatalogue(join(folder, 'host/my x.db'));
  await writeFile(join(folder, 'open.sh'), '"$NODE" "$OPENER" "$1"; echo');
  const opens = (options: object) => `sh open.sh '${JSON.stringify(options)}'`;
  const script = `
    mount --bind host/"my x.db" app/"my x.db"
    mount --bind host data
    ${opens({ database: 'app/my x.db' })}
    ${opens({ database: 'app/my x.db', allowRollbackJournal: true })}
    test "$(ls app)" = 'my x.db'
    ${opens({ database: 'app/my x.db', readOnly: true })}
    ${opens({ database: 'data/my x.db' })}`;
  const found = await mounted(t, script, folder);
  const mount = {
    code: 'CATALOG_IO',
    message: /app\/my x\.db is a mount point/,
    hint: /`mkdir data && mv 'my x\.db' data\/` and mount data.*, or open it with readOnly/,
  };
  const expected = [
    mount,
    mount,
    { opened: true, issues: [{ code: 'HEALTH_SECOND_NAME' }] },
    { opened: true, issues: [] },
  ];
  t.match(found, expected.slice(0, found.length));
});

const ZONES = ['', ':/etc/localtime', 'UTC+2', 'CET-1CEST,M3.5.0,M10.5.0/3', 'Nowhere/Land', ':Europe/Berlin'];
const ADOPTED_IN = ['UTC+2', 'CET-1CEST,M3.5.0,M10.5.0/3', ':Europe/Berlin'];

t.test('a TZ that names no zone is no reason to refuse a catalogue, and a warning where dates need one', async (t) => {
  const folder = t.testdir();
  const opened = async (zone: string, database: string) => {
    const args = [JSON.stringify({ database, poolSize: 2 })];
    const { stdout, stderr } = await runScript(fixture('opener'), args, { cwd: folder, env: { TZ: zone } });
    const warned = stderr.split('\n').filter((line) => line.includes('legacyTimeZone'));
    return { ...JSON.parse(stdout), warned: warned.map((line) => JSON.parse(line)) };
  };
  for (const [place, zone] of sampleOf(ZONES, 4).entries()) {
    t.match(await opened(zone, `${place}.db`), { opened: true, warned: [] }, `TZ=${JSON.stringify(zone)}`);
    if (!sampleOf(ADOPTED_IN, 2).includes(zone)) continue; // an adoption takes several times as long
    const database = join(folder, `${place}-legacy.db`);
    makeLegacyFile(database, { version: 3, ...someRows() });
    const names = zone === ':Europe/Berlin';
    const { warned, ...rest } = await opened(zone, database);
    t.match(rest, { opened: true });
    t.match(warned, names ? [] : [{ level: 40, TZ: zone, dates: Number }]);
    const db = await DatabaseManager.open({ database });
    t.match(await db.migrations.verify(), { adoptions: [{ timeZone: names ? 'Europe/Berlin' : 'UTC' }] });
    await db.close();
  }
});

/** What a process prints that opens a catalogue with such options, started with such flags. */
async function openedWith(flags: readonly string[], options: object, cwd: string) {
  const args = ['--no-warnings', ...flags, fixture('opener'), JSON.stringify(options)];
  const { stdout, stderr } = await runToEnd(process.execPath, args, { cwd });
  return stdout === '' ? { stderr } : JSON.parse(stdout);
}

t.test('a name that leaves no room for that of the log is refused, and no file is made', async (t) => {
  const folder = t.testdir();
  for (const name of ['x'.repeat(248), 'x'.repeat(255), 'x'.repeat(256), 'ä'.repeat(124)]) {
    const received = `a name of ${Buffer.byteLength(name)} bytes`;
    for (const options of [{}, { readOnly: true }]) {
      const refusal = { code: 'CATALOG_VALIDATION', field: 'database', received, accepted: /247 bytes/ };
      await t.rejects(DatabaseManager.open({ database: join(folder, name), ...options }), refusal);
    }
  }
  t.same(await readdir(folder), []);
  await makeCatalogue(join(folder, 'x'.repeat(247)));
  const deep = join(folder, ...Array.from({ length: 2_100 }, () => 'd'), 'x.db');
  await t.rejects(makeCatalogue(deep), { code: 'CATALOG_IO', hint: /shorter name/ });
});

t.test('a path that is no text of Unicode is refused, whichever option it is in', async (t) => {
  const folder = t.testdir();
  for (const option of ['database', 'backupDir', 'storageDir'] as const) {
    for (const path of [join(folder, 'a\ud800.db'), join(folder, 'a\0.db')]) {
      const options = { database: join(folder, 'a.db'), [option]: path };
      await t.rejects(DatabaseManager.open(options), { code: 'CATALOG_VALIDATION', field: option });
    }
  }
  t.same(await readdir(folder), []);
});

t.test('however Node.js was started, opening fails with a typed error whose hint names the flag', async (t) => {
  const folder = t.testdir();
  await makeCatalogue(join(folder, 'there.db'));
  const model = ['--permission', '--allow-fs-read=*'];
  const cases: readonly (readonly [flags: readonly string[], options: object, hint: RegExp])[] = [
    [['--no-addons'], { database: 'a.db' }, /--no-addons/],
    [model, { database: 'b.db' }, /--allow-fs-write/],
    [[...model, '--allow-fs-write=*'], { database: 'c.db' }, /--allow-worker/],
    [[...model, '--allow-fs-write=*', '--allow-worker'], { database: 'd.db' }, /--allow-addons/],
  ];
  for (const [flags, options, hint] of cases) {
    t.match(await openedWith(flags, options, folder), { code: 'CATALOG_IO', hint }, flags.join(' '));
  }
  const all = [...model, '--allow-fs-write=*', '--allow-worker', '--allow-addons', '--allow-child-process'];
  t.match(await openedWith(all, { database: 'there.db' }, folder), { opened: true });
  makeLegacyFile(join(folder, 'legacy.db'), { version: 3, ...someRows() });
  const fsync = { code: 'CATALOG_IO', hint: /need fsync.*without --permission/ };
  t.match(await openedWith(all, { database: 'legacy.db' }, folder), fsync, 'its adoption needs a copy on the disk');
  const childless = { code: 'CATALOG_IO', hint: /--allow-child-process/ };
  t.match(await openedWith(all.slice(0, -1), { database: 'legacy.db' }, folder), childless);
});

t.test('a bundle without the files that threads start with says so', async (t) => {
  const folder = t.testdir();
  const library = fileURLToPath(new URL('../lib/index.ts', import.meta.url));
  const source = `import { DatabaseManager } from ${JSON.stringify(library)};
    DatabaseManager.open({ database: 'a.db' }).catch(({ code, hint }) => console.log(JSON.stringify({ code, hint })));`;
  await writeFile(join(folder, 'app.mjs'), source);
  const bundle = { bundle: true, format: 'esm', platform: 'node', packages: 'external', logLevel: 'silent' } as const;
  // Beside the dependencies, which it does not hold.
  const outfile = fileURLToPath(new URL('../.tap/bundled/lib/app.mjs', import.meta.url));
  await build({ ...bundle, entryPoints: [join(folder, 'app.mjs')], outfile });
  t.teardown(() => rm(outfile));
  const { stdout, stderr } = await runScript(outfile, [], { cwd: folder });
  t.match(JSON.parse(stdout || JSON.stringify({ stderr })), { code: 'CATALOG_IO', hint: /Bundlers.*external/ });
});

t.test('a Node.js that was removed while it runs is told by name', async (t) => {
  const folder = t.testdir();
  const program = join(folder, 'node');
  await copyFile(process.execPath, program);
  makeLegacyFile(join(folder, 'legacy.db'), { version: 3, ...someRows() });
  const script = `import { unlinkSync } from 'node:fs';
    import { DatabaseManager } from ${JSON.stringify(new URL('../lib/index.ts', import.meta.url).href)};
    unlinkSync(process.execPath);
    await DatabaseManager.open({ database: 'legacy.db' }).catch(({ code, hint }) => console.log(JSON.stringify({ code, hint })));`;
  await writeFile(join(folder, 'app.mjs'), script);
  const { stdout, stderr } = await runToEnd(program, ['--no-warnings', 'app.mjs'], { cwd: folder });
  t.match(JSON.parse(stdout || JSON.stringify({ stderr })), {
    code: 'CATALOG_IO',
    hint: new RegExp(`check whether ${program}`),
  });
});

/** `ingest`: every regular file of a folder as it really is, whatever it is called and whatever happens to it. */
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync } from 'node:fs';
import {
  link,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { crc32 } from 'node:zlib';
import t from 'tap';
import { ingest } from '../bin/ingest.ts';
import { DatabaseManager } from '../lib/index.ts';
import { cli, ENTRY, environment, execute, finished } from './cli-run.ts';

t.setTimeout(300_000); // many processes

interface Report {
  readonly files: number;
  readonly saved: number;
  readonly unchanged: number;
  readonly failed: readonly { readonly path: string; readonly message: string }[];
  readonly warnings: readonly { readonly path: string; readonly message: string }[];
  readonly skipped: { readonly symlinks: number; readonly special: number; readonly catalogue: number };
  readonly bytes: number;
}

/** A folder, a database beside it, and how to catalogue one in the other. */
function place(dir: string) {
  const data = join(dir, 'data');
  const database = join(dir, 'catalog.db');
  const json = async (command: string, ...args: string[]) => {
    const { stdout, stderr } = await cli([command, '--database', database, '--json', ...args]);
    if (stdout === '') throw new Error(`${command} printed nothing: ${stderr}`);
    return JSON.parse(stdout);
  };
  return {
    data,
    database,
    json,
    ingest: (...args: string[]) => cli(['ingest', data, '--client', 'c', '--database', database, ...args]),
    report: (...args: string[]): Promise<Report> => json('ingest', data, '--client', 'c', ...args),
    rows: (sql: string): Promise<Record<string, unknown>[]> => json('query', sql),
  };
}

const NOTHING_SKIPPED = { symlinks: 0, special: 0, catalogue: 0 };
const SOUND = { unchanged: 0, failed: [], warnings: [], skipped: NOTHING_SKIPPED };

const ODD_NAMES = [
  'new\nline',
  '-rf',
  '--client',
  `'single' "double"`,
  ' leading and trailing ',
  'back\\slash',
  '$(reboot) `x` %s *?',
  'ünïcödé 漢字 🎉',
  'e\u0301 is not \u00e9',
  '\u00e9 is not e\u0301',
  '\u001b[31mred',
  'n'.repeat(255),
  '漢'.repeat(85), // 255 bytes
];

t.test('catalogues each file with its size, date, CRC-32 and paths', async (t) => {
  const { data, report, rows, ingest } = place(
    t.testdir({ data: { a: '123456789', empty: '', d: { e: { f: 'deep' } } } }),
  );
  await utimes(join(data, 'a'), new Date(0), new Date('2020-02-29T12:34:56.789Z'));
  t.same(await report(), { ...SOUND, files: 3, saved: 3, bytes: 13 });
  t.same(await rows('SELECT FileName, PathName, OriginalPath, FileSize, CRC FROM files ORDER BY OriginalPath'), [
    { FileName: 'a', PathName: join(data, 'a'), OriginalPath: 'a', FileSize: 9, CRC: 0xcbf43926 },
    { FileName: 'f', PathName: join(data, 'd/e/f'), OriginalPath: 'd/e/f', FileSize: 4, CRC: crc32('deep') },
    { FileName: 'empty', PathName: join(data, 'empty'), OriginalPath: 'empty', FileSize: 0, CRC: 0 },
  ]);
  t.match(await rows("SELECT ModificationDate AS at FROM files WHERE FileName = 'a'"), [
    { at: '2020-02-29T12:34:56.789Z' },
  ]);
  const again = await ingest();
  t.same(again, { code: 0, stdout: '3 files catalogued, 13 B: 0 new or changed, 3 unchanged\n', stderr: '' });
});

t.test('a second run gives a version to what changed, and to nothing else', async (t) => {
  const { data, report, rows } = place(t.testdir({ data: { same: 'same', grown: 'x', touched: 'y', sneaky: 'old' } }));
  await report();
  t.match(await report(), { files: 4, saved: 0, unchanged: 4 });
  const before = await stat(join(data, 'sneaky'));
  await writeFile(join(data, 'sneaky'), 'new');
  await utimes(join(data, 'sneaky'), before.atime, before.mtime); // same size, same date, other content
  await writeFile(join(data, 'grown'), 'xx');
  await utimes(join(data, 'touched'), new Date(), new Date('2001-01-01'));
  t.match(await report(), { files: 4, saved: 3, unchanged: 1 });
  t.same(await rows('SELECT FileName, CurrentVersion AS version FROM files ORDER BY FileName'), [
    { FileName: 'grown', version: 2 },
    { FileName: 'same', version: 1 },
    { FileName: 'sneaky', version: 2 },
    { FileName: 'touched', version: 2 },
  ]);
});

t.test('names of every kind come out as they went in', async (t) => {
  const { data, report, rows, json } = place(t.testdir({ data: {} }));
  for (const name of ODD_NAMES) await writeFile(join(data, name), name);
  await mkdir(join(data, ODD_NAMES[0] ?? '', '..', '-folder'), { recursive: true });
  await writeFile(join(data, '-folder', 'inside'), '');
  t.match(await report(), { files: ODD_NAMES.length + 1, failed: [] });
  const stored = await rows('SELECT FileName AS name, CRC AS crc FROM files WHERE FileSize > 0');
  const expected = ODD_NAMES.map((name) => ({ name, crc: crc32(name) }));
  const byName = (a: { name?: unknown }, b: { name?: unknown }) => (String(a.name) < String(b.name) ? -1 : 1);
  t.same(stored.sort(byName), expected.sort(byName));
  t.match(await json('versions', '--client', 'c', '--path', 'new\nline', '--', 'new\nline'), [{ fileSize: 8 }]);
  const shown = await cli(['search', 'red', '--database', join(data, '..', 'catalog.db')]);
  t.match(shown.stdout, '\\x1b[31mred', 'and cannot steer the terminal');
  t.notMatch(shown.stdout, '\u001b');
});

t.test('links and special files are counted, not followed', async (t) => {
  const dir = t.testdir({ data: { real: 'x' }, elsewhere: { secret: 'y' } });
  const { data, report, ingest } = place(dir);
  await symlink('real', join(data, 'to-file'));
  await symlink(join(dir, 'elsewhere'), join(data, 'to-folder'));
  await symlink('.', join(data, 'to-itself'));
  await symlink('nowhere', join(data, 'dangling'));
  await execute('mkfifo', [join(data, 'pipe')]);
  t.same(await report(), {
    ...{ ...SOUND, files: 1, saved: 1, bytes: 1 },
    skipped: { symlinks: 4, special: 1, catalogue: 0 },
  });
  t.match((await ingest()).stdout, /\nleft out: 4 symbolic links, 1 pipes, sockets or devices\n$/);
  const through = join(dir, 'elsewhere', 'data');
  await symlink(data, through);
  const { stdout } = await cli(['ingest', through, '--client', 'd', '--database', join(dir, 'catalog.db'), '--json']);
  t.match(JSON.parse(stdout), { files: 1 }, 'the folder itself may be a link');
});

t.test('the open catalogue is left out, under every name it has', async (t) => {
  const dir = t.testdir({ data: { sub: {}, file: 'x' } });
  const { data, database } = place(dir);
  const inside = join(data, 'sub', 'catalog.db');
  const run = (...args: string[]) => cli([...args, '--client', 'c', '--json', '--database', inside]);
  const own = { symlinks: 0, special: 0, catalogue: 3 }; // the file, its write-ahead log and their shared memory
  t.match(JSON.parse((await run('ingest', data)).stdout), { files: 1, failed: [], skipped: own });
  t.match(JSON.parse((await run('ingest', data)).stdout), { files: 1, unchanged: 1, skipped: own });
  await symlink(inside, join(dir, 'by-link.db'));
  const linked = await cli(['ingest', data, '--client', 'c', '--json', '--database', join(dir, 'by-link.db')]);
  t.match(JSON.parse(linked.stdout), { files: 1, skipped: own });
  await link(inside, join(data, 'hard-link'));
  t.match(await run('ingest', data), { code: 1, stdout: '', stderr: /hard link/ }, 'each name has a log of its own');
  const other = await cli(['ingest', data, '--client', 'c', '--json', '--database', database]);
  t.match(JSON.parse(other.stdout), { files: 3, skipped: NOTHING_SKIPPED }, 'another catalogue is a file like any');
});

t.test('what cannot be read is told at the end, and the rest is catalogued', async (t) => {
  const { data, ingest, report } = place(t.testdir({ data: { good: 'x', z: { good: 'y' } } }));
  await writeFile(Buffer.concat([Buffer.from(join(data, 'bad-')), Buffer.from([0xff])]), 'named in no known way');
  await mkdir(Buffer.concat([Buffer.from(join(data, 'z', 'bad\\')), Buffer.from([0xc3, 0x28])]));
  const failed = ['bad-\\xff', 'z/bad\\\\\\xc3('].map((name) => ({
    path: join(data, name),
    message: 'the name is not valid UTF-8',
  }));
  t.same(await report(), { ...SOUND, files: 2, saved: 2, failed, bytes: 2 });
  const told = await ingest();
  t.match(told, { code: 1, stdout: /^2 files catalogued/ });
  const lines = failed.map(({ path, message }) => `error: ${path}: ${message}\n`);
  t.equal(told.stderr, `${lines.join('')}2 paths could not be catalogued; everything else was\n`);
});

t.test('a date that cannot be stored costs a file no version', { skip: !existsSync('/dev/shm') }, async (t) => {
  const { data, database, rows } = place(t.testdir());
  const folder = await mkdtemp('/dev/shm/catalogue-'); // it keeps any date
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'future'), 'x');
  await writeFile(join(folder, 'now'), 'y');
  await execute('touch', ['--date', '@253402300800', join(folder, 'future')]); // the year 10000
  const ingest = (...args: string[]) => cli(['ingest', folder, '--client', 'c', '--database', database, ...args]);
  const message = 'its modification date (253402300800 s since 1970) is outside the years 0 to 9999 and was omitted';
  const warnings = [{ path: join(folder, 'future'), message }];
  const { code, stdout } = await ingest('--json');
  t.same([code, JSON.parse(stdout)], [0, { ...SOUND, files: 2, saved: 2, bytes: 2, warnings }]);
  t.same(await rows('SELECT FileName, ModificationDate IS NULL AS dateless FROM files ORDER BY FileName'), [
    { FileName: 'future', dateless: 1 },
    { FileName: 'now', dateless: 0 },
  ]);
  t.same(await ingest(), {
    code: 0,
    stdout: '2 files catalogued, 2 B: 0 new or changed, 2 unchanged\n',
    stderr: `warning: ${join(folder, 'future')}: ${message}\n`,
  });
  t.notOk(existsSync(data));
});

t.test('a file that is written all the time is catalogued, with a warning', async (t) => {
  const { data, database } = place(t.testdir({ data: { log: 'y\n', other: 'x' } }));
  const log = join(data, 'log');
  await using db = await DatabaseManager.open({ database });
  const { id: clientId } = await db.clients.save({ name: 'c' });
  // Told of each piece that was read, so each attempt meets another file than it began with.
  const onProgress = () => appendFileSync(log, 'y\n');
  const { warnings, ...result } = await ingest(db, { clientId, folder: data, database, onProgress });
  t.match(result, { files: 2, saved: 2, failed: [] });
  t.match(warnings, [{ path: log, message: /^it changed twice while it was being read/ }]);
  const { fileSize, crc } = (await db.files.find(clientId, 'log', 'log')) ?? { fileSize: 0, crc: null };
  const read = (await readFile(log)).subarray(0, fileSize ?? 0);
  t.same([fileSize, crc], [read.length, crc32(read)], 'of what was read');
});

const [NFC, NFD] = ['\u00e9.txt', 'e\u0301.txt'];

t.test('names that differ by the Unicode form alone are two files, and told', async (t) => {
  const { data, report, ingest, rows, json } = place(t.testdir({ data: { '\u00fc': {}, 'u\u0308': {} } }));
  for (const [name, text] of [
    [NFC, 'one'],
    [NFD, 'other'],
    ['\u00fc/a', 'first'],
    ['u\u0308/a', 'second'],
  ]) {
    await writeFile(join(data, name ?? ''), text ?? '');
  }
  const message = 'another name in the folder differs only in its Unicode form (NFC or NFD); both are catalogued';
  const beside = [NFC, '\u00fc'].map((name) => ({ path: join(data, name), message }));
  t.same(await report(), { ...SOUND, files: 4, saved: 4, bytes: 19, warnings: beside });
  t.match(await ingest(), {
    code: 0,
    stdout: /4 unchanged/,
    stderr: `warning: ${join(data, NFC)}: ${message}\nwarning: ${join(data, '\u00fc')}: ${message}\n`,
  });
  const crcOf = async (...args: string[]) => (await json('versions', ...args))[0].crc;
  t.equal(await crcOf(NFC, '--client', 'c'), crc32('one'), 'the exact name first');
  t.equal(await crcOf(NFD, '--client', 'c'), crc32('other'));
  t.equal(await crcOf('a', '--client', 'c', '--path', 'u\u0308/a'), crc32('second'));
  t.equal((await rows('SELECT * FROM files')).length, 4);
});

t.test('a file that the catalogue has under another Unicode form is told once, and found by either', async (t) => {
  const { data, report, json, ingest } = place(t.testdir({ data: { [NFD]: 'as macOS has it' } }));
  await report();
  t.match(await json('versions', NFC), [{ crc: crc32('as macOS has it') }]);
  t.match(await json('versions', NFC, '--client', 'c', '--path', NFC), [{ crc: crc32('as macOS has it') }]);
  await rename(join(data, NFD), join(data, NFC));
  const message = 'the catalogue already has this name in another Unicode form (NFC or NFD); both are kept';
  t.same(await report(), { ...SOUND, files: 1, saved: 1, bytes: 15, warnings: [{ path: join(data, NFC), message }] });
  t.same(await ingest(), {
    code: 0,
    stdout: '1 file catalogued, 15 B: 0 new or changed, 1 unchanged\n',
    stderr: '',
  });
});

t.test('a new client whose name hardly differs from another is told', async (t) => {
  const { data, database } = place(t.testdir({ data: { a: 'x' } }));
  const ingest = (client: string) => cli(['ingest', data, '--client', client, '--database', database]);
  await ingest('Caf\u00e9 1');
  for (const name of ['caf\u00e9 1', 'Caf\u00e91', 'Cafe\u0301 1']) {
    const { code, stderr } = await ingest(name);
    t.equal(code, 0);
    t.match(
      stderr,
      `client ${name} is new\nwarning: client Caf\u00e9 1 differs from it only in case, blanks or Unicode form`,
    );
  }
  t.same((await ingest('Caf\u00e9 1')).stderr, '', 'one that is known is not');
  t.same((await ingest('Caf\u00e9 2')).stderr, 'client Caf\u00e9 2 is new\n');
  const quotaOf = (client: string) => cli(['quota', client, '--database', database]);
  t.match(
    await quotaOf('Cafe\u0301 2'),
    { code: 0, stdout: /Caf\u00e9 2/ },
    'the equal name where nobody has the exact one',
  );
  t.match(await quotaOf('Cafe\u0301 1'), { code: 0, stdout: /Cafe\u0301 1/ }, 'else the exact one');
});

/** How to run a program that permissions bind: root itself without the right to pass over them, any other as it is. */
async function boundByPermissions(): Promise<string[] | undefined> {
  if (process.getuid?.() !== 0) return [];
  const rights = '-dac_override,-dac_read_search';
  const drop = ['setpriv', `--bounding-set=${rights}`, `--inh-caps=${rights}`, '--'];
  const { code } = await execute('sh', ['-c', '"$@"', '-', ...drop, 'true']).catch(() => ({ code: 1 }));
  return code === 0 ? drop : undefined;
}

t.test('permissions that forbid are told', async (t) => {
  const prefix = await boundByPermissions();
  if (prefix === undefined) {
    t.comment('nothing here takes the rights of root away');
    return;
  }
  const dir = t.testdir({ data: { allowed: 'x', forbidden: 'y', closed: { inside: 'z' } } });
  const { data, database } = place(dir);
  await execute('chmod', ['000', join(data, 'forbidden'), join(data, 'closed')]);
  const args = [...prefix, process.execPath, ENTRY, 'ingest', data, '--client', 'c', '--database', database, '--json'];
  const { code, stdout, stderr } = await execute('env', args);
  await execute('chmod', ['700', join(data, 'closed')]);
  t.equal(code, 1);
  t.match(JSON.parse(stdout), { files: 1, saved: 1 });
  const message = 'permission denied (EACCES)';
  t.same(JSON.parse(stdout).failed, [
    { path: join(data, 'forbidden'), message },
    { path: join(data, 'closed'), message },
  ]);
  t.match(stderr, `error: ${join(data, 'closed')}: permission denied (EACCES)\n`);
});

t.test('a client is made with the quota that was asked for, and keeps it', async (t) => {
  const { data, report, ingest, rows } = place(t.testdir({ data: { big: 'x'.repeat(2048), small: 'y' } }));
  const full = await report('--quota', '1KiB');
  t.match(full, {
    files: 1,
    saved: 1,
    bytes: 1,
    failed: [{ path: join(data, 'big'), message: /^2048 bytes do not fit/ }],
  });
  const again = await ingest('--quota', 'unlimited');
  t.match(again, {
    code: 1,
    stderr:
      /^client c already exists; its quota was not changed\nerror: .*big: 2\.0 KiB do not fit: 1 B of 1\.0 KiB are used\./,
  });
  t.same(await rows('SELECT QuotaBytes FROM client_quotas'), [{ QuotaBytes: 1024 }]);
  const unlimited = place(t.testdir({ data: { big: 'x' } }));
  await unlimited.report();
  t.same(await unlimited.rows('SELECT QuotaBytes FROM client_quotas'), [{ QuotaBytes: Number.MAX_SAFE_INTEGER }]);
});

t.test('a folder that is not there makes no catalogue', async (t) => {
  const dir = t.testdir();
  const result = await cli(['ingest', 'none', '--client', 'c', '--database', 'c.db'], { cwd: dir });
  t.match(result, { code: 1, stdout: '', stderr: /none cannot be read: no such file or directory \(ENOENT\)\. Check/ });
  await t.rejects(stat(join(dir, 'c.db')));
});

t.test('a signal stops it cleanly: what is counted is saved, and the same command goes on', async (t) => {
  const files = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`${1000 + index}`, `${index}`]));
  const { data, database, rows, report } = place(t.testdir({ data: files }));
  // So long that reading it cannot have ended when the signal comes; it takes no room on the disk.
  await writeFile(join(data, 'z'), '');
  await truncate(join(data, 'z'), 2 ** 42);
  const args = [ENTRY, 'ingest', data, '--client', 'c', '--database', database, '--json', '--log-level', 'debug'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment() });
  const { promise: underWay, resolve: isUnderWay } = Promise.withResolvers<void>();
  createInterface({ input: child.stderr }).on('line', (line) => line.includes('"progress"') && isUnderWay());
  void underWay.then(() => child.kill('SIGINT'));
  const { code, stdout, stderr } = await finished(child);
  t.equal(code, 130);
  t.match(stderr, /\nstopped early: the counted files were saved; run the same command to continue\n$/);
  const { saved, failed } = JSON.parse(stdout);
  t.ok(saved >= 256 && saved <= 600, `${saved} files were saved before`);
  t.same(failed, []);
  t.same(await rows('SELECT count(*) AS n FROM files'), [{ n: saved }]);
  t.match(await cli(['health', '--full', '--database', database]), { code: 0 });
  await rm(join(data, 'z'));
  t.match(await report(), { files: 600, saved: 600 - saved, unchanged: saved });
});

t.test('a bar is for terminals only', async (t) => {
  const dir = t.testdir({ data: { a: 'x', b: 'y' } });
  const { ingest, data, database } = place(dir);
  const first = await ingest();
  t.match(first, { code: 0, stdout: /^2 files catalogued/ });
  t.equal(
    first.stderr,
    `client c is new\n${database} is a new catalogue\n`,
    'a mistyped name is seen by its being new',
  );
  if (!(await execute('sh', ['-c', 'script --version'])).stdout.includes('util-linux')) {
    t.comment('no `script` here to pretend a terminal with');
    return;
  }
  const onTerminal = (env: NodeJS.ProcessEnv) => {
    const command = `'${process.execPath}' '${ENTRY}' ingest '${data}' --client c --database '${database}'`;
    return execute('script', ['--quiet', '--return', '--command', command, '/dev/null'], { env });
  };
  const shown = await onTerminal({ TERM: 'xterm' });
  t.match(shown.stdout, /[█░]{30} \d+% {2}\d of \d files {2}\d B read/);
  t.match(shown, { code: 0, stdout: /2 files catalogued, 2 B: 0 new or changed, 2 unchanged\r\n$/ });
  t.notMatch((await onTerminal({ TERM: 'dumb' })).stdout, '█');
});

t.test('the start catalogues a folder, twice, and what it says to try works', async (t) => {
  const dir = t.testdir({ data: { 'package.json': '{}', sub: { 'package.json': '[]', other: '' } } });
  const database = join(dir, 'data', 'demo', 'catalog.db');
  const start = new URL('../examples/start.ts', import.meta.url).pathname;
  const run = () => execute(process.execPath, [start, join(dir, 'data'), database], { cwd: dir });
  const first = await run();
  t.match(first, { code: 0, stdout: /\n3 files catalogued, 4 B: 3 new or changed, 0 unchanged\nleft out: 3 files of/ });
  t.match(first.stdout, 'checked: the folder holds 3 regular files, and every one is in the catalogue\n');
  await writeFile(join(dir, 'data', 'sub', 'other'), 'changed');
  const second = await run();
  t.match(second, { code: 0, stdout: /\n3 files catalogued, 11 B: 1 new or changed, 2 unchanged\n/ });
  for (const title of ['Statistics', 'Where is package.json?', 'Is the catalogue well?']) t.match(second.stdout, title);
  const suggested = [...second.stdout.matchAll(/^ {2}npx backup-catalog (.*)$/gm)].map(([, args]) => args ?? '');
  t.equal(suggested.length, 3);
  for (const args of suggested) {
    const typed = await execute('sh', ['-c', `'${process.execPath}' '${ENTRY}' ${args}`], { cwd: dir });
    t.match(typed, { code: 0, stdout: /./ }, args);
  }
});

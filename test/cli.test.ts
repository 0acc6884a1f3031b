/** The commands that look into a catalogue: what they print, where, and the exit codes scripts rely on. */
import { existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { DatabaseManager, HEALTH_CHECKS } from '../lib/index.ts';
import { cli, cliOnTerminal, cliProcess, ENTRY, execute, type Finished, NO_TERMINAL } from './cli-run.ts';
import { makeLegacyFile } from './fixtures/legacy-file.ts';
import { sampleOf } from './fixtures/tier.ts';

t.setTimeout(300_000); // a hundred processes

const CONTENTS = { 'a.txt': 'hello', 'Äpfel.TXT': 'apples', sub: { 'a.txt': 'other', 'photo.jpg': 'no photo' } };

/** A folder with four files and a catalogue of them, made once for the tests that only read. */
const home = t.testdir({ data: CONTENTS });
const database = join(home, 'catalog.db');
const asked = (...args: string[]) => cli([...args, '--database', database]);

async function askedJson(...args: string[]) {
  const { code, stdout, stderr } = await asked(...args, '--json');
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

t.before(async () => {
  const { code } = await asked('ingest', join(home, 'data'), '--client', 'laptop');
  if (code !== 0) throw new Error('the catalogue for the tests could not be made');
});

t.test('status tells machines and people the same', async (t) => {
  const { applied, ...status } = await askedJson('status');
  const { current } = status;
  t.equal(applied.length, current + 1);
  t.same(status, {
    path: database,
    databaseBytes: (await stat(database)).size,
    current,
    latest: current,
    pending: [],
    totalClients: 1,
    totalFiles: 4,
    totalBytes: 24,
  });
  const { code, stdout, stderr } = await asked('status');
  t.equal(code, 0);
  t.equal(stderr, '');
  t.match(stdout, `Database  ${database}`);
  t.match(stdout, /Schema {4}version (\d+) of \1\nPending {3}nothing\nClients {3}1\nFiles {5}4\nBytes {5}24 B\n$/);
});

t.test('looking at a catalogue of an older server tells what is pending and changes nothing of it', async (t) => {
  const old = join(t.testdir(), 'old.db');
  makeLegacyFile(old, { version: 0, clients: [], files: [] });
  const before = await readFile(old);
  const { code, stdout, stderr } = await cli(['status', '--database', old]);
  t.equal(code, 0, stderr);
  t.match(
    stdout,
    /Schema {4}version - of \d+\nPending {3}0 \(base-schema\), 1 .*\nClients {3}-\nFiles {5}-\nBytes {5}-\n$/,
  );
  t.match(stderr, /migrate` brings the schema up to date/);
  for (const args of [['clients'], ['stats'], ['search', 'a'], ['query', 'SELECT 1'], ['health'], ['doctor']]) {
    const looked = await cli([...args, '--database', old]);
    t.match(looked, { code: 1, stdout: '', stderr: /has not been adopted yet\. Run the migrations/ }, args.join(' '));
  }
  t.same(await readFile(old), before, 'the file is as it was');
  t.match(await cli(['migrate', '--database', old]), { code: 0 });
  t.match(await cli(['status', '--database', old]), { code: 0, stdout: /Pending {3}nothing\nClients {3}0\n/ });
});

t.test('stats: the library’s own result', async (t) => {
  const stats = await askedJson('stats', '--storage-dir', home);
  const sections = ['databaseInfo', 'storageInfo', 'clientStats', 'fileStats', 'performanceInfo'];
  t.same(Object.keys(stats), sections);
  t.match(stats, {
    databaseInfo: { path: database },
    storageInfo: { path: home, exists: true },
    fileStats: { totalFiles: 4, totalBytes: 24 },
  });
});

const [TITLE, RESET] = ['\u001b[1m\u001b[4m', '\u001b[24m\u001b[22m'];

t.test('stats: plain numbers in a pipe', async (t) => {
  const { stdout, stderr } = await asked('stats', '--storage-dir', home);
  t.equal(stderr, '');
  const [catalogue = '', history = '', ...groups] = stdout.split('\n\n');
  t.match(catalogue, /^Catalogue\nDatabase +\S+\nSize +\d+\nFree in it +\d+\nWrite-ahead log +\d+\nStorage folder /);
  t.match(catalogue, /\nIts size +-\nClients +1\nActive clients +1\nFiles +4\nVerified files +0\nBytes +24$/);
  const [title, head, ...days] = history.split('\n');
  t.same([title, head], ['Last 30 days', 'DATE        TRANSFERS  FAILED  RECEIVED  STORED']);
  const figures = days.map((day) =>
    day
      .replace(/^\d{4}-\d\d-\d\d +/, '')
      .split(/ +/)
      .map(Number),
  );
  t.equal(figures.length, 30);
  t.same(figures.filter((day) => day[0] !== 0), [[4, 0, 24, 24]], 'a day of transfers'); // biome-ignore format: one line
  t.same(figures.at(-1)?.at(-1), 24, 'what is stored is told for every day since');
  t.equal(
    groups.join('\n\n'),
    `Largest clients
CLIENT  FILES  SIZE
laptop      4    24

By category
CATEGORY  FILES  SIZE
document      3    16
image         1     8

By extension
EXTENSION  FILES  SIZE
txt            3    16
jpg            1     8

By size
FROM        FILES  SIZE
0               4    24
1024            0     0
102400          0     0
1048576         0     0
10485760        0     0
104857600       0     0
1073741824      0     0
`,
  );
});

t.test('stats: bars and curves on a terminal, colour unless NO_COLOR forbids it', { skip: NO_TERMINAL }, async (t) => {
  const args = ['stats', '--database', database];
  const { stdout } = await cliOnTerminal(args, { NO_COLOR: '1' });
  const plain = stdout.replaceAll('\r\n', '\n');
  t.equal(plain.includes('\u001b'), false, 'no escape sequence');
  // Midnight may have passed since the files were catalogued.
  t.match(plain, /\nTransfers {2}▁{28}(▁█|█▁) {2}4\nFailed {5}▁{30} {2}0\nReceived {3}▁{28}(▁█|█▁) {2}24 B\n/);
  t.match(plain, /\nStored {5}▁{28}(▁█|██) {2}24 B, \+24 B\n/);
  t.match(plain, `\nFiles            4, 0.0 % of them verified\n`);
  t.match(
    plain,
    `\ndocument      3  16 B  ${'█'.repeat(16)}${'░'.repeat(8)}  66.7 %\nimage         1   8 B  ${'█'.repeat(8)}`,
  );
  t.match(plain, `\n1.0 KiB        0   0 B  ${'░'.repeat(24)}    0.0 %\n`);
  const coloured = (await cliOnTerminal(args, { TERM: 'xterm-256color' })).stdout.replaceAll('\r\n', '\n');
  t.match(coloured, `${TITLE}By category${RESET}\n`);
});

t.test('search: literal, across case and script, a page at a time', async (t) => {
  const found = await askedJson('search', 'äpfel');
  t.match(found, { total: 1, nextCursor: null, files: [{ fileName: 'Äpfel.TXT', fileSize: 6, version: 1 }] });
  const first = await askedJson('search', 'a.txt', '--limit', '1');
  t.match(first, { total: 2, files: { length: 1 } });
  const second = await askedJson('search', 'a.txt', '--limit', '1', '--cursor', first.nextCursor);
  t.match(second, { total: 2, nextCursor: null, files: { length: 1 } });
  t.not(first.files[0].id, second.files[0].id);
  const filters = ['--client', 'laptop', '--type', 'TXT', '--min-size', '5', '--max-size', '1KiB', '--sort', 'size'];
  const filtered = await askedJson('search', 'a', ...filters, '--order', 'desc', '--from', '2020-01-01');
  t.same(
    filtered.files.map(({ fileSize }: { fileSize: number }) => fileSize),
    [6, 5, 5],
  );
  for (const none of [['--verified'], ['--category', 'video'], ['--to', '2020-01-01']]) {
    t.match(await askedJson('search', 'a', ...none), { total: 0 });
  }
  const people = await asked('search', 'a.txt', '--limit', '1');
  t.match(
    people.stdout,
    /^SIZE {2}MODIFIED +CLIENT {2}ID +PATH\n {1}5 B {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}laptop {2}/,
  );
  t.equal(people.stderr, `2 files found\nthere are more rows: add --cursor ${first.nextCursor}\n`);
  t.match(await asked('search', 'nothing of this name'), { code: 0, stdout: '', stderr: '0 files found\n' });
  t.match(await cli(['search', '--database', database, '--', '-dash']), { code: 0, stderr: '0 files found\n' });
});

t.test('versions: by id, by name, by path, and never by guess', async (t) => {
  const { files } = await askedJson('search', 'photo.jpg');
  const [{ id }] = files;
  const byId = await askedJson('versions', id);
  t.match(byId, [{ fileId: id, versionNumber: 1, isActive: true, fileSize: 8 }]);
  t.same(await askedJson('versions', 'photo.jpg', '--client', 'laptop'), byId);
  t.same(await askedJson('versions', 'photo.jpg', '--client', 'laptop', '--path', 'sub/photo.jpg'), byId);
  t.same(await askedJson('versions', 'sub/photo.jpg', '--client', 'laptop'), byId);
  const [{ pathName }] = byId;
  for (const name of ['photo.jpg', 'sub/photo.jpg', pathName]) t.same(await askedJson('versions', name), byId, name);
  t.match((await asked('versions', id)).stdout, /^VERSION {5}SIZE .*\n {6}1 {2}\* {3}8 B .* [0-9a-f]{8} {2}no /);
  const several = await asked('versions', 'a.txt', '--client', 'laptop');
  t.match(several, {
    code: 1,
    stderr: /several files are called a\.txt: (a\.txt, sub\/a\.txt|sub\/a\.txt, a\.txt)\. Choose/,
  });
  const misses: [string[], RegExp][] = [
    [['a.txt'], /several files are called a\.txt: .*a\.txt of laptop.* Choose one with --client and --path\./],
    [['photo'], /a file called photo does not exist/],
    [['nowhere/photo.jpg', '--client', 'laptop'], /a file called nowhere\/photo\.jpg of this client does not exist/],
    [['photo.jpg', '--client', 'nobody'], /client nobody does not exist/],
    [['photo', '--client', 'laptop'], /a file called photo of this client does not exist/],
    [['photo.jpg', '--client', 'laptop', '--path', 'x'], /with the original path x does not exist/],
    [['0'.repeat(32)], /a file called 0{32} does not exist/],
  ];
  for (const [args, stderr] of misses) t.match(await asked('versions', ...args), { code: 1, stdout: '', stderr });
});

t.test('versions: by the path of a content that is called otherwise than its file', async (t) => {
  const path = join(t.testdir(), 'server.db');
  const db = await DatabaseManager.open({ database: path });
  const { id: clientId } = await db.clients.save({ name: 'desk' });
  const names = ['one.txt', 'two.txt', 'content.md', 'three.txt'];
  const ids: string[] = [];
  for (const [place, fileName] of names.entries()) {
    const originalPath = `C:\\docs\\${fileName}`;
    const pathName = `store/${Math.min(place, 2)}/content`;
    ids.push((await db.files.save({ clientId, fileName, originalPath, pathName, fileSize: 1 })).file.id);
  }
  await db.close();
  const ask = (name: string) => cli(['versions', name, '--json', '--database', path]);
  for (const [place, name] of ['store/0/content', 'store/1/content', 'C:\\docs\\content.md'].entries()) {
    t.match(JSON.parse((await ask(name)).stdout), [{ fileId: ids[place] }], name);
  }
  t.match(await ask('store/2/content'), { code: 1, stdout: '', stderr: /several files .* Give the id/ });
});

t.test('clients and categories', async (t) => {
  const page = await askedJson('clients');
  t.match(page, { nextCursor: null, clients: [{ name: 'laptop', publicKey: null, hasKey: false }] });
  t.match((await asked('clients')).stdout, /^NAME +LAST SEEN +KEY {2}ID\nlaptop {2}\d{4}-.* no {3}[0-9a-f]{32}\n$/);
  const categories = await askedJson('categories');
  t.match(categories[0], { name: 'archive', description: String, color: '#007acc', extensions: Array });
  t.match((await asked('categories')).stdout, /\narchive +#007acc /);
});

t.test('query: rows of a reading statement, binary values in hex', async (t) => {
  const rows = await askedJson('query', "SELECT x'00ff' AS blob, 1.5 AS real, NULL AS none, 'a' AS text");
  t.same(rows, [{ blob: '00ff', real: 1.5, none: null, text: 'a' }]);
  const table = await asked('query', "SELECT x'00ff' AS b, 7 AS number, 'two\nlines\u001b[31m' AS t, NULL AS n");
  t.equal(table.stdout, `b     number  ${'t'.padEnd(20)}n\n00ff       7  two\\nlines\\x1b[31m  NULL\n`);
  t.equal(table.stderr, '1 row\n');
  const wide = await asked('query', "SELECT '漢字' AS w, 1 AS n UNION ALL SELECT 'é', 2");
  t.equal(wide.stdout, 'w     n\n漢字  1\né     2\n');
  t.match(await asked('query', 'SELECT 1 WHERE 0'), { code: 0, stdout: '', stderr: '0 rows\n' });
  t.match(await asked('query', 'DELETE FROM files'), {
    code: 1,
    stdout: '',
    stderr: 'error: `query` only reads, but this statement writes. Nothing was changed.\n',
  });
  t.match(await asked('query', 'SELEC 1'), { code: 1, stdout: '', stderr: /syntax error .*Correct the statement/ });
  t.match(await askedJson('query', 'SELECT count(*) AS n FROM files'), [{ n: 4 }]);
});

t.test('health: exit code 1 is for what is broken', async (t) => {
  const report = await askedJson('health');
  const keys = [
    'status',
    'databaseHealthy',
    'connectionPoolOk',
    'databaseSizeMb',
    'totalClients',
    'totalFiles',
    'issues',
    'checks',
  ];
  t.same(Object.keys(report), keys);
  t.same(Object.keys(report.checks), Object.keys(HEALTH_CHECKS));
  t.match(report.checks.database, { status: 'pass', observedUnit: 'bytes', output: null });
  t.match(report, { databaseHealthy: true, connectionPoolOk: true, totalClients: 1, totalFiles: 4 });
  t.match(await asked('health', '--full'), { code: 0, stdout: /^Status +(pass|warn)\n/ });
});

t.test('health: a damaged page is found by --full, a damaged head at once', async (t) => {
  const dir = t.testdir({ data: CONTENTS });
  const damaged = join(dir, 'damaged.db');
  const ask = (...args: string[]) => cli(['health', '--database', damaged, ...args]);
  await cli(['ingest', join(dir, 'data'), '--client', 'a', '--database', damaged]);
  const rootPage = "SELECT rootpage AS page FROM sqlite_schema WHERE name = 'idx_files_filename'";
  const [{ page }] = JSON.parse((await cli(['query', rootPage, '--json', '--database', damaged])).stdout);
  const file = await open(damaged, 'r+');
  await file.write(Buffer.alloc(8), 0, 8, (page - 1) * 4096);
  await file.close();
  const full = await ask('--full', '--json');
  t.equal(full.code, 1);
  t.match(JSON.parse(full.stdout), { status: 'fail', databaseHealthy: false, issues: [{ severity: 'fail' }] });
  t.match(await ask('--full'), { code: 1, stdout: /\nfail: / });
  await writeFile(damaged, Buffer.alloc(8192, 'x'));
  const unopened = await ask('--json');
  t.match(unopened, { code: 1, stderr: /^error: / });
  t.match(JSON.parse(unopened.stdout), {
    status: 'fail',
    totalFiles: null,
    checks: {},
    issues: [{ code: /^CATALOG_/ }],
  });
  t.match(await ask(), { code: 1, stdout: '', stderr: /^error: / });
});

t.test('health: a file with a second name is read and fails, with commands that can be typed', async (t) => {
  const dir = t.testdir({ data: CONTENTS, 'it is': {} });
  const [path, other] = [join(dir, 'it is', 'x.db'), join(dir, 'other.db')];
  const here = ['--database', path];
  await cli(['ingest', join(dir, 'data'), '--client', 'a', ...here]);
  await link(path, other);
  const { code, stdout, stderr } = await cli(['health', ...here]);
  t.same([code, stderr], [1, '']);
  t.match(stdout, /^Status +fail\nDatabase healthy +no\n(?:.*\n)*Files +4\n(?:.*\n)*database +fail /);
  t.notMatch(stdout, /readOnly/);
  const advice = stdout.split('\n').find((line) => line.startsWith('fail: ')) ?? '';
  const [find = '', separate = ''] = [...advice.matchAll(/`([^`]*)`/g)].map(([, command]) => command);
  const found = await execute('sh', ['-c', find.replace(/^find \S+/, `find ${dir}`)]); // not the whole disk
  t.same(found.stdout.trim().split('\n').sort(), [path, other].sort(), find);
  const report = await cli(['health', '--json', ...here]);
  t.match(JSON.parse(report.stdout), {
    ...{ status: 'fail', databaseHealthy: false, totalFiles: 4, checks: { database: { status: 'fail' } } },
    issues: [{ code: 'HEALTH_SECOND_NAME', severity: 'fail' }],
  });
  const refused = await cli(['quota', 'a', '--set', '5', ...here]);
  t.match(refused, { code: 1, stderr: /lost to the other\. Stop every program .*\/own\.db' '.*\/x\.db'`\.\n$/ });
  t.match(await execute('sh', ['-c', separate]), { code: 0 }, separate);
  t.match(await cli(['health', ...here]), { code: 0 });
});

t.test('a reading command leaves nothing behind', async (t) => {
  const before = await stat(database);
  await asked('search', 'a');
  t.equal((await stat(database)).size, before.size);
  t.notOk(existsSync(`${database}-wal`));
  const dir = t.testdir();
  await mkdir(join(dir, 'folder'));
  t.match(await cli(['status', '--database', join(dir, 'folder')]), {
    code: 2,
    stderr: /--database: got ".*folder"; accepted: the path of a file/,
  });
  await rm(join(dir, 'folder'), { recursive: true });
});

t.test('an empty file is told, and stays empty', async (t) => {
  const empty = join(t.testdir({ 'empty.db': '' }), 'empty.db');
  const commands = [
    ...[
      ['status'],
      ['stats'],
      ['health'],
      ['search', 'a'],
      ['doctor'],
      ['backups'],
      ['clients'],
      ['query', 'SELECT 1'],
    ],
    ...[['versions', '0'.repeat(32)], ['check'], ['migrate', '--plan']],
  ];
  const stderr = `error: ${empty} is an empty file. \`ingest\` or \`migrate\` turns it into a catalogue.\n`;
  const results = await Promise.all(commands.map((args) => cli([...args, '--database', empty])));
  for (const [place, result] of results.entries()) {
    t.same(result, { code: 1, stdout: '', stderr }, `${commands[place]?.join(' ')}`);
  }
  t.equal((await stat(empty)).size, 0);
  t.match(await cli(['migrate', '--database', empty]), { code: 0 });
});

t.test('what may not be written is read, what may not be read is told with its path', async (t) => {
  // Modes mean nothing to root.
  const as = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const folder = t.testdir();
  const path = join(folder, 'copy.db');
  t.match(await asked('backup', '--output', path), { code: 0 });
  await rm(`${path}.manifest.json`); // else it is a backup, which is never written
  const ask = (...args: string[]) => cliProcess([...args, '--database', path], as);
  await chmod(path, 0o444);
  await chmod(folder, 0o555);
  t.match(await ask('status'), { code: 0, stdout: /\nFiles {5}4\n/ });
  const { code, stderr } = await ask('quota', 'laptop', '--set', '1G');
  t.equal(code, 1);
  t.match(stderr, `error: ${path} cannot be opened: the folder ${folder} cannot be written`);
  await chmod(path, 0o000);
  t.match(await ask('stats'), {
    code: 1,
    stdout: '',
    stderr: `error: ${path} cannot be opened: the file cannot be read`,
  });
  await chmod(folder, 0o755);
});

/** A closed catalogue of its own, with what killed processes left beside it and among its backups. */
async function untidyCatalogue(folder: string): Promise<string> {
  const path = join(folder, 'catalog.db');
  t.match(await asked('backup', '--output', path), { code: 0 });
  await rm(`${path}.manifest.json`); // else it is a backup, which is never written
  await (await DatabaseManager.open({ database: path })).close(); // which has a write-ahead log from then on
  await mkdir(join(folder, 'backups'));
  const longAgo = new Date('2020-01-01');
  for (const left of [join('backups', 'catalog-1.db.0123abcd-1.partial'), 'catalog.db.0123abcd-1.partial']) {
    await writeFile(join(folder, left), 'unfinished');
    await utimes(join(folder, left), longAgo, longAgo);
  }
  return path;
}

const namesIn = async (folder: string) => (await readdir(folder, { recursive: true })).sort();

const LOOKS = [
  ...[['status'], ['stats'], ['search', 'a'], ['clients'], ['categories'], ['quota'], ['query', 'SELECT 1']],
  ...[['versions', 'photo.jpg'], ['backups'], ['backups', '--verify'], ['prune', '--keep-last', '1', '--dry-run']],
  ...[
    ['migrate', '--plan'],
    ['rollback', '--to', '5', '--plan'],
  ],
];
const CHECKS = [['health'], ['check'], ['quota', '--audit']];

t.test('a command that only looks tidies nothing, changes nothing and logs nothing', async (t) => {
  const folder = t.testdir();
  const path = await untidyCatalogue(folder);
  const [names, bytes] = [await namesIn(folder), await readFile(path)];
  for (const args of [...LOOKS, ...CHECKS]) {
    const { code, stderr } = await cli([...args, '--database', path]);
    t.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    t.notMatch(stderr, '{', 'no line of the log');
    t.same(await namesIn(folder), names, args.join(' '));
    if (LOOKS.includes(args)) t.same((await readFile(path)).equals(bytes), true, args.join(' '));
  }
  t.match(await cli(['status', '--database', path, '--log-level', 'info']), {
    code: 0,
    stderr: /"msg":"database open"/,
  });
  t.match(await cli(['quota', 'laptop', '--set', '1G', '--database', path]), { code: 0 });
  t.same(await namesIn(folder), names, 'nor does one that changes a row');
});

t.test(
  'a command that only looks needs no right to write; one that checks keeps its verdict to itself then',
  async (t) => {
    const folder = t.testdir();
    const path = await untidyCatalogue(folder);
    const commands = sampleOf([['status'], ['search', 'a'], ['check'], ['backups'], ['quota', '--audit']], 3);
    const shown = async (run: (args: string[]) => Promise<Finished>) => {
      const results: Finished[] = [];
      for (const args of commands) {
        const result = await run([...args, '--database', path]);
        results.push({ ...result, stdout: result.stdout.replace(/^(?:Took|Free|Time, about) .*$/gm, '') });
      }
      return results;
    };
    const expected = await shown(cli);
    const names = await namesIn(folder);
    await chmod(path, 0o444);
    await chmod(folder, 0o555);
    // Modes mean nothing to root; a preload and coverage would write where they may not.
    const as = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const bare = ['-u', 'NODE_OPTIONS', '-u', 'NODE_V8_COVERAGE', process.execPath, ENTRY];
    const found = await shown((args) => execute('env', [...bare, ...args], as));
    for (const [place, args] of commands.entries()) t.same(found[place], expected[place], args.join(' '));
    await chmod(folder, 0o755);
    t.same(await namesIn(folder), names);
  },
);

t.test('what a killed process left half-written is taken back by a command that looks as well', async (t) => {
  const path = join(t.testdir(), 'old.db');
  t.match(await asked('backup', '--output', path), { code: 0 });
  await rm(`${path}.manifest.json`);
  // In the middle of a transaction, the file changed, and its journal the way back; a copy is what a kill would leave.
  const old = new Database(path);
  old.pragma('cache_size = 1');
  old.exec('BEGIN; CREATE TABLE large (text); ');
  for (let row = 0; row < 200; row += 1) old.exec('INSERT INTO large VALUES (hex(zeroblob(4000)))');
  await copyFile(path, `${path}.killed`);
  await copyFile(`${path}-journal`, `${path}.killed-journal`);
  old.close();
  t.match(await cli(['status', '--database', `${path}.killed`]), { code: 0, stdout: /\nFiles {5}4\n/ });
});

t.test('a backup is known as one by every name', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'backup.db');
  t.match(await asked('backup', '--output', path), { code: 0 });
  await symlink(path, join(folder, 'link.db'));
  const refusal = { code: 1, stdout: '', stderr: /link\.db is a backup, and writing to it would invalidate it/ };
  t.match(await cli(['quota', 'laptop', '--set', '1G', '--database', join(folder, 'link.db')]), refusal);
  t.match(await cli(['status', '--database', join(folder, 'link.db')]), { code: 0, stdout: /\nFiles {5}4\n/ });
});

t.test('check: exit code 1 for a damaged leaf page, which opening does not meet', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'catalog.db');
  const db = await DatabaseManager.open({ database: path });
  const { id: clientId } = await db.clients.save({ name: 'laptop' });
  const names = Array.from({ length: 500 }, (_, place) => `file-${place}`);
  await db.files.saveMany(names.map((fileName) => ({ clientId, fileName, pathName: `/${fileName}`, fileSize: 1 })));
  const leaf = "SELECT pageno FROM dbstat WHERE name = 'files' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1 OFFSET 3";
  const [page] = await db.query(leaf);
  await db.close();
  const ask = (...args: string[]) => cli(['check', '--database', path, ...args]);
  t.match(await ask(), { code: 0, stdout: /^File +sound\n/ });
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(2, 0xff), 0, 2, (Number(page?.['pageno']) - 1) * 4096 + 3); // the number of its cells
  await file.close();
  t.match(await cli(['status', '--database', path]), { code: 0, stdout: /\nFiles {5}500\n/ });
  const routine = await ask();
  t.match(routine, { code: 1, stdout: /^File +damaged\n[\s\S]*\nfail: .*/ });
  t.match(routine.stderr, 'Stop writing, keep the file unchanged and restore the newest verified backup');
  t.match(await ask('--full'), { code: 1, stdout: /^File +damaged\n/ });
  const { code, stdout } = await ask('--json');
  t.equal(code, 1);
  t.match(JSON.parse(stdout), { ok: false, full: false, problems: Array });
  // It was kept, by those that could write it, and is told by health from then on.
  t.match(await cli(['health', '--database', path]), { code: 1, stdout: /fail: the last check found: / });
});

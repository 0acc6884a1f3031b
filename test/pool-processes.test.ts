/** What only several processes show: two that write one file, one that is killed, one that is left to end by itself. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { DatabaseManager } from '../lib/index.ts';
import { runToEnd } from './fixtures/process.ts';
import { byTier, sampleOf } from './fixtures/tier.ts';

t.setTimeout(300_000);

const SAVER = fileURLToPath(new URL('./fixtures/saver.ts', import.meta.url));
const STUCK = fileURLToPath(new URL('./fixtures/stuck.ts', import.meta.url));
const IDLER = fileURLToPath(new URL('./fixtures/idler.ts', import.meta.url));

const startSaver = (...args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [SAVER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });

/** The lines a process prints until it ends. */
async function linesOf(child: ChildProcess, onLine: (count: number) => void = () => undefined): Promise<string[]> {
  const lines: string[] = [];
  const ended = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout ?? process.stdin })) {
    lines.push(line);
    onLine(lines.length);
  }
  await ended;
  return lines;
}

const openCatalogue = async (t: Test, database: string) => {
  const db = await DatabaseManager.open({ database, defaultQuotaBytes: null, poolSize: 2 });
  t.teardown(() => db.close());
  return db;
};

/** Whether SQLite finds the file whole. */
const problems = async (db: DatabaseManager) => [
  ...(await db.query('PRAGMA integrity_check')),
  ...(await db.query('PRAGMA foreign_key_check')),
];

/** What every version of every file was saved as. */
async function savedPaths(db: DatabaseManager): Promise<string[]> {
  const rows = await db.query('SELECT PathName AS "pathName" FROM file_versions');
  return rows.map(({ pathName }) => String(pathName));
}

t.test('four processes open one new file at once and save into it: nothing is lost, doubled or refused', async (t) => {
  const database = join(t.testdir(), 'catalogue.db');
  const [names, each] = [['anna', 'berta', 'carla', 'dora'], byTier(100, 400)];
  const printed = await Promise.all(names.map((name) => linesOf(startSaver(database, name, String(each), '120000'))));
  const acknowledged = printed.flat().map((line) => line.split(' ')[1]);
  const expected = names.flatMap((name) => Array.from({ length: each }, (_, i) => `${name}/${i}`)).toSorted();
  t.same(acknowledged.toSorted(), expected, 'every save was acknowledged, none as busy');
  const db = await openCatalogue(t, database);
  t.same((await savedPaths(db)).toSorted(), expected, 'and stored exactly once');
  const client = await db.clients.getByName('shared');
  const shared = await db.files.find(client?.id ?? '', 'shared.txt');
  const numbers = (await db.versions.list(shared?.id ?? '')).map(({ versionNumber }) => versionNumber);
  t.same(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: each }, (_, i) => i + 1),
    'versions met in order',
  );
  t.equal(await db.files.count(), names.length * each * 0.75 + 1);
  t.match(await db.quotas.audit(), { checked: 1, driftBytes: 0 });
  t.same(await problems(db), [{ integrity_check: 'ok' }]);
});

t.test('a process that keeps the write lock longer than another waits makes it busy, and no longer', async (t) => {
  const database = join(t.testdir(), 'catalogue.db');
  const db = await openCatalogue(t, database);
  await db.clients.save({ name: 'shared' });
  const refused = await db.transaction(() => linesOf(startSaver(database, 'other', '3', '20')));
  t.same(refused, Array(3).fill('failed CATALOG_BUSY'));
  t.equal(await db.files.count(), 0);
  t.equal((await linesOf(startSaver(database, 'other', '3'))).length, 3);
  t.equal((await savedPaths(db)).length, 3);
});

t.test('whenever a process is killed, every save it acknowledged is there, and the file is whole', async (t) => {
  const database = join(t.testdir(), 'catalogue.db');
  const acknowledged: string[] = [];
  for (const [round, killAt] of sampleOf([1, 2, 17, 64, 150, 400, 401], 3).entries()) {
    const child = startSaver(database, `round-${round}`);
    const lines = await linesOf(child, (count) => count === killAt && child.kill('SIGKILL'));
    t.equal(child.signalCode, 'SIGKILL');
    acknowledged.push(...lines.filter((line) => /^[0-9a-f]{32} \S+\/\d+$/.test(line)));
    t.ok(lines.length >= killAt, `killed at save ${killAt}`);
    const db = await openCatalogue(t, database);
    const paths = await savedPaths(db);
    const missing = acknowledged.filter((line) => !paths.includes(line.split(' ')[1] ?? ''));
    t.same(missing, []);
    t.equal(new Set(paths).size, paths.length, 'no version is there twice');
    const ids = new Set(acknowledged.map((line) => line.split(' ')[0] ?? ''));
    const files = await Promise.all([...ids].map((id) => db.files.get(id)));
    t.notOk(files.includes(null), 'every acknowledged file is there');
    t.match(await db.quotas.audit(), { driftBytes: 0, clients: [] });
    t.same(await problems(db), [{ integrity_check: 'ok' }]);
    await db.close();
  }
});

t.test('an engine that is not closed does not keep its process alive', async (t) => {
  const ways = {
    unused: 'done',
    idle: 'done',
    'failed to open': 'no module done',
    'closed in spite of a transaction': 'CATALOG_CLOSED done',
  };
  for (const [way, stdout] of Object.entries(ways)) {
    const database = join(t.testdir(), 'catalogue.db');
    const ended = await runToEnd(process.execPath, [IDLER, way, database], { cwd: t.testdirName });
    t.same(ended, { code: 0, signal: null, stdout, stderr: '' }, way);
  }
});

t.test('a process ends with its exit code although a thread of it never returns', async (t) => {
  const refused = { read: 'CATALOG_CLOSED', write: 'CATALOG_INDETERMINATE' };
  const codes = { exit: 3, end: 4 };
  for (const [kind, refusal] of Object.entries(refused)) {
    for (const [way, code] of Object.entries(codes)) {
      const database = join(t.testdir(), 'catalogue.db');
      const ended = await runToEnd(process.execPath, [STUCK, database, kind, way], { cwd: t.testdirName });
      const stdout = `${refusal}, leaving with ${code}`;
      t.same(ended, { code, signal: null, stdout, stderr: '' }, `${kind}, ${way}`);
    }
  }
});

t.test('a catalogue opens in code given on the command line', async (t) => {
  const library = new URL('../lib/index.ts', import.meta.url).href;
  const code = `import { DatabaseManager } from '${library}';
    const db = await DatabaseManager.open();
    console.log(await db.clients.count());
    await db.close();`;
  const ended = await runToEnd(process.execPath, ['--input-type=module', '--eval', code], { cwd: t.testdir() });
  t.same(ended, { code: 0, signal: null, stdout: '0\n', stderr: '' });
});

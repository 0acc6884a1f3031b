/** Files that cannot be written where they lie: what reads them, what it leaves, and what happens when others write. */
import type { SpawnOptions } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { DatabaseManager } from '../lib/index.ts';
import { prepareDatabaseFile } from '../lib/pool/database-file.ts';
import { SqliteEngine } from '../lib/pool/sqlite-engine.ts';
import { execute } from './cli-run.ts';
import { texts } from './fixtures/conformance/setting.ts';
import { engineOptions, openEngineOn } from './fixtures/open-engine.ts';
import * as p from './fixtures/procedures.ts';
import { readEverything } from './fixtures/reading.ts';
import * as q from './fixtures/sqlite-procedures.ts';

t.setTimeout(300_000);

const READER = new URL('./fixtures/reader.ts', import.meta.url).pathname;

/** Modes mean nothing to root: a user who may write nothing here. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** A closed catalogue of one client and three files, one of them in two versions. */
async function closedCatalogue(t: Test): Promise<string> {
  const database = join(t.testdir(), 'catalogue', 'catalog.db');
  await mkdir(dirname(database));
  await using db = await DatabaseManager.open({ database });
  const { id: clientId } = await db.clients.save({ name: 'laptop', publicKey: new Uint8Array([1, 2]) });
  for (const [place, fileName] of ['a.txt', 'b.txt', 'c.jpg', 'a.txt'].entries()) {
    await db.files.save({ clientId, fileName, pathName: `/contents/${place}`, fileSize: place });
  }
  return database;
}

/** Has a process that may write nothing read a catalogue. */
async function readAsNobody(database: string, options: SpawnOptions = NOBODY): Promise<unknown> {
  // Without the preload and the coverage, which would write where they may not.
  const args = ['-u', 'NODE_OPTIONS', '-u', 'NODE_V8_COVERAGE', process.execPath, READER, database];
  const { code, stdout, stderr } = await execute('env', args, options);
  t.same([code, stderr], [0, '']);
  return JSON.parse(stdout);
}

/** What is seen of the file of a catalogue and of its folder. */
const traceOf = async (database: string) => ({
  names: (await readdir(dirname(database))).sort(),
  bytes: await readFile(database),
});

/** What a catalogue holds, read where everything may be written. */
async function expectedOf(database: string): Promise<unknown> {
  await using db = await DatabaseManager.open({ database });
  return JSON.parse(JSON.stringify(await readEverything(db)));
}

t.test('a closed catalogue that may not be written is read like any, and nothing is left beside it', async (t) => {
  const database = await closedCatalogue(t);
  await chmod(database, 0o644);
  const expected = await expectedOf(database);
  const before = await traceOf(database);
  t.same(before.names, ['catalog.db']);
  // Where a log could be made, its owner would not be who may write the file.
  for (const mode of [0o555, 0o777]) {
    await chmod(dirname(database), mode);
    t.same(await readAsNobody(database), expected);
    t.same(await traceOf(database), before, mode.toString(8));
  }
  await chmod(dirname(database), 0o755);
});

t.test('a closed catalogue on a read-only mount is read like any', async (t) => {
  const database = await closedCatalogue(t);
  const expected = await expectedOf(database);
  const mounted = join(t.testdirName, 'mounted');
  await mkdir(mounted);
  const { code } = await execute('mount', ['--bind', '-o', 'ro', dirname(database), mounted]).catch(() => ({
    code: 1,
  }));
  if (code !== 0) {
    t.comment('nothing can be mounted here');
    return;
  }
  try {
    const path = join(mounted, 'catalog.db');
    t.same(await readAsNobody(path, {}), expected);
    t.same((await readdir(mounted)).sort(), ['catalog.db']);
    await using closed = await DatabaseManager.open({ database: path, readOnly: true });
    const copy = join(t.testdirName, 'copies', 'copy.db');
    await mkdir(dirname(copy));
    await t.rejects(closed.backups.create({ path: copy }), { code: 'CATALOG_IO', hint: /copy the file itself/ });
    t.same(await readdir(dirname(copy)), []);
    // A server that writes on the other side of the mount is read along.
    const server = await DatabaseManager.open({ database });
    const client = await server.clients.save({ name: 'new' });
    const reader = await DatabaseManager.open({ database: path, readOnly: true });
    t.same(await reader.clients.getByName('new'), client);
    await server.clients.rename(client.id, 'newer');
    t.match(await reader.clients.getByName('newer'), { id: client.id });
    await reader.close();
    await server.close();
  } finally {
    await execute('umount', [mounted]);
  }
});

t.test('changes that are in a log alone are told, where SQLite cannot take them in, and not passed over', async (t) => {
  const database = await closedCatalogue(t);
  const crashed = join(t.testdirName, 'crashed');
  const server = await DatabaseManager.open({ database });
  await server.clients.save({ name: 'late' });
  await cp(dirname(database), crashed, { recursive: true });
  await server.close();
  await rm(join(crashed, 'catalog.db-shm'));
  for (const name of await readdir(crashed)) await chmod(join(crashed, name), 0o644);
  await chmod(crashed, 0o555);
  const path = join(crashed, 'catalog.db');
  const before = await traceOf(path);
  t.match(await readAsNobody(path), {
    code: 'CATALOG_IO',
    message: `${path} cannot be opened: the folder ${crashed} cannot be written, and SQLite keeps its log there`,
    hint: /log holds changes of a killed process: .* copy the file and its log to a writable folder/,
  });
  t.same(await traceOf(path), before);
  await chmod(crashed, 0o755);
  const reader = await DatabaseManager.open({ database: path, readOnly: true });
  t.match(await reader.clients.getByName('late'), { name: 'late' }, 'where it may write, it reads them');
  await reader.close();
  t.same((await traceOf(path)).bytes, before.bytes, 'and leaves them where they are');
});

t.test('reading leaves no log beside a closed file, and that of others in peace', async (t) => {
  const database = await closedCatalogue(t);
  const before = await traceOf(database);
  await (await DatabaseManager.open({ database, readOnly: true })).close();
  t.same(await traceOf(database), before);
  const server = await DatabaseManager.open({ database });
  await (await DatabaseManager.open({ database, readOnly: true })).close();
  t.same((await traceOf(database)).names, ['catalog.db', 'catalog.db-shm', 'catalog.db-wal']);
  await server.clients.save({ name: 'still there' });
  await server.close();
  t.same((await traceOf(database)).names, ['catalog.db']);
});

/** An engine that reads a file as one that nobody writes. */
async function immutableEngine(t: Test, database: string): Promise<SqliteEngine> {
  const engine = await SqliteEngine.open(engineOptions(database, { readOnly: true, immutable: true, poolSize: 2 }));
  t.teardown(() => engine.close());
  return engine;
}

async function notesFile(t: Test): Promise<string> {
  const database = join(t.testdir(), 'notes.db');
  const writer = await openEngineOn(database);
  await writer.run(p.createTables, null);
  await writer.run(p.addNote, { id: 1, text: 'first' });
  await writer.close();
  return database;
}

const overtaken = {
  code: 'CATALOG_BUSY',
  retryable: true,
  message: /notes\.db was written while it was being read without locks/,
};

t.test('nothing is said of a file that somebody writes while it is read as one that nobody writes', async (t) => {
  const database = await notesFile(t);
  const reader = await immutableEngine(t, database);
  t.same(await texts(reader), ['first']);
  const writer = await openEngineOn(database);
  t.same(await texts(reader), ['first'], 'it is open elsewhere, and as it was');
  await writer.run(p.addNote, { id: 2, text: 'second' });
  await t.rejects(reader.run(p.listNotes, null), overtaken, 'a log has begun');
  t.same(await texts(reader), ['first', 'second'], 'it reads beside the writer then');
  await writer.run(p.addNote, { id: 3, text: 'third' });
  t.same(await texts(reader), ['first', 'second', 'third']);
  await reader.close(); // first: it may not take the log into the file
  await writer.close();

  const second = await immutableEngine(t, database);
  await t.rejects(
    second.transaction('read', async (transaction) => {
      t.same((await transaction.run(p.listNotes, null)).length, 3);
      const other = await openEngineOn(database);
      await other.run(p.addNote, { id: 4, text: 'fourth' });
      await other.close(); // its log is in the file by now
      return transaction.run(p.listNotes, null);
    }),
    overtaken,
  );
  t.same((await texts(second)).length, 4);
});

t.test('the process of a reader: what it is asked, its figures, its death', async (t) => {
  const reader = await immutableEngine(t, await notesFile(t));
  const bytes = new Uint8Array([0, 255]);
  const [[stored] = []] = (await reader.run(q.query, { text: 'SELECT ?, 1.5, NULL', values: [bytes] })).rows;
  t.same(stored, bytes);
  t.equal(stored?.constructor, Uint8Array, 'no Buffer');
  await t.rejects(reader.run(q.query, { text: 'SELEC' }), { code: 'CATALOG_SQL', message: /syntax error/ });
  await t.rejects(reader.run(q.query, { text: 'SELECT ?', values: [() => 1] }), {
    code: 'CATALOG_VALIDATION',
    received: 'a value that cannot be sent to a thread',
  });
  t.ok(reader.stats().statements.prepared > 0);
  const lost = { code: 'CATALOG_IO', retryable: true, message: /its changes were rolled back/ };
  await t.rejects(reader.run(q.killReader, null), lost);
  t.same(await texts(reader), ['first']);
  t.match(reader.stats().readers, { created: 2, lost: 1 });
  const gate = new SharedArrayBuffer(4);
  await t.rejects(reader.run(q.readUntil, gate), { code: 'CATALOG_VALIDATION' }, 'no memory is shared with it');
});

t.test('the signals of a terminal end no process of a reader', async (t) => {
  const reader = await immutableEngine(t, await notesFile(t));
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').map(Number);
  for (const pid of children) {
    process.kill(pid, 'SIGINT');
    process.kill(pid, 'SIGTERM');
  }
  t.same(await texts(reader), ['first']);
  t.match(reader.stats().readers, { lost: 0 });
  await reader.close();
  for (const pid of children) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'closing ends it');
});

t.test('a link that leads to no file yet: the file is made where it leads', async (t) => {
  const folder = t.testdir({ real: {}, links: {} });
  const [real, link] = [join(folder, 'real', 'catalog.db'), join(folder, 'links', 'link.db')];
  await symlink('../links/second.db', join(folder, 'links', 'link.db'));
  await symlink('../real/catalog.db', join(folder, 'links', 'second.db'));
  const missing = { code: 'CATALOG_NOT_FOUND', message: `${real} does not exist` };
  await t.rejects(DatabaseManager.open({ database: link, create: false }), missing);
  const db = await DatabaseManager.open({ database: link });
  await db.clients.save({ name: 'laptop' });
  const { path } = await db.backups.create();
  t.equal(dirname(path), join(folder, 'real', 'backups'), 'backups are beside the real file');
  await db.close();
  t.same((await readdir(join(folder, 'real'))).sort(), ['backups', 'catalog.db']);
  t.equal((await stat(real)).mode & 0o777, 0o600);
  const byName = await DatabaseManager.open({ database: real, create: false });
  t.equal((await byName.backups.list()).length, 1, 'whichever name opened it');
  await byName.close();

  await rm(real);
  const { counts } = await DatabaseManager.restore({ database: link, from: path });
  t.same(counts, { clients: 1, files: 0, versions: 0 });
  t.equal((await stat(real)).isFile(), true, 'a restore follows the link as well');
});

t.test('a link is refused for where it leads: a folder, nowhere, itself, a name of spaces', async (t) => {
  const folder = t.testdir({ inner: {} });
  const rules = { create: true, readOnly: false, allowRollbackJournal: false };
  const linked = async (target: string, name = `to-${basename(target).trim()}`) => {
    await symlink(target, join(folder, name));
    return prepareDatabaseFile(join(folder, name), rules);
  };
  await t.rejects(linked('inner'), { code: 'CATALOG_VALIDATION', accepted: 'the path of a file' });
  await t.rejects(linked('no/such.db'), {
    code: 'CATALOG_IO',
    message: `${join(folder, 'no', 'such.db')} cannot be created`,
  });
  await t.rejects(linked('itself', 'itself'), { code: 'CATALOG_IO', message: /itself cannot be read/ });
  const trimmed = { code: 'CATALOG_VALIDATION', accepted: /without NUL, lone surrogates or spaces around it/ };
  await t.rejects(linked('spaces .db '), trimmed);
  await writeFile(join(folder, 'spaces .db '), '');
  await t.rejects(prepareDatabaseFile(join(folder, 'to-spaces .db'), rules), trimmed);
});

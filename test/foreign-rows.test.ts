/**
 * What other programs write past this library: sizes that are none, versions and quotas that contradict, paths in several
 * spellings. Nothing of it may block a call, and a content is only handed out for removal when no row names it.
 */
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { DatabaseManager, type FileInput } from '../lib/index.ts';
import { canonicalPath, contentKey, contentKeyOf, namesContent } from '../lib/values/content-path.ts';
import { countedBytes, sumOfWhole } from '../lib/values/counted-bytes.ts';
import { holds } from './fixtures/property.ts';

const LARGEST = Number.MAX_SAFE_INTEGER;

async function openFresh(t: Test): Promise<{ db: DatabaseManager; path: string; clientId: string }> {
  const path = `${t.testdir()}/catalog.db`;
  const db = await DatabaseManager.open({ database: path, defaultQuotaBytes: null });
  t.teardown(() => db.close());
  const { id } = await db.clients.save({ name: 'laptop' });
  return { db, path, clientId: id };
}

const fileOf = (clientId: string, name: string, rest: Partial<FileInput> = {}): FileInput => ({
  clientId,
  fileName: name,
  pathName: `store/${name}`,
  fileSize: 10,
  ...rest,
});

/** Runs SQL on a connection of another program, whose foreign keys are off as SQLite's default is. */
function foreign(path: string, ...statements: readonly string[]): void {
  const other = new Database(path);
  try {
    other.pragma('foreign_keys = OFF');
    for (const statement of statements) other.exec(statement);
  } finally {
    other.close();
  }
}

/** What both audits find. */
async function findings(db: DatabaseManager) {
  const [quotas, totals] = [await db.quotas.audit(), await db.analytics.audit()];
  return { quotas: quotas.clients, totals: totals.differences };
}

const NOTHING = { quotas: [], totals: [] };

const used = async (db: DatabaseManager, clientId: string) => (await db.quotas.get(clientId))?.usedBytes;

const NO_SIZES = ['9e999', '-9e999', '1.5', "'many'", "x'00ff'", '-7', '9007199254740992', '9223372036854775807'];

t.test('a size that is none counts as nothing, and keeps no row from being deleted or repaired', async (t) => {
  const { db, path } = await openFresh(t);
  const ids = new Map<string, { clientId: string; fileId: string }>();
  for (const size of NO_SIZES) {
    const { id: clientId } = await db.clients.save({ name: size });
    const { file } = await db.files.save(fileOf(clientId, 'a.txt'));
    await db.files.save(fileOf(clientId, 'b.txt', { pathName: `kept/${size}` }));
    ids.set(size, { clientId, fileId: file.id });
    foreign(
      path,
      `UPDATE files SET FileSize = ${size} WHERE ID = x'${file.id}'`,
      `UPDATE file_versions SET FileSize = ${size} WHERE FileID = x'${file.id}'`,
    );
    t.equal(await used(db, clientId), 10, `${size} counts as nothing`);
    await db.files.save(fileOf(clientId, 'a.txt', { fileSize: 5 }));
    t.equal(await used(db, clientId), 15, 'a save of the file works');
    foreign(path, `UPDATE file_versions SET FileSize = ${size} WHERE FileID = x'${file.id}'`);
  }
  t.same(await findings(db), NOTHING, 'the running totals agree with the rows');
  await db.maintenance.repair();
  t.same(await findings(db), NOTHING);
  for (const [size, { clientId, fileId }] of ids) {
    t.equal((await db.files.delete(fileId)).deleted, 1);
    t.equal(await used(db, clientId), 10);
    foreign(path, `UPDATE file_versions SET FileSize = ${size} WHERE PathName = 'kept/${size.replaceAll("'", "''")}'`);
    t.same((await db.clients.delete(clientId)).paths, [`kept/${size}`]);
  }
  t.equal(await db.files.totalBytes(), 0);
  t.same(await findings(db), NOTHING);
});

t.test('totals that another program made infinite are repaired', async (t) => {
  const { db, path, clientId } = await openFresh(t);
  const { file } = await db.files.save(fileOf(clientId, 'a.txt'));
  foreign(
    path,
    'UPDATE file_totals SET Bytes = 9e999',
    'UPDATE client_quotas SET UsedBytes = 9e999, FileBytes = 9e999',
  );
  await db.maintenance.repair();
  t.same(await findings(db), NOTHING);
  t.equal(await used(db, clientId), 10);
  t.equal((await db.files.delete(file.id)).bytes, 10);
  t.same(await findings(db), NOTHING);
});

t.test('a catalogue with infinite totals of an older schema is migrated to exact ones', async (t) => {
  const { db, path, clientId } = await openFresh(t);
  await db.files.save(fileOf(clientId, 'a.txt'));
  await db.files.save(fileOf(clientId, 'b.txt'));
  await db.migrations.down({ to: 20 });
  await db.close();
  foreign(
    path,
    "UPDATE files SET FileSize = 9e999 WHERE FileName = 'a.txt'",
    "UPDATE file_versions SET FileSize = 9e999 WHERE PathName = 'store/a.txt'",
  );
  const again = await DatabaseManager.open({ database: path });
  t.teardown(() => again.close());
  t.same(await findings(again), NOTHING);
  t.equal(await used(again, clientId), 10);
});

t.test('a repair of totals also removes a mark that silences their triggers', async (t) => {
  const { db, clientId } = await openFresh(t);
  const repairs = [() => db.maintenance.repair(), () => db.analytics.audit({ repair: true })];
  for (const [number, repair] of repairs.entries()) {
    await db.execute('INSERT INTO catalog_writer (Covers) VALUES (24)');
    await db.files.save(fileOf(clientId, `uncounted ${number}`));
    t.not((await db.analytics.audit()).differences.length, 0);
    await repair();
    await db.files.save(fileOf(clientId, `counted ${number}`));
    t.same((await db.analytics.audit()).differences, []);
  }
  await db.quotas.audit({ repair: true });
  t.equal(await used(db, clientId), 40);
});

t.test('infinite values are refused where SQL is given', async (t) => {
  const { db } = await openFresh(t);
  for (const value of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]) {
    const refused = { code: 'CATALOG_VALIDATION', field: 'params[0]' };
    await t.rejects(db.execute('UPDATE files SET FileSize = ?', [value]), refused);
    await t.rejects(db.query('SELECT ?', [value]), refused);
  }
});

t.test('sums past 2^63 are told, audited and repaired without an overflow', async (t) => {
  const { db, path, clientId } = await openFresh(t);
  const count = 1_025;
  await db.files.saveMany(Array.from({ length: count }, (_, n) => fileOf(clientId, `f${n}`, { fileSize: LARGEST })));
  const expected = count * LARGEST;
  const isClose = (value: number) => Math.abs(value - expected) <= expected * 2 ** -50;
  t.ok(isClose(await db.files.totalBytes()));
  t.ok(isClose((await used(db, clientId)) ?? 0));
  t.same(await findings(db), NOTHING);
  await db.maintenance.repair();
  t.same(await findings(db), NOTHING);
  foreign(path, 'UPDATE client_quotas SET UsedBytes = 1, FileBytes = 1', 'UPDATE file_totals SET Bytes = 1');
  t.equal((await db.quotas.audit({ repair: true })).repaired, 1);
  await db.analytics.audit({ repair: true });
  t.same(await findings(db), NOTHING);
  t.ok(isClose((await db.clients.delete(clientId)).bytes));
});

t.test('sums of whole numbers are exact up to 2^63', async (t) => {
  const memory = new Database(':memory:');
  memory.exec('CREATE TABLE s (v)');
  const sum = memory
    .prepare(`SELECT ${sumOfWhole(countedBytes('v'))} FROM s`)
    .pluck()
    .safeIntegers();
  await holds(
    t,
    fc.property(fc.array(fc.bigInt(0n, BigInt(LARGEST)), { maxLength: 40 }), (sizes) => {
      memory.exec('DELETE FROM s');
      for (const size of sizes) memory.prepare('INSERT INTO s VALUES (?)').run(size);
      const exact = sizes.reduce((total, size) => total + size, 0n);
      if (sum.get() !== exact) throw new Error(`${sum.get()} instead of ${exact}`);
    }),
  );
});

t.test('a version row above the highest number blocks no save of its file', async (t) => {
  const { db, path, clientId } = await openFresh(t);
  const { file } = await db.files.save(fileOf(clientId, 'a.txt'));
  foreign(
    path,
    `INSERT INTO file_versions (FileID, VersionNumber, PathName, FileSize, CreatedDate, IsActive)
      VALUES (x'${file.id}', 2, 'store/x', 1, '2025-01-01T00:00:00.000Z', 0),
        (x'${file.id}', 7, 'store/y', 1, '2025-01-01T00:00:00.000Z', 0)`,
  );
  t.equal((await db.files.save(fileOf(clientId, 'a.txt', { fileSize: 11 }))).version, 8);
  t.equal((await db.files.save(fileOf(clientId, 'a.txt', { fileSize: 12 }))).version, 9);
  const versions = await db.versions.list(file.id);
  t.same(
    versions.filter(({ isActive }) => isActive).map(({ versionNumber }) => versionNumber),
    [9],
    'exactly one version is active',
  );
  t.same(await findings(db), NOTHING);
});

t.test('a client that was deleted past its foreign keys comes back under its id', async (t) => {
  const { db, path, clientId } = await openFresh(t);
  await db.files.save(fileOf(clientId, 'a.txt'));
  foreign(path, `DELETE FROM clients WHERE ID = x'${clientId}'`);
  const client = await db.clients.save({ id: clientId, name: 'laptop again' });
  t.match(client, { id: clientId, name: 'laptop again' });
  t.match(await db.quotas.get(clientId), { usedBytes: 10, quotaBytes: null }, 'what it left is its own again');
  t.same(await findings(db), NOTHING);
});

t.test('a client that raw SQL inserted has one quota for every call', async (t) => {
  const { db, path } = await openFresh(t);
  const id = 'ab'.repeat(16);
  foreign(path, `INSERT INTO clients (ID, Name, LastSeen) VALUES (x'${id}', 'raw', '')`);
  const unused = { clientId: id, quotaBytes: null, usedBytes: 0, reservedBytes: 0, warningThreshold: 0.8 };
  t.same(await db.quotas.get(id), unused);
  foreign(
    path,
    `INSERT INTO files (ID, FileName, PathName, FileSize, ClientID, CurrentVersion, HighestVersion)
      VALUES (x'${'cd'.repeat(16)}', 'old.txt', 'store/old', 5, x'${id}', 1, 1);
    INSERT INTO file_versions (FileID, VersionNumber, PathName, FileSize, CreatedDate)
      VALUES (x'${'cd'.repeat(16)}', 1, 'store/old', 5, '2025-01-01T00:00:00.000Z')`,
  );
  t.equal(await used(db, id), 5, 'what it stores is counted without a row');
  const page = await db.analytics.clients();
  t.match(
    page.clients.find(({ clientId }) => clientId === id),
    { files: 1, bytes: 5, usedBytes: 5 },
  );
  const { quota } = await db.files.save(fileOf(id, 'new.txt'));
  t.same(quota, { quotaBytes: null, usedBytes: 15, warning: false });
  t.match(await db.quotas.get(id), { usedBytes: 15, quotaBytes: null });
  t.same(await findings(db), NOTHING);
});

const paths = fc
  .array(fc.constantFrom('a', 'b', 'a.b', '.', '..', '/', '\\', '//', '/./', '\\.\\', 'C:', ' '), { maxLength: 7 })
  .map((parts) => parts.join(''));

t.test('spellings of one path have one key, in SQL as here, and one canonical form', async (t) => {
  const memory = new Database(':memory:');
  const keyOf = memory.prepare(`SELECT ${contentKeyOf('p')} FROM (SELECT ? AS p)`).pluck();
  await holds(
    t,
    fc.property(paths, (path) => {
      const spelled = [
        path.replaceAll('/', '\\'),
        path.replaceAll('/', '//'),
        path.replaceAll('/', '/./'),
        canonicalPath(path),
      ];
      if (keyOf.get(path) !== contentKey(path)) throw new Error(`SQL makes another key of ${path}`);
      for (const other of spelled) {
        if (canonicalPath(other) !== canonicalPath(path)) throw new Error(`${other} is not ${path}`);
        if (contentKey(other) !== contentKey(path)) throw new Error(`${other} has another key than ${path}`);
      }
    }),
    { numRuns: 500 },
  );
});

t.test('no folder of all contents is ever handed out for removal', async (t) => {
  for (const path of [
    '',
    '.',
    '..',
    '/',
    '\\',
    './',
    '/.',
    '//',
    'C:',
    'C:\\',
    'c:/',
    'a/..',
    '../a',
    'a/../b',
    '.\\',
  ]) {
    t.equal(namesContent(path), false, JSON.stringify(path));
  }
  for (const path of ['a', '/a', 'a/b', 'C:\\a', '..a', 'a..', '.a', 'a.']) t.equal(namesContent(path), true, path);
  const { db, path, clientId } = await openFresh(t);
  for (const pathName of ['.', '..', '/', 'a/../b', 'store/kept']) {
    const { file } = await db.files.save(fileOf(clientId, 'a.txt', { pathName }));
    t.same((await db.files.delete(file.id)).paths, pathName === 'store/kept' ? ['store/kept'] : [], pathName);
  }
  const { file } = await db.files.save(fileOf(clientId, 'a.txt'));
  foreign(path, "UPDATE files SET PathName = ''", "UPDATE file_versions SET PathName = ''");
  t.same((await db.files.delete(file.id)).paths, []);
});

t.test('a content is freed exactly when no row names it, however the rows spell its path', async (t) => {
  const { db, clientId } = await openFresh(t);
  const spellings = ['s/x', 's//x', 's/./x', 's\\x', './s/x', 's/y', 's.x', 'sx'];
  const steps = fc.array(fc.record({ name: fc.constantFrom('a', 'b', 'c'), path: fc.constantFrom(...spellings) }), {
    minLength: 2,
    maxLength: 6,
  });
  await holds(
    t,
    fc.asyncProperty(steps, async (saves) => {
      const named = new Map<string, string[]>();
      const ids = new Map<string, string>();
      for (const { name, path } of saves) {
        const { file } = await db.files.save(fileOf(clientId, name, { pathName: path }));
        ids.set(name, file.id);
        named.set(name, [...(named.get(name) ?? []), path]);
      }
      for (const [name, id] of ids) {
        const own = named.get(name) ?? [];
        named.delete(name);
        const left = new Set([...named.values()].flat().map(canonicalPath));
        const expected = new Set(own.map(canonicalPath).filter((path) => !left.has(path)));
        const { paths: freed } = await db.files.delete(id);
        t.same(new Set(freed.map(canonicalPath)), expected);
        if (freed.length !== expected.size) throw new Error(`freed twice: ${freed}`);
      }
    }),
    { numRuns: 30 },
  );
});

t.test('a save touches the versions of its file by their number, however many there are', async (t) => {
  const { db, path, clientId } = await openFresh(t);
  const { file } = await db.files.save(fileOf(clientId, 'a.txt'));
  const reader = new Database(path, { readonly: true });
  for (const text of [
    'UPDATE file_versions SET IsActive = 0 WHERE FileID = 1 AND VersionNumber = 2',
    'SELECT max(v.VersionNumber) FROM file_versions v WHERE v.FileID = 1',
  ]) {
    const plan = reader.prepare(`EXPLAIN QUERY PLAN ${text}`).all() as { detail: string }[];
    t.match(plan.map(({ detail }) => detail).join(), /SEARCH .*INDEX idx_file_versions_number/);
  }
  reader.close();
  for (let n = 0; n < 40; n += 1) await db.files.save(fileOf(clientId, 'a.txt', { fileSize: n }));
  const active = (await db.versions.list(file.id)).filter(({ isActive }) => isActive);
  t.same(
    active.map(({ versionNumber }) => versionNumber),
    [41],
  );
});

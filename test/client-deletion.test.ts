/** Deleting a client with many files: in slices that let others write, through kills, by several processes, and whole. */
import { copyFileSync } from 'node:fs';
import { dirname } from 'node:path';
import t, { type Test } from 'tap';
import { deleteClient, finishLeftDeletions } from '../lib/core/client-deletion.ts';
import { beginDeletion, deleteClientSlice } from '../lib/core/client-deletion-procedures.ts';
import { type CatalogOptions, DatabaseError, DatabaseManager, type FileInput } from '../lib/index.ts';
import { THIS_PROCESS } from '../lib/runtime/process-identity.ts';
import type { Executor } from '../lib/sql/engine.ts';

const MANY = 5_001; // one file more than goes in one transaction
const MOST_RETRIES = 5; // of one slice

const fileOf = (clientId: string, n: number): FileInput => ({
  clientId,
  fileName: `f${n}`,
  pathName: `store/${n}`,
  fileSize: n % 10,
});

let template: Promise<string> | undefined;

/** A catalogue with a client of many files and one of few that shares a content; made once and copied. */
function template5001(): Promise<string> {
  template ??= (async () => {
    const path = `${t.testdir()}/template.db`;
    const db = await DatabaseManager.open({ database: path, defaultQuotaBytes: null });
    const large = await db.clients.save({ name: 'large', publicKey: new Uint8Array([1]), aesKey: new Uint8Array([2]) });
    const small = await db.clients.save({ name: 'small' });
    await db.files.saveMany(Array.from({ length: MANY }, (_, n) => fileOf(large.id, n)));
    await db.files.save({ ...fileOf(small.id, 0), pathName: 'store//7' });
    await db.close();
    return path;
  })();
  return template;
}

async function openLarge(t: Test, options: CatalogOptions = {}) {
  const database = `${t.testdir()}/catalog.db`;
  copyFileSync(await template5001(), database);
  const db = await DatabaseManager.open({ database, defaultQuotaBytes: null, ...options });
  t.teardown(() => db.close());
  const [large, small] = [await db.clients.getByName('large'), await db.clients.getByName('small')];
  if (large === null || small === null) throw new Error('the template has both');
  return { db, database, large: large.id, small: small.id };
}

/** What the audits find; nothing where every total agrees with the rows. */
async function findings(db: DatabaseManager) {
  return [...(await db.quotas.audit()).clients, ...(await db.analytics.audit()).differences];
}

const EVERY_PATH = new Set(Array.from({ length: MANY }, (_, n) => `store/${n}`).filter((path) => path !== 'store/7'));
const BYTES = Array.from({ length: MANY }, (_, n) => n % 10).reduce((sum, size) => sum + size, 0);

/** Marks the client as a process that dies would leave it, with some slices gone. */
async function leaveHalfDeleted(db: DatabaseManager, id: string, slices: number, owner: string): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.run(beginDeletion, { id, owner, whole: false });
    for (let n = 0; n < slices; n += 1) await tx.run(deleteClientSlice, { id, owner });
  });
}

const gone = async (db: DatabaseManager, id: string) => {
  while ((await db.clients.get(id)) !== null) await new Promise(setImmediate);
};

t.test('clients.delete() of many files lets others write between its slices', async (t) => {
  const { db, large, small } = await openLarge(t);
  const before = db.stats().writes.rounds;
  const deletion = db.clients.delete(large);
  const saved = ['store/1', 'store/2', 'store/3'];
  await db.files.save(fileOf(small, 1));
  // A transaction has the writer, so no slice is removed meanwhile.
  const during = await db.transaction(async (tx) => tx.clients.get(large));
  for (const n of [2, 3]) await db.files.save(fileOf(small, n));
  t.match(
    during,
    { name: 'large', deleting: true, hasKey: false, publicKey: null },
    'it shows that it is being deleted',
  );
  const { deleted, bytes, paths } = await deletion;
  t.same({ deleted, bytes }, { deleted: MANY, bytes: BYTES });
  t.same(new Set(paths), new Set([...EVERY_PATH].filter((path) => !saved.includes(path))));
  t.ok(db.stats().writes.rounds - before > 10, 'in commits of their own');
  t.equal(await db.clients.get(large), null);
  t.equal(await db.files.count(), 4);
  t.same(await findings(db), []);
  t.same(await db.query('SELECT * FROM client_deletions'), []);
});

t.test('a client that is being deleted takes nothing, and says why', async (t) => {
  const { db, large, small } = await openLarge(t);
  await leaveHalfDeleted(db, large, 1, 'ffffffff-1-1');
  const refused = { code: 'CATALOG_CONFLICT', message: /is being deleted/, hint: /clients\.delete/ };
  await t.rejects(db.files.save(fileOf(large, 1)), refused);
  await t.rejects(db.clients.save({ id: large, name: 'large' }), refused);
  await t.rejects(db.clients.rename(large, 'other'), refused);
  await t.rejects(db.quotas.reserve(large, 1), refused);
  const { failed, saved } = await db.files.saveMany([fileOf(large, 1), fileOf(small, 1)]);
  t.match(failed, [{ index: 0, error: refused }]);
  t.equal(saved, 1);
  t.same(await db.clients.exportKeys(large), { publicKey: null, aesKey: null }, 'its keys went at once');
  t.same(await findings(db), [], 'totals agree after a slice');
  t.equal((await db.files.search({ clientId: large })).total, MANY - 500, 'and so does the search');
  t.equal((await db.clients.delete(large)).deleted, MANY - 500, 'another call finishes it');
});

t.test('inside a transaction a client goes whole or not at all', async (t) => {
  const { db, large } = await openLarge(t);
  await t.rejects(
    db.transaction(async (tx) => {
      t.equal((await tx.clients.delete(large)).deleted, MANY);
      throw new Error('changed my mind');
    }),
    /changed my mind/,
  );
  t.match(await db.clients.get(large), { hasKey: true });
  t.equal(await db.files.count(), MANY + 1);
  const { deleted, paths } = await db.transaction((tx) => tx.clients.delete(large));
  t.equal(deleted, MANY);
  t.same(new Set(paths), EVERY_PATH);
  t.same(await findings(db), []);
});

t.test('what a process left when it died is finished by the next opening', async (t) => {
  const { db, database, large } = await openLarge(t);
  await leaveHalfDeleted(
    db,
    large,
    3,
    (await import('../lib/runtime/process-identity.ts')).MACHINE.concat('-999999999-1'),
  );
  await db.close();
  const again = await DatabaseManager.open({ database });
  t.teardown(() => again.close());
  await gone(again, large);
  t.equal(await again.files.count(), 1);
  t.same(await findings(again), []);
});

t.test('a deletion that a live process has is left to it; repair and another call of this one finish it', async (t) => {
  const { db, database, large } = await openLarge(t);
  const alive = `${(await import('../lib/runtime/process-identity.ts')).MACHINE}-${process.ppid}-1`;
  await leaveHalfDeleted(db, large, 1, alive);
  const other = await DatabaseManager.open({ database });
  t.teardown(() => other.close());
  await other.maintenance.repair();
  t.match(await other.clients.get(large), { deleting: true }, 'its owner is at work');
  await db.execute("UPDATE client_deletions SET TouchedAt = '2020-01-01T00:00:00.000Z'");
  await other.maintenance.repair();
  t.equal(await other.clients.get(large), null, 'nobody has touched it for long');
  t.same(await findings(other), []);
});

t.test('two processes may delete one client together', async (t) => {
  const { db, database, large } = await openLarge(t);
  const other = await DatabaseManager.open({ database });
  t.teardown(() => other.close());
  const [one, two] = await Promise.all([db.clients.delete(large), other.clients.delete(large)]);
  t.equal(one.deleted + two.deleted, MANY, 'each file is deleted once');
  t.equal(one.bytes + two.bytes, BYTES);
  t.same(new Set([...one.paths, ...two.paths]), EVERY_PATH);
  t.same(await findings(db), []);
});

t.test('a signal stops between two slices; the next call goes on', async (t) => {
  const { db, large, small } = await openLarge(t);
  const stop = new AbortController();
  const refused = t.rejects(db.clients.delete(large, { signal: stop.signal }), /enough/);
  // The first save shares a commit with the mark, the second one with a slice; then a transaction holds the next slice up.
  for (const n of [1, 2]) await db.files.save(fileOf(small, n));
  await db.transaction(async () => stop.abort(new Error('enough')));
  await refused;
  const left = (await db.files.count()) - 3;
  t.ok(left > 0 && left < MANY, 'a part is gone');
  t.same(await findings(db), []);
  t.equal((await db.clients.delete(large)).deleted, left);
});

t.test('migrations.down() finishes deletions first', async (t) => {
  const { db, large } = await openLarge(t);
  await leaveHalfDeleted(db, large, 2, 'ffffffff-1-1');
  const told: number[] = [];
  const onProgress = ({ step, done }: { readonly step: string; readonly done: number }) => {
    if (step === 'deletions.finish') told.push(done);
  };
  const { counts } = await db.migrations.down({ to: 20, onProgress });
  t.match(counts, { deletedFiles: MANY - 1_000 });
  t.equal(Math.max(...told), MANY - 1_000, 'and says how far it is');
  await db.migrations.up();
  t.equal(await db.clients.get(large), null);
  t.equal(await db.files.count(), 1);
  t.same(await findings(db), []);
});

t.test('a copy of file and log after any slice holds totals that agree, and can be finished', async (t) => {
  for (const slices of [0, 1, 6]) {
    await t.test(`${slices} slices`, async (t) => {
      const { db, database, large } = await openLarge(t);
      await leaveHalfDeleted(db, large, slices, 'ffffffff-1-1');
      const copy = `${dirname(database)}/copy.db`;
      for (const suffix of ['', '-wal']) copyFileSync(`${database}${suffix}`, `${copy}${suffix}`);
      const killed = await DatabaseManager.open({ database: copy });
      t.teardown(() => killed.close());
      t.same(await findings(killed), []);
      t.equal((await killed.clients.delete(large)).deleted, MANY - slices * 500);
      t.same(await findings(killed), []);
      t.equal(await killed.files.count(), 1);
    });
  }
});

t.test('a file with thousands of versions goes in slices too', async (t) => {
  const { db, large } = await openLarge(t);
  await db.execute(
    `WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
     INSERT INTO file_versions (FileID, VersionNumber, PathName, FileSize, CreatedDate, IsActive)
     SELECT ID, i, 'versions/' || i, 1, '2025-01-01T00:00:00.000Z', 0 FROM n, (SELECT ID FROM files WHERE PathName = 'store/0')`,
  );
  const { deleted, bytes, paths } = await db.clients.delete(large);
  t.same({ deleted, bytes }, { deleted: MANY, bytes: BYTES + 2_499 });
  t.same(new Set(paths), new Set([...EVERY_PATH, ...Array.from({ length: 2_499 }, (_, n) => `versions/${n + 2}`)]));
  t.same(await findings(db), []);
});

t.test('a deletion that a trigger leaves out in part ends with a conflict, never without an end', async (t) => {
  const leftOut = { code: 'CATALOG_CONFLICT', message: /a trigger suppressed it/ };
  const ignore = (when: string) => `CREATE TRIGGER odd BEFORE ${when} BEGIN SELECT RAISE(IGNORE); END`;
  const { db, large } = await openLarge(t);
  const files = () => db.query(`SELECT count(*) AS n FROM file_versions JOIN files ON files.ID = FileID`);
  for (const [when, isMarked] of [
    ['INSERT ON client_deletions', false],
    ['UPDATE ON clients', false],
    ['DELETE ON files', true],
    ["DELETE ON files WHEN OLD.PathName = 'store/1'", true],
    ['DELETE ON file_versions', true],
  ] as const) {
    await db.execute(ignore(when));
    const before = await files();
    await t.rejects(db.clients.delete(large), leftOut, when);
    t.same(await files(), before, 'no file loses its versions alone');
    t.equal((await db.clients.get(large))?.deleting ?? false, isMarked, when);
    await db.execute('DROP TRIGGER odd');
  }
  await db.execute(ignore('DELETE ON files'));
  const failed = { code: 'CATALOG_MIGRATION_FAILED', message: /a trigger suppressed it/ };
  await t.rejects(db.migrations.down({ to: 20 }), failed, 'the way down ends too');
  await db.execute('DROP TRIGGER odd');
  await db.execute(ignore('DELETE ON client_deletions'));
  await t.rejects(db.clients.delete(large), leftOut);
  await db.execute('DROP TRIGGER odd');
  t.match(await db.clients.get(large), { deleting: true });
  await db.clients.delete(large);
  t.same([await db.clients.get(large), await findings(db)], [null, []]);
});

t.test('a mark of a client that is not there, and one that names none, block nothing', async (t) => {
  const { db, database, large } = await openLarge(t);
  const [lost, again] = ['00112233445566778899aabbccddeeff', 'ffeeddccbbaa99887766554433221100'];
  const mark = (id: string, at: string) =>
    `INSERT INTO client_deletions VALUES (${id}, '2025-01-01T00:00:00.000Z', '${at}', 'ffffffff-1-1')`;
  const old = '2025-01-01T00:00:00.000Z';
  await leaveHalfDeleted(db, large, 1, 'ffffffff-1-1');
  for (const id of ['NULL', "x'0011'", "'text'", "'sixteen letters.'"]) await db.execute(mark(id, 'never'));
  await db.execute(mark(`x'${lost}'`, old));
  await db.execute(mark(`x'${again}'`, new Date().toISOString()));
  await t.resolves(db.clients.delete(again), 'as the hint of a conflict says');
  // A clock that was ahead, and a date that is none, are no sign of a process at work.
  await db.execute(`UPDATE client_deletions SET TouchedAt = '2999-01-01T00:00:00.000Z' WHERE ClientID = x'${large}'`);
  t.ok(await db.maintenance.repair());
  t.equal(await db.clients.get(large), null);
  t.same(await findings(db), []);
  for (const id of [lost, again]) t.match(await db.clients.save({ id, name: id }), { id });
  await db.execute(mark("x'0123456789abcdef0123456789abcdef'", old));
  await db.migrations.down({ to: 20 });
  await db.close();
  const next = await DatabaseManager.open({ database });
  t.teardown(() => next.close());
  t.match(await next.migrations.verify(), { ok: true });
});

t.test('a deletion that cannot be finished keeps no other one from it', async (t) => {
  const { db, large, small } = await openLarge(t);
  await leaveHalfDeleted(db, large, 1, 'ffffffff-1-1');
  await db.execute("UPDATE client_deletions SET StartedAt = '2020-01-01', TouchedAt = '2020-01-01'");
  await db.execute(`INSERT INTO client_deletions VALUES (x'${small}', '2025-01-01', '2025-01-01', 'ffffffff-1-1')`);
  await db.execute(`CREATE TRIGGER odd BEFORE DELETE ON files WHEN OLD.ClientID = x'${large}'
    BEGIN SELECT RAISE(IGNORE); END`);
  await t.rejects(db.maintenance.repair(), { code: 'CATALOG_CONFLICT', message: /a trigger suppressed it/ });
  t.equal(await db.clients.get(small), null);
  t.match(await db.clients.get(large), { deleting: true });
});

/** Answers the calls of a deletion as an engine would that has three slices to remove. */
function threeSlices(slice: (n: number) => Promise<void>) {
  let removed = 0;
  const run = async ({ name }: { readonly name: string }) => {
    if (name === 'clients.delete') return null;
    if (name === 'clients.unnamedPaths') return ['store/1'];
    if (name === 'clients.deletions')
      return [{ clientId: 'c', owner: THIS_PROCESS, touchedAt: '2020-01-01T00:00:00.000Z' }];
    await slice(removed + 1);
    removed += 1;
    return { finished: removed >= 3, deleted: 2, bytes: 5, paths: ['store/1'] };
  };
  return { run } as unknown as Executor;
}

t.test('a slice that meets a busy catalogue is tried again a few times; what each removed is added up', async (t) => {
  const busy = new DatabaseError('CATALOG_BUSY', 'others write');
  const attempts: number[] = [];
  const meets = (failures: number, error: Error = busy) =>
    threeSlices(async (n) => {
      attempts.push(n);
      if (n === 2 && attempts.length < 2 + failures) throw error;
    });
  const whole = { deleted: 6, bytes: 15, paths: ['store/1'] };
  t.same(await deleteClient(meets(MOST_RETRIES), 'c', { whole: false }), whole);
  t.same(attempts.splice(0), [1, ...Array.from({ length: MOST_RETRIES + 1 }, () => 2), 3]);
  await t.rejects(deleteClient(meets(MOST_RETRIES + 1), 'c', { whole: false }), busy);
  t.equal(attempts.splice(0).length, MOST_RETRIES + 2);
  const corrupt = new DatabaseError('CATALOG_CORRUPT', 'no page');
  await t.rejects(deleteClient(meets(1, corrupt), 'c', { whole: false }), corrupt);
  t.same(attempts.splice(0), [1, 2], 'what no other try can mend');
});

t.test('what this process deletes is left to it, and finished once it gave up', async (t) => {
  let isLeft = -1;
  const executor = threeSlices(async (n) => {
    if (n === 2) isLeft = await finishLeftDeletions(executor);
    if (n === 3) throw new Error('a power failure');
  });
  await t.rejects(deleteClient(executor, 'c', { whole: false }), /power failure/);
  t.equal(isLeft, 0, 'under way');
  t.equal(await finishLeftDeletions(threeSlices(async () => undefined)), 1);
});

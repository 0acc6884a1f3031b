/** Pruning a real catalogue: what was planned is done, freed contents are exact, and others go on meanwhile. */
import t, { type Test } from 'tap';
import type { CatalogOptions, DatabaseManager, FileInput, PruneProgress } from '../lib/index.ts';
import { openNew } from './fixtures/template.ts';

async function openFresh(t: Test, options: CatalogOptions = {}): Promise<DatabaseManager> {
  const db = await openNew({ database: `${t.testdir()}/catalog.db`, defaultQuotaBytes: null, ...options });
  t.teardown(() => db.close());
  return db;
}

const fileOf = (clientId: string, fileName: string, pathName: string, fileSize = 10): FileInput => ({
  clientId,
  fileName,
  pathName,
  fileSize,
});

/** Saves one version after the other, at noon of consecutive days; returns the file's id. */
async function saveDaily(db: DatabaseManager, clientId: string, fileName: string, paths: readonly string[]) {
  let id = '';
  for (const [n, path] of paths.entries()) {
    const { file, version } = await db.files.save(fileOf(clientId, fileName, path, n + 1));
    id = file.id;
    await db.execute('UPDATE file_versions SET CreatedDate = ? WHERE FileID = ? AND VersionNumber = ?', [
      new Date(Date.UTC(2025, 0, n + 1, 12)).toISOString(),
      Buffer.from(id, 'hex'),
      version,
    ]);
  }
  return id;
}

const numbersOf = async (db: DatabaseManager, fileId: string) =>
  (await db.versions.list(fileId)).map(({ versionNumber }) => versionNumber);

t.test(
  'planPrune() tells what goes, why the rest stays, and each quota afterwards; prune() does exactly that',
  async (t) => {
    const db = await openFresh(t);
    const { id: alpha } = await db.clients.save({ name: 'alpha' });
    const { id: beta } = await db.clients.save({ name: 'beta' });
    await db.quotas.set(alpha, { quotaBytes: 1_000 });
    await db.quotas.reserve(alpha, 7);
    const first = await saveDaily(db, alpha, 'first', ['/1', '/2', '/3', '/4']);
    const second = await saveDaily(db, beta, 'second', ['/a', '/b']);
    await db.versions.activate(first, 2);
    const plan = await db.versions.planPrune({ keepLast: 1, keepMonthly: 2 });
    const quota = { quotaBytes: null, reservedBytes: 0, warningThreshold: 0.8 };
    t.same(plan, {
      versions: 1,
      bytes: 3,
      paths: ['/3'],
      kept: [
        { fileId: first, versionNumber: 1, reasons: ['oldest monthly'] },
        { fileId: first, versionNumber: 2, reasons: ['active'] },
        { fileId: first, versionNumber: 4, reasons: ['last', 'monthly'] },
        { fileId: second, versionNumber: 1, reasons: ['oldest monthly'] },
        { fileId: second, versionNumber: 2, reasons: ['active', 'last', 'monthly'] },
      ],
      quotas: [
        { clientId: alpha, ...quota, quotaBytes: 1_000, usedBytes: 7, reservedBytes: 7 },
        { clientId: beta, ...quota, usedBytes: 3 },
      ],
    });
    t.same(await numbersOf(db, first), [1, 2, 3, 4], 'planning changes nothing');
    t.same(await db.versions.prune({ keepLast: 1, keepMonthly: 2 }), { versions: 1, bytes: 3, paths: ['/3'] });
    t.same((await db.quotas.list()).quotas, plan.quotas);
    t.same(await numbersOf(db, first), [1, 2, 4]);
    const file = await db.files.get(first);
    t.same([file?.version, file?.pathName, file?.fileSize], [2, '/2', 2], 'the current version is what it was');
    t.same(await db.versions.prune({ keepLast: 1 }, { clientId: alpha }), { versions: 1, bytes: 1, paths: ['/1'] });
    t.same(await db.versions.prune({ keepLast: 1 }, { fileId: second }), { versions: 1, bytes: 1, paths: ['/a'] });
    t.same(await db.versions.prune({ keepLast: 1 }), { versions: 0, bytes: 0, paths: [] });
    t.equal((await db.quotas.audit()).driftBytes, 0);
  },
);

t.test('a version that is active by its flag or by its number alone stays', async (t) => {
  const db = await openFresh(t);
  const { id: clientId } = await db.clients.save({ name: 'laptop' });
  const id = await saveDaily(db, clientId, 'file', ['/1', '/2', '/3', '/4']);
  // As an old server leaves it: the file says one number, the versions have their flag at another.
  await db.execute('UPDATE file_versions SET IsActive = (VersionNumber = 1)');
  await db.execute('UPDATE files SET CurrentVersion = 2');
  const plan = await db.versions.planPrune({ keepLast: 1 });
  t.same(
    plan.kept.map(({ versionNumber, reasons }) => [versionNumber, reasons]),
    [
      [1, ['active']],
      [2, ['active']],
      [4, ['last']],
    ],
  );
  t.same(await db.versions.prune({ keepLast: 1 }), { versions: 1, bytes: 3, paths: ['/3'] });
  t.same(await numbersOf(db, id), [1, 2, 4]);
});

t.test('version numbers are not given again, also when the newest versions went', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const file = await saveDaily(db, id, 'file', ['/1', '/2', '/3', '/4']);
  await db.versions.activate(file, 1);
  await db.execute('UPDATE file_versions SET CreatedDate = ? WHERE VersionNumber = 1', ['2026-01-01T00:00:00.000Z']);
  t.equal((await db.versions.prune({ keepLast: 1 })).versions, 3);
  t.same(await numbersOf(db, file), [1]);
  t.equal((await db.files.save(fileOf(id, 'file', '/5'))).version, 5);
});

t.test('a content is freed once nothing names it: no version, client, or row of an old server', async (t) => {
  const db = await openFresh(t);
  const { id: alpha } = await db.clients.save({ name: 'alpha' });
  const { id: beta } = await db.clients.save({ name: 'beta' });
  const within = await saveDaily(db, alpha, 'within', ['/kept-here', '/once', '/once', '/kept-here']);
  const across = await saveDaily(db, alpha, 'across', ['/both', '/kept-there', '/by-old-server', '/now']);
  const other = await saveDaily(db, beta, 'other', ['/both', '/of-beta', '/kept-there']);
  await db.execute('INSERT INTO files (ID, FileName, PathName, ClientID) VALUES (?, ?, ?, ?)', [
    Buffer.alloc(16, 1),
    'old',
    '/by-old-server',
    Buffer.from(beta, 'hex'),
  ]);
  const policy = { keepLast: 1 };
  const pathsOf = async (scope: object) => {
    const { paths } = await db.versions.planPrune(policy, scope);
    t.same(
      await db
        .transaction(async (tx) => {
          const pruned = await tx.versions.prune(policy, scope);
          throw Object.assign(new Error('undo'), { pruned });
        })
        .catch((error: { pruned?: { paths: string[] } }) => error.pruned?.paths),
      paths,
      'what is pruned frees what was planned',
    );
    return paths;
  };
  t.same(await pathsOf({ fileId: within }), ['/once']);
  t.same(await pathsOf({ clientId: alpha }), ['/once'], 'beta still names the other two');
  t.same(await pathsOf({ fileId: other }), ['/of-beta']);
  t.same(await pathsOf({}), ['/both', '/of-beta', '/once']);
  t.same((await db.versions.prune(policy, { fileId: across })).paths, []);
  t.same((await db.versions.prune(policy)).paths, ['/both', '/of-beta', '/once']);
});

t.test('it goes on from batch to batch: many files, many versions of one, many files of one name', async (t) => {
  const db = await openFresh(t, { durability: 'normal' });
  const { id: alpha } = await db.clients.save({ name: 'alpha' });
  const { id: beta } = await db.clients.save({ name: 'beta' });
  const rows = function* () {
    for (let n = 0; n < 2_600; n += 1) yield fileOf(alpha, 'long', `/long/${n}`);
    for (let n = 0; n < 1_300; n += 1) {
      for (const version of [1, 2, 3]) {
        const file = fileOf(n % 2 === 0 ? alpha : beta, n < 900 ? 'same' : `file-${n}`, `/${n}/${version}`);
        yield { ...file, originalPath: `home/${n}` };
      }
    }
  };
  t.equal((await db.files.saveMany(rows())).saved, 2_600 + 3_900);
  const policy = { keepLast: 2 };
  const scopes = [{ clientId: beta }, { clientId: alpha }, {}];
  const plans = [];
  for (const scope of scopes) plans.push(await db.versions.planPrune(policy, scope));
  t.same(
    plans.map(({ versions, paths, kept }) => [versions, paths.length, new Set(paths).size, kept.length]),
    [
      [650, 650, 650, 1_300],
      [650 + 2_598, 650 + 2_598, 650 + 2_598, 1_302],
      [1_300 + 2_598, 1_300 + 2_598, 1_300 + 2_598, 2_602],
    ],
  );
  const reports: PruneProgress[] = [];
  const onProgress = (progress: PruneProgress) => void reports.push(progress);
  const pruned = await db.versions.prune(policy, { clientId: beta, onProgress });
  t.same(pruned.paths, plans[0]?.paths);
  t.ok(reports.length >= 650 / 64, 'in batches');
  t.same(reports.flatMap(({ paths }) => paths).sort(), pruned.paths, 'each of which tells what it freed');
  t.same([reports.at(-1)?.versions, reports.at(-1)?.bytes], [650, 6_500]);
  t.equal((await db.versions.prune(policy, { clientId: alpha })).versions, 3_248);
  t.same(await db.versions.prune(policy), { versions: 0, bytes: 0, paths: [] });
});

t.test('a signal stops between files; what was removed is told and stays removed', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  await db.files.saveMany(
    [1, 2].flatMap((v) => Array.from({ length: 200 }, (_, n) => fileOf(id, `f${n}`, `/${n}/${v}`))),
  );
  const controller = new AbortController();
  const freed: string[] = [];
  const stopped = db.versions.prune(
    { keepLast: 1 },
    {
      signal: controller.signal,
      onProgress: ({ paths }) => {
        freed.push(...paths);
        controller.abort();
      },
    },
  );
  await t.rejects(stopped, { name: 'AbortError' });
  t.equal(freed.length, 64, 'one batch');
  t.same(await db.query('SELECT count(*) AS n FROM file_versions'), [{ n: 400 - 64 }]);
  t.equal((await db.versions.prune({ keepLast: 1 })).versions, 200 - 64);
  await t.rejects(db.versions.planPrune({ keepLast: 1 }, { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

t.test(
  'a version saved while pruning is under way is seen: each file is planned again in its own transaction',
  async (t) => {
    const db = await openFresh(t);
    const { id } = await db.clients.save({ name: 'alpha' });
    const names = Array.from({ length: 130 }, (_, n) => `f${String(n).padStart(3, '0')}`);
    await db.files.saveMany([1, 2].flatMap((v) => names.map((name) => fileOf(id, name, `/${name}/${v}`))));
    const last = names.at(-1) ?? '';
    let saved: Promise<unknown> | undefined;
    const { paths } = await db.versions.prune(
      { keepLast: 1 },
      {
        onProgress: () => {
          // Names again what the first batch freed, and gives a file of the last batch another version.
          saved ??= Promise.all([
            db.files.save(fileOf(id, 'again', `/${names[0]}/1`)),
            db.files.save(fileOf(id, last, `/${last}/3`)),
          ]);
        },
      },
    );
    await saved;
    t.notOk(paths.includes(`/${names[0]}/1`), 'a content that is named again is not freed');
    t.ok(paths.includes(`/${last}/2`) && paths.includes(`/${last}/1`), 'both older versions of the other file went');
    t.equal(paths.length, 130);
    const { file } = await db.files.save(fileOf(id, last, `/${last}/4`));
    t.same(await numbersOf(db, file.id), [3, 4]);
  },
);

t.test('what names a removed version as its parent names the nearest one that stays, foreign key or not', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const file = await saveDaily(db, id, 'file', ['/1', '/2', '/3', '/4', '/5']);
  await db.transaction(async (tx) => {
    await tx.execute('ALTER TABLE file_versions RENAME COLUMN ParentVersionID TO Former');
    await tx.execute(
      'ALTER TABLE file_versions ADD COLUMN ParentVersionID INTEGER DEFAULT NULL REFERENCES file_versions(ID)',
    );
    await tx.execute('UPDATE file_versions SET ParentVersionID = Former');
  });
  await db.versions.activate(file, 2);
  t.equal((await db.versions.prune({ keepLast: 1 })).versions, 3);
  t.same(
    await db.query(`SELECT v.VersionNumber AS number, p.VersionNumber AS parent
      FROM file_versions v LEFT JOIN file_versions p ON p.ID = v.ParentVersionID ORDER BY 1`),
    [
      { number: 2, parent: null },
      { number: 5, parent: 2 },
    ],
  );
  t.same(await db.query('PRAGMA foreign_key_check'), []);
});

t.test('what is refused changes nothing', async (t) => {
  const db = await openFresh(t);
  const { id: alpha } = await db.clients.save({ name: 'alpha' });
  const { id: beta } = await db.clients.save({ name: 'beta' });
  const fileId = await saveDaily(db, alpha, 'file', ['/1', '/2']);
  const unknown = '0'.repeat(32);
  const policy = { keepLast: 1 };
  for (const call of ['planPrune', 'prune'] as const) {
    await t.rejects(db.versions[call]({}), { code: 'CATALOG_VALIDATION', field: 'policy' });
    await t.rejects(db.versions[call]({ keepLast: 1, keepEver: 2 } as never), {
      code: 'CATALOG_VALIDATION',
      field: 'keepEver',
    });
    await t.rejects(db.versions[call](policy, { client: alpha } as never), {
      code: 'CATALOG_VALIDATION',
      hint: /clientId/,
    });
    await t.rejects(db.versions[call](policy, { clientId: 'x' }), { code: 'CATALOG_VALIDATION', message: /clientId/ });
    await t.rejects(db.versions[call](policy, { clientId: unknown }), { code: 'CATALOG_NOT_FOUND', message: /client/ });
    await t.rejects(db.versions[call](policy, { fileId: unknown }), { code: 'CATALOG_NOT_FOUND', message: /file/ });
    await t.rejects(db.versions[call](policy, { fileId, clientId: beta }), { code: 'CATALOG_NOT_FOUND' });
  }
  await t.rejects(db.versions.prune(policy, { onProgress: 1 } as never), { code: 'CATALOG_VALIDATION' });
  t.same(await numbersOf(db, fileId), [1, 2]);
  t.same((await db.versions.planPrune(policy, { fileId, clientId: alpha })).paths, ['/1']);
});

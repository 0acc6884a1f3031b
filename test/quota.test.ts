/** Quotas: what fits, room held for uploads, warnings told once, and the audit that finds what raw SQL did. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import {
  type CatalogOptions,
  DatabaseManager,
  type FileInput,
  type QuotaExceededError,
  type Reservation,
} from '../lib/index.ts';
import { openNew } from './fixtures/template.ts';

async function openFresh(t: Test, options: CatalogOptions = {}): Promise<DatabaseManager> {
  const db = await openNew({
    database: `${t.testdir()}/catalog.db`,
    defaultQuotaBytes: 1_000,
    ...options,
  });
  t.teardown(() => db.close());
  return db;
}

const fileOf = (clientId: string, fileName: string, fileSize: number): FileInput => ({
  clientId,
  fileName,
  pathName: `/store/${fileName}`,
  fileSize,
});

const figuresOf = async (db: DatabaseManager, clientId: string) => {
  const quota = await db.quotas.get(clientId);
  return [quota?.usedBytes, quota?.reservedBytes];
};

/** Lets a reservation expire now, by the clock of whoever looks next. */
const expire = ({ id }: Reservation, db: DatabaseManager) =>
  db.execute('UPDATE quota_reservations SET ExpiresAt = ? WHERE ID = ?', [
    '2000-01-01T00:00:00.000Z',
    Buffer.from(id, 'hex'),
  ]);

const refusal = (figures: Partial<QuotaExceededError>) => ({
  name: 'QuotaExceededError',
  code: 'CATALOG_QUOTA_EXCEEDED',
  ...figures,
});

t.test('quotas.reserve() holds room against saves and other reservations until it is released', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const before = Date.now();
  const held = await db.quotas.reserve(id, 700);
  t.match(held, { id: /^[0-9a-f]{32}$/, bytes: 700, expiresAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ });
  const ttl = Date.parse(held.expiresAt) - before;
  t.ok(ttl >= 3_600_000 && ttl <= 3_600_000 + (Date.now() - before), 'one hour is the default');
  t.same(await db.quotas.get(id), {
    clientId: id,
    quotaBytes: 1_000,
    usedBytes: 0,
    reservedBytes: 700,
    warningThreshold: 0.8,
  });
  t.same((await db.quotas.list()).quotas, [await db.quotas.get(id)]);
  const figures = { quotaBytes: 1_000, usedBytes: 0, reservedBytes: 700, requestedBytes: 301 };
  await t.rejects(db.files.save(fileOf(id, 'big', 301)), refusal(figures));
  await t.rejects(db.quotas.reserve(id, 301), refusal(figures));
  t.equal(await db.files.count(), 0, 'a refused save writes nothing');
  const second = await db.quotas.reserve(id, 300);
  t.ok(second.id > held.id, 'ids are ordered by time');
  await held.release();
  await held.release();
  t.same(await figuresOf(db, id), [0, 300]);
  await db.files.save(fileOf(id, 'big', 700));
  await t.rejects(db.files.save(fileOf(id, 'more', 1)), refusal({ usedBytes: 700, reservedBytes: 300 }));
});

t.test(
  'commit() saves in the room that was held, in one transaction, and returns what files.save() returns',
  async (t) => {
    const db = await openFresh(t);
    const { id } = await db.clients.save({ name: 'alpha' });
    await db.quotas.reserve(id, 400);
    const held = await db.quotas.reserve(id, 500);
    t.match(
      await db.quotas.reservation(held.id),
      { id: held.id, bytes: 500, expiresAt: held.expiresAt },
      'found again',
    );
    await t.rejects(
      held.commit(fileOf(id, 'file', 601)),
      refusal({ usedBytes: 0, reservedBytes: 400, requestedBytes: 601 }),
      'its own room is not counted against it, that of others is',
    );
    t.same(await figuresOf(db, id), [0, 900], 'a refused commit leaves the room held');
    const result = await held.commit(fileOf(id, 'file', 600), { operationId: 'one' });
    t.same(result, {
      file: await db.files.find(id, 'file'),
      version: 1,
      created: true,
      changed: true,
      quota: { quotaBytes: 1_000, usedBytes: 600, warning: false },
    });
    t.same(await figuresOf(db, id), [600, 400]);
    t.same(await held.commit(fileOf(id, 'file', 600), { operationId: 'one' }), result, 'safe to repeat');
    t.equal(await db.quotas.reservation(held.id), null);
    await t.rejects(
      held.commit(fileOf(id, 'again', 1)),
      refusal({ usedBytes: 600, reservedBytes: 400 }),
      'a plain save now',
    );
    t.equal((await held.commit(fileOf(id, 'empty', 0))).created, true);
  },
);

t.test('a reservation that has expired frees itself; commit is a save like any other then', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const held = await db.quotas.reserve(id, 900);
  await expire(held, db);
  t.same(await figuresOf(db, id), [0, 0]);
  t.equal(await db.quotas.reservation(held.id), null);
  const { file } = await db.files.save(fileOf(id, 'file', 1_000));
  await db.files.delete(file.id);
  const other = await db.quotas.reserve(id, 800);
  t.same(await db.query('SELECT count(*) AS n FROM quota_reservations'), [{ n: 1 }], 'and its row is gone');
  await held.release();
  await t.rejects(held.commit(fileOf(id, 'late', 201)), refusal({ reservedBytes: 800, requestedBytes: 201 }));
  t.equal((await held.commit(fileOf(id, 'late', 200))).quota.usedBytes, 200);
  await other.release();
  const short = await db.quotas.reserve(id, 800, { ttlMs: 1 });
  while ((await db.quotas.get(id))?.reservedBytes !== 0) t.ok(short, 'still held');
  t.ok(new Date().toISOString() >= short.expiresAt, 'by the clock, and no process had to do anything');
});

t.test('reservations of nothing, without a limit, of too much, and of nobody', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const nothing = await db.quotas.reserve(id, 0);
  t.equal((await nothing.commit(fileOf(id, 'empty', 0))).changed, true);
  const { id: free } = await db.clients.save({ name: 'free' });
  await db.quotas.set(free, { quotaBytes: null });
  const most = Number.MAX_SAFE_INTEGER;
  await db.quotas.reserve(free, most);
  await t.rejects(db.quotas.reserve(free, 1), refusal({ quotaBytes: most, reservedBytes: most, requestedBytes: 1 }));
  t.equal((await db.files.save(fileOf(free, 'any', 5))).quota.quotaBytes, null, 'no limit holds a save back');
  await t.rejects(db.quotas.reserve('0'.repeat(32), 1), { code: 'CATALOG_NOT_FOUND' });
  for (const bytes of [-1, 0.5, Number.NaN, 2 ** 53, '1']) {
    await t.rejects(db.quotas.reserve(id, bytes as number), { code: 'CATALOG_VALIDATION', field: 'bytes' });
  }
  for (const ttlMs of [0, -1, 1.5, 32 * 86_400_000, '1']) {
    await t.rejects(db.quotas.reserve(id, 1, { ttlMs: ttlMs as number }), {
      code: 'CATALOG_VALIDATION',
      field: 'ttlMs',
    });
  }
  await t.rejects(db.quotas.reserve(id, 1, { ttl: 1 } as never), { code: 'CATALOG_VALIDATION', hint: /ttlMs/ });
  const held = await db.quotas.reserve(id, 1);
  await t.rejects(held.commit(fileOf(free, 'other', 1)), { code: 'CATALOG_VALIDATION', field: 'clientId' });
  await t.rejects(held.commit(fileOf(id, '', 1)), { code: 'CATALOG_VALIDATION', field: 'fileName' });
  await t.rejects(db.quotas.reserve(id, 1, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  t.same(await figuresOf(db, id), [0, 1], 'what was refused changed nothing');
});

t.test('what can be set is set to the last byte, and quotas are listed by client, page by page', async (t) => {
  const db = await openFresh(t);
  // The order of ids is not that of insertion.
  const ids = ['3', '1', '2'].map((digit) => digit.repeat(32));
  for (const id of ids) await db.clients.save({ id, name: `client ${id[0]}` });
  const [id = ''] = ids;
  for (const quotaBytes of [2 ** 53 - 2, -0, 0]) {
    const { quotaBytes: set } = await db.quotas.set(id, { quotaBytes });
    t.ok(Object.is(set, quotaBytes + 0), `${quotaBytes} bytes`);
  }
  for (const quotaBytes of [2 ** 53 - 1, -1, 0.5, '5', undefined]) {
    const refused = { code: 'CATALOG_VALIDATION', field: 'quotaBytes' };
    await t.rejects(db.quotas.set(id, { quotaBytes: quotaBytes as number }), refused);
  }
  for (const warningThreshold of [0, 1, 0.5]) await db.quotas.set(id, { quotaBytes: 7, warningThreshold });
  for (const warningThreshold of [-0.1, 1.1]) {
    const refused = { code: 'CATALOG_VALIDATION', field: 'warningThreshold' };
    await t.rejects(db.quotas.set(id, { quotaBytes: 7, warningThreshold }), refused);
  }
  const quotas = [...ids].sort().map((clientId) => {
    const own =
      clientId === id ? { quotaBytes: 7, warningThreshold: 0.5 } : { quotaBytes: 1_000, warningThreshold: 0.8 };
    return { clientId, usedBytes: 0, reservedBytes: 0, ...own };
  });
  const first = await db.quotas.list({ limit: 2 });
  t.same(first.quotas, quotas.slice(0, 2));
  t.same(await db.quotas.list({ limit: 2, cursor: first.nextCursor }), { quotas: quotas.slice(2), nextCursor: null });
  t.same(
    await db.quotas.list({ limit: 3 }),
    { quotas, nextCursor: null },
    'a page that ends with the last has no next',
  );
  t.same(await Array.fromAsync(db.quotas.listAll()), quotas);

  for (const ttlMs of [1, 31 * 86_400_000]) await (await db.quotas.reserve('1'.repeat(32), 1, { ttlMs })).release();
  const tooLong = db.quotas.reserve('1'.repeat(32), 1, { ttlMs: 31 * 86_400_000 + 1 });
  await t.rejects(tooLong, { code: 'CATALOG_VALIDATION', field: 'ttlMs' });
});

t.test('a reservation removes expired ones, the oldest first and not too many at once, and no others', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const { id: other } = await db.clients.save({ name: 'beta' });
  const held = await db.quotas.reserve(other, 5);
  await db.execute(
    `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 149)
     INSERT INTO quota_reservations (ID, ClientID, Bytes, ExpiresAt)
     SELECT randomblob(16), ?, 1, printf('2000-01-01T00:00:00.%03dZ', 149 - i) FROM n`,
    [Buffer.from(other, 'hex')],
  );
  const mine = await db.quotas.reserve(id, 1);
  const left = "SELECT count(*) AS n, min(ExpiresAt) AS oldest FROM quota_reservations WHERE ExpiresAt < '2001'";
  t.same(await db.query(left), [{ n: 50, oldest: '2000-01-01T00:00:00.100Z' }]);
  await mine.release();
  t.same(await figuresOf(db, other), [0, 5], 'a release gives back its own room alone');
  t.match(await db.quotas.reservation(held.id), { id: held.id, bytes: 5 });
});

t.test('a reservation made in a transaction stands or falls with it', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const gone = new Error('no');
  const rollback = db.transaction(async (tx) => {
    const held = await tx.quotas.reserve(id, 900);
    await held.commit(fileOf(id, 'file', 900));
    await tx.quotas.reserve(id, 100);
    throw gone;
  });
  await t.rejects(rollback, gone);
  t.same(await figuresOf(db, id), [0, 0]);
  const made = await db.transaction((tx) => tx.quotas.reserve(id, 900));
  t.same(await figuresOf(db, id), [0, 900]);
  await t.rejects(made.commit(fileOf(id, 'file', 900)), { code: 'CATALOG_CONFLICT' }, 'the transaction has ended');
  const found = await db.quotas.reservation(made.id);
  t.equal((await found?.commit(fileOf(id, 'file', 900)))?.quota.usedBytes, 900);
  {
    await using scope = await db.quotas.reserve(id, 100);
    t.equal(scope.bytes, 100);
  }
  t.same(await figuresOf(db, id), [900, 0], 'leaving the block releases it');
});

t.test('saveMany() holds the limit row by row, and reservations in it', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  await db.quotas.reserve(id, 300);
  const rows = [400, 400, 200, 150, 100, 0, 1].map((size, n) => fileOf(id, `file-${n}`, size));
  const { saved, failed } = await db.files.saveMany(rows);
  t.equal(saved, 4);
  t.same(
    failed.map(({ index, error }) => [index, (error as QuotaExceededError).requestedBytes]),
    [
      [1, 400],
      [3, 150],
      [6, 1],
    ],
  );
  t.same(await figuresOf(db, id), [700, 300]);
});

t.test('quota-warning is told once, by the save or commit that crosses, after it is stored', async (t) => {
  const db = await openFresh(t);
  const heard: unknown[] = [];
  db.on('quota-warning', (warning) => heard.push(warning));
  const { id } = await db.clients.save({ name: 'alpha' });
  const held = await db.quotas.reserve(id, 900);
  t.same(heard, [], 'room that is held is not used');
  await held.commit(fileOf(id, 'a', 799));
  t.same(heard, []);
  const second = await db.quotas.reserve(id, 100);
  await second.commit(fileOf(id, 'b', 1));
  t.same(heard, [{ clientId: id, quotaBytes: 1_000, usedBytes: 800, warning: true }]);
  await db.files.save(fileOf(id, 'c', 1));
  t.equal(heard.length, 1);
  const last = await db.files.find(id, 'b');
  await db.files.delete(last?.id ?? '');
  await db.files.delete((await db.files.find(id, 'c'))?.id ?? '');
  const inside = async (fail: boolean) =>
    db.transaction(async (tx) => {
      const room = await tx.quotas.reserve(id, 10);
      t.equal((await room.commit(fileOf(id, 'd', 10))).quota.warning, true);
      t.equal(heard.length, 1, 'not before the transaction is stored');
      if (fail) throw new Error('no');
    });
  await t.rejects(inside(true), /no/);
  await inside(false);
  t.equal(heard.length, 2, 'a transaction that was rolled back is not told of');
});

t.test('deleting a client removes its reservations; another process sees what this one reserves', async (t) => {
  const database = `${t.testdir()}/catalog.db`;
  const db = await DatabaseManager.open({ database, defaultQuotaBytes: 1_000 });
  t.teardown(() => db.close());
  const { id } = await db.clients.save({ name: 'alpha' });
  const held = await db.quotas.reserve(id, 600);
  const other = fork(new URL('./fixtures/catalog-process.ts', import.meta.url), [database, '1000'], {
    execArgv: [],
    serialization: 'advanced',
  });
  await once(other, 'message');
  const ask = async (...path: [string, string]) => {
    const args = path[1] === 'get' ? [id] : [fileOf(id, 'file', 500)];
    other.send({ path, args });
    return ((await once(other, 'message')) as [unknown])[0];
  };
  t.match(await ask('quotas', 'get'), { ok: true, value: { reservedBytes: 600 } });
  t.match(await ask('files', 'save'), { ok: false, code: 'CATALOG_QUOTA_EXCEEDED' });
  await held.release();
  t.match(await ask('files', 'save'), { ok: true, value: { quota: { usedBytes: 500 } } });
  other.disconnect();
  await once(other, 'exit');
  await db.quotas.reserve(id, 1);
  await db.clients.delete(id);
  t.same(await db.query('SELECT count(*) AS n FROM quota_reservations'), [{ n: 0 }]);
});

t.test('quotas.audit() finds what raw SQL did to the record, and repair repairs exactly that', async (t) => {
  const db = await openFresh(t);
  const clean = { checked: 3, repaired: 0, driftBytes: 0, clients: [] };
  const ids: string[] = [];
  for (const name of ['alpha', 'beta', 'gamma']) {
    const { id } = await db.clients.save({ name });
    ids.push(id);
    for (const size of [100, 20, 3]) await db.files.save(fileOf(id, 'file', size));
  }
  const [alpha = '', beta = '', gamma = ''] = ids;
  t.same(await db.quotas.audit(), clean);
  const set = (bytes: number | null, id: string) =>
    db.execute('UPDATE client_quotas SET UsedBytes = ? WHERE ClientID = ?', [bytes, Buffer.from(id, 'hex')]);
  await set(200, alpha);
  await set(null, beta);
  await db.execute('DELETE FROM client_quotas WHERE ClientID = ?', [Buffer.from(gamma, 'hex')]);
  const clients = [
    { clientId: alpha, recordedBytes: 200, actualBytes: 123, driftBytes: 77 },
    { clientId: beta, recordedBytes: 0, actualBytes: 123, driftBytes: -123 },
    { clientId: gamma, recordedBytes: 0, actualBytes: 123, driftBytes: -123 },
  ];
  const found = { checked: 3, repaired: 0, driftBytes: 323, clients };
  t.same(await db.quotas.audit(), found);
  t.same(await db.quotas.audit({ repair: false }), found, 'looking changes nothing');
  const rolledBack = db.transaction(async (tx) => {
    t.same(await tx.quotas.audit({ repair: true }), { ...found, repaired: 3 });
    t.same(await tx.quotas.audit(), clean);
    throw new Error('no');
  });
  await t.rejects(rolledBack, /no/);
  t.same(await db.quotas.audit({ repair: true }), { ...found, repaired: 3 });
  t.same(await db.quotas.audit({ repair: true }), clean);
  const after = await Array.fromAsync(db.quotas.listAll());
  t.same(
    after.map(({ quotaBytes, usedBytes }) => [quotaBytes, usedBytes]),
    [
      [1_000, 123],
      [1_000, 123],
      [null, 123],
    ],
    'limits stay; a client that had no row has no limit',
  );
  await t.rejects(db.quotas.audit({ fix: true } as never), { code: 'CATALOG_VALIDATION' });
  await t.rejects(db.quotas.audit({ repair: 1 } as never), { code: 'CATALOG_VALIDATION', field: 'repair' });
  await t.rejects(db.quotas.audit({ signal: AbortSignal.abort() }), { name: 'AbortError' });
});

t.test('audits that repair side by side, with saves under way, leave the record exact', async (t) => {
  const db = await openFresh(t, { defaultQuotaBytes: null });
  const { id } = await db.clients.save({ name: 'alpha' });
  await db.files.saveMany(Array.from({ length: 200 }, (_, n) => fileOf(id, `file-${n}`, n)));
  for (const wrong of [0, 5, 1_000_000]) {
    await db.execute('UPDATE client_quotas SET UsedBytes = ?', [wrong]);
    const saves = db.files.saveMany(Array.from({ length: 100 }, (_, n) => fileOf(id, `file-${n}`, 1_000 + wrong + n)));
    await Promise.all([1, 2, 3].map(() => db.quotas.audit({ repair: true })));
    await saves;
    t.same(await db.quotas.audit(), { checked: 1, repaired: 0, driftBytes: 0, clients: [] });
  }
});

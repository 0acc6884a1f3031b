/** `db.analytics` beyond what the random histories compare: series without gaps, growth, forecast, measuring, audit. */
import { deepStrictEqual } from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { daysUntil, fitLine } from '../lib/analytics/forecast.ts';
import { addDays, eachDay, growthDays } from '../lib/analytics/growth.ts';
import { type CatalogOptions, DatabaseManager } from '../lib/index.ts';
import { distribution, Histogram } from '../lib/sql/histogram.ts';
import { holds } from './fixtures/property.ts';
import { openNew } from './fixtures/template.ts';

async function openFresh(t: Test, options: CatalogOptions = {}) {
  const db = await openNew({ database: `${t.testdir()}/catalog.db`, ...options });
  t.teardown(() => db.close());
  return db;
}

const today = () => new Date().toISOString().slice(0, 10);
const file = (clientId: string, n: number, fileSize = 100) => ({
  clientId,
  fileName: `f${n}.txt`,
  pathName: `/s/${n}`,
  fileSize,
});

t.test('transfers() has every day of its period once, with zeros where nothing happened', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  await db.execute(`INSERT INTO transfer_stats (Date, TotalFiles, TotalBytes, SuccessfulTransfers, FailedTransfers,
    AverageFileSize, PeakTransferSpeed) VALUES ('2026-02-27', 3, 20, 2, 1, 10, 7)`);
  const days = await db.analytics.transfers({ from: '2026-02-26', to: '2026-03-01' });
  t.same(
    days.map(({ date, totalFiles }) => [date, totalFiles]),
    [
      ['2026-02-26', 0],
      ['2026-02-27', 3],
      ['2026-02-28', 0],
      ['2026-03-01', 0],
    ],
  );
  await db.files.save({ ...file(id, 1, 90), transferSpeed: 50 });
  await db.files.save({ ...file(id, 2, 10), transferSpeed: 40 });
  await db.files.recordFailure({ clientId: id, fileName: 'f3.txt', bytes: 5, reason: 'the line went dead' });
  const month = await db.analytics.transfers();
  t.equal(month.length, 30);
  const last = month.at(-1);
  t.match(last, { totalFiles: 3, totalBytes: 100, successfulTransfers: 2, failedTransfers: 1 });
  t.match(last, { averageFileSize: 50, peakTransferSpeed: 50 });
  await t.rejects(db.analytics.transfers({ from: '2026-03-02', to: '2026-03-01' }), {
    code: 'CATALOG_VALIDATION',
    field: 'from',
  });
  await t.rejects(db.analytics.transfers({ form: '2026-03-02' } as never), { code: 'CATALOG_VALIDATION' });
});

t.test('activity() lists what clients did, newest first, by client and time', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const { id: other } = await db.clients.save({ name: 'beta' });
  for (let n = 0; n < 5; n += 1) await db.files.save(file(n === 2 ? other : id, n, n));
  await db.files.recordFailure({ clientId: id, fileName: 'f9.txt', bytes: 5, reason: 'the line went dead' });
  const { activity, nextCursor } = await db.analytics.activity({ clientId: id, limit: 3 });
  t.same(
    activity.map(({ activityType, bytesTransferred, fileName, reason }) => [
      activityType,
      bytesTransferred,
      fileName,
      reason,
    ]),
    [
      ['upload_failed', 5, 'f9.txt', 'the line went dead'],
      ['upload', 4, null, null],
      ['upload', 3, null, null],
    ],
  );
  const rest = await db.analytics.activity({ clientId: id, cursor: nextCursor });
  t.same(
    rest.activity.map(({ bytesTransferred }) => bytesTransferred),
    [1, 0],
  );
  t.equal(rest.nextCursor, null);
  t.equal((await Array.fromAsync(db.analytics.activityAll())).length, 6);
  t.equal((await db.analytics.activity({ from: today(), to: today() })).activity.length, 6, 'a day is a whole day');
  t.equal((await db.analytics.activity({ to: addDays(today(), -1) })).activity.length, 0);
});

t.test('activity older than its days is removed as saves come in', async (t) => {
  const db = await openFresh(t, { activityRetentionDays: 2, defaultQuotaBytes: null });
  const { id } = await db.clients.save({ name: 'alpha' });
  await db.executeMany(
    "INSERT INTO client_activity (ClientID, ActivityType, Timestamp) SELECT ID, 'upload', ? FROM clients",
    [3, 2.9, 1, 0].map((days) => [new Date(Date.now() - days * 86_400_000)]),
  );
  await db.files.saveMany(Array.from({ length: 1_100 }, (_, n) => file(id, n)));
  t.same(
    await db.query('SELECT count(*) AS n FROM client_activity WHERE Timestamp < ?', [
      new Date(Date.now() - 2 * 86_400_000),
    ]),
    [{ n: 0 }],
  );
  t.same(await db.query('SELECT sum(FileCount) AS n FROM client_activity'), [{ n: 1_100 }]);
});

t.test('growth() carries what was stored from day to day, for a client and for all', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  const { id: other } = await db.clients.save({ name: 'beta' });
  await db.files.save(file(id, 1, 10));
  await db.files.save({ ...file(id, 1, 30) });
  await db.files.save(file(other, 2, 5));
  const past = [
    [id, addDays(today(), -40), 1, 10, 10],
    [id, addDays(today(), -2), 2, 20, 25],
    [other, addDays(today(), -1), 1, 5, 5],
  ];
  await db.executeMany(
    'INSERT INTO daily_totals (ClientID, Date, Files, Bytes, UsedBytes) VALUES (unhex(?), ?, ?, ?, ?)',
    past as never,
  );
  const shown = (days: Awaited<ReturnType<typeof db.analytics.growth>>) =>
    days.map(({ date, files, bytes, usedBytes }) => [date, files, bytes, usedBytes]);
  t.same(shown(await db.analytics.growth({ days: 4 })), [
    [addDays(today(), -3), 1, 10, 10],
    [addDays(today(), -2), 2, 20, 25],
    [addDays(today(), -1), 3, 25, 30],
    [today(), 2, 35, 45],
  ]);
  t.same(shown(await db.analytics.growth({ days: 2, clientId: other })), [
    [addDays(today(), -1), 1, 5, 5],
    [today(), 1, 5, 5],
  ]);
});

t.test(
  'growthDays() equals a sum over the last known totals of each client, whatever the order of changes',
  async (t) => {
    const change = fc.record({
      clientId: fc.constantFrom('a', 'b', 'c'),
      date: fc.integer({ min: 0, max: 20 }).map((n) => addDays('2026-02-20', n)),
      files: fc.nat(9),
      bytes: fc.nat(99),
      usedBytes: fc.nat(99),
    });
    await holds(
      t,
      fc.property(fc.uniqueArray(change, { selector: ({ clientId, date }) => clientId + date }), (changes) => {
        const sorted = changes.toSorted((a, b) => (a.date < b.date ? -1 : 1));
        const days = eachDay('2026-02-25', '2026-03-08');
        const wanted = days.map((date) => {
          const known = ['a', 'b', 'c'].map((client) =>
            sorted.findLast((c) => c.clientId === client && c.date <= date),
          );
          return known.reduce((sum, totals) => sum + (totals?.bytes ?? 0), 0);
        });
        deepStrictEqual(
          growthDays(days, sorted, []).map(({ bytes }) => bytes),
          wanted,
        );
      }),
    );
  },
);

t.test('forecast() draws a line through the days and tells when the quota is full, and how sure that is', async (t) => {
  const db = await openFresh(t, { defaultQuotaBytes: 1_000 });
  const { id } = await db.clients.save({ name: 'alpha' });
  const nothing = { bytesPerDay: null, bytesPerDayError: null, residualBytes: null, daysLeft: null, fullAt: null };
  t.same(await db.analytics.forecast(id), { clientId: id, limitBytes: 1_000, presentBytes: 0, days: 0, ...nothing });
  t.match(await db.analytics.forecast(), { clientId: null, presentBytes: null, days: 0, ...nothing });
  await db.files.save(file(id, 1, 500));
  await db.executeMany(
    'INSERT INTO daily_totals (ClientID, Date, Files, Bytes, UsedBytes) VALUES (unhex(?), ?, 1, 0, ?)',
    [4, 3, 2, 1].map((back) => [id, addDays(today(), -back), 500 - back * 100]),
  );
  const forecast = await db.analytics.forecast(id);
  t.match(forecast, { limitBytes: 1_000, presentBytes: 500, days: 5, fullAt: addDays(today(), 5) });
  t.ok(Math.abs((forecast.bytesPerDay ?? 0) - 100) < 1e-6 && Math.abs((forecast.daysLeft ?? 0) - 5) < 1e-6);
  t.ok((forecast.bytesPerDayError ?? 1) < 1e-6 && (forecast.residualBytes ?? 1) < 1e-6, 'a straight line has no error');
  const full = { limitBytes: 500, daysLeft: 0, fullAt: today() };
  await db.quotas.set(id, { quotaBytes: 500 });
  await db.execute('UPDATE daily_totals SET UsedBytes = 1 WHERE Date < ?', [today()]);
  t.match(await db.analytics.forecast(id), { days: 5, ...full }, 'full, though the line is below the limit');
  await db.execute('DELETE FROM daily_totals WHERE Date < ?', [today()]);
  t.match(await db.analytics.forecast(id), { days: 1, bytesPerDay: null, ...full }, 'full on the first day');
  await db.quotas.set(id, { quotaBytes: null });
  t.match(await db.analytics.forecast(id), { limitBytes: null, fullAt: null, daysLeft: null });
  await t.rejects(db.analytics.forecast('f'.repeat(32)), { code: 'CATALOG_NOT_FOUND' });
  await db.executeMany(
    'INSERT INTO daily_sizes (Date, DatabaseBytes, FreeDiskBytes, MeasuredAt) VALUES (?, 1, ?, ?)',
    [2, 1, 0].map((back) => [addDays(today(), -back), 1_000 + back * 500, new Date()]),
  );
  t.match(await db.analytics.forecast(), { presentBytes: 1_000, days: 3, fullAt: addDays(today(), 2) });
});

t.test('fitLine() is the line of least squares', async (t) => {
  const points = fc.uniqueArray(
    fc.record({ day: fc.integer({ min: 0, max: 60 }), value: fc.integer({ min: -500, max: 500 }) }),
    {
      minLength: 2,
      maxLength: 12,
      selector: ({ day }) => day,
    },
  );
  await holds(
    t,
    fc.property(
      points,
      fc.double({ min: -1, max: 1, noNaN: true }),
      fc.double({ min: -1, max: 1, noNaN: true }),
      (given, a, b) => {
        const line = fitLine(given);
        if (line === null) throw new Error('two days make a line');
        const squares = (slope: number, intercept: number) =>
          given.reduce((sum, { day, value }) => sum + (value - intercept - slope * day) ** 2, 0);
        const best = squares(line.slope, line.intercept);
        return best <= squares(line.slope + a, line.intercept + b) * (1 + 1e-9) + 1e-6;
      },
    ),
  );
  t.equal(fitLine([{ day: 1, value: 1 }]), null);
  t.equal(daysUntil({ slope: -1, intercept: 5, slopeError: null, residual: 0 }, 10, 0), null);
  t.equal(daysUntil({ slope: 1, intercept: 50, slopeError: null, residual: 0 }, 10, 0), 0);
});

t.test('storage({ measure: true }) measures the folder of contents once, and says how old that is', async (t) => {
  const storageDir = `${t.testdir()}/contents`;
  const db = await DatabaseManager.open({ database: `${t.testdirName}/catalog.db`, storageDir });
  t.teardown(() => db.close());
  t.match((await db.analytics.storage({ measure: true })).storageInfo, {
    path: storageDir,
    exists: false,
    bytes: null,
  });
  mkdirSync(`${storageDir}/deep`, { recursive: true });
  writeFileSync(`${storageDir}/a`, 'x'.repeat(70));
  writeFileSync(`${storageDir}/deep/b`, 'x'.repeat(7));
  symlinkSync(`${storageDir}/a`, `${storageDir}/link`);
  t.match((await db.analytics.storage()).storageInfo, { exists: true, bytes: null, measuredAt: null, ageMs: null });
  const measured = (await db.analytics.storage({ measure: true })).storageInfo;
  t.match(measured, { exists: true, bytes: 77, ageMs: Number });
  writeFileSync(`${storageDir}/c`, 'x');
  t.match((await db.analytics.storage()).storageInfo, { bytes: 77, measuredAt: measured.measuredAt });
  t.match((await db.analytics.growth({ days: 1 }))[0], { databaseBytes: Number, freeDiskBytes: Number });
  // Put back, so that an instant that moved is seen whatever the clock says.
  await db.execute("UPDATE daily_sizes SET MeasuredAt = '2025-01-01T00:00:00.000Z'");
  const known = { bytes: 77, measuredAt: '2025-01-01T00:00:00.000Z' };
  rmSync(storageDir, { recursive: true });
  t.match((await db.analytics.storage({ measure: true })).storageInfo, { exists: false, ...known }, 'gone');
  writeFileSync(storageDir, 'x');
  t.match((await db.analytics.storage({ measure: true })).storageInfo, { exists: false, ...known }, 'a file');
  rmSync(storageDir);
  symlinkSync(storageDir, storageDir);
  await t.rejects(db.analytics.storage({ measure: true }), { code: 'CATALOG_IO' }, 'a link to itself');
  t.match((await db.analytics.storage()).storageInfo, { exists: false, ...known });
  rmSync(storageDir);
  symlinkSync(`${t.testdirName}/nowhere`, storageDir);
  t.match(
    (await db.analytics.storage({ measure: true })).storageInfo,
    { exists: false, ...known },
    'a link to nothing',
  );
  rmSync(storageDir);
  mkdirSync(`${t.testdirName}/elsewhere`);
  writeFileSync(`${t.testdirName}/elsewhere/a`, 'xx');
  symlinkSync(`${t.testdirName}/elsewhere`, storageDir);
  t.match(
    (await db.analytics.storage({ measure: true })).storageInfo,
    { exists: true, bytes: 2 },
    'a link to a folder',
  );
});

t.test('audit() finds what a server without our triggers changed, and repair makes it right', async (t) => {
  const db = await openFresh(t);
  const { id } = await db.clients.save({ name: 'alpha' });
  await db.files.saveMany(Array.from({ length: 20 }, (_, n) => file(id, n, n * 300)));
  t.match(await db.analytics.audit(), { repaired: 0, differences: [] });
  await db.execute("UPDATE file_totals SET Files = Files + 3, Bytes = 1 WHERE Extension = 'txt' AND SizeBand = 1");
  await db.execute('UPDATE client_quotas SET FileCount = 7');
  const { differences } = await db.analytics.audit();
  t.same(
    differences.map(({ total, recordedFiles, actualFiles }) => [total.split('/')[0], recordedFiles, actualFiles]),
    [
      ['files', 19, 16],
      ['client', 7, 20],
    ],
  );
  t.match(await db.analytics.audit({ repair: true }), { repaired: 2 });
  t.match(await db.analytics.audit({ repair: true }), { repaired: 0, differences: [] });
  t.match((await db.analytics.clients()).clients, [
    { clientId: id, name: 'alpha', files: 20, bytes: 57_000, usedBytes: 57_000 },
  ]);
  t.equal((await Array.fromAsync(db.analytics.clientsAll())).length, 1);
});

t.test('storage() tells how often statements were found prepared, and how long calls took', async (t) => {
  for (const poolSize of [1, 3]) {
    const db = await openFresh(t, { poolSize });
    const { id } = await db.clients.save({ name: 'alpha' });
    const before = (await db.analytics.storage()).performanceInfo;
    for (let n = 0; n < 50; n += 1) await db.files.save(file(id, n));
    for (let n = 0; n < 20; n += 1) await db.files.find(id, `f${n}.txt`);
    await t.rejects(db.files.save(file('f'.repeat(32), 1)), { code: 'CATALOG_NOT_FOUND' });
    const { performanceInfo } = await db.analytics.storage();
    const { statements, latency, cacheHitRate } = performanceInfo;
    t.ok(latency.writes.count - before.latency.writes.count >= 51, 'a call that failed took its time as well');
    t.ok(latency.reads.count - before.latency.reads.count >= 20);
    for (const { average, p50, p99 } of Object.values(latency)) {
      t.ok(average !== null && average > 0 && p50 !== null && p99 !== null && p50 <= p99);
    }
    const found = statements.found - before.statements.found;
    const prepared = statements.prepared - before.statements.prepared;
    t.ok(found > 50 * 5, `${found} found`);
    t.ok(prepared > 0 && prepared < 120, `${prepared} prepared: no statement once for each call`);
    t.equal(cacheHitRate, statements.found / (statements.found + statements.prepared));
    t.same(statements, db.stats().statements, 'what stats() tells');
    const again = await db.files.find(id, 'f1.txt');
    t.match(again, { fileName: 'f1.txt' });
    t.equal(
      db.stats().statements.prepared,
      statements.prepared,
      'a statement that was run before is not prepared again',
    );
    await db.close();
    t.equal(db.stats().statements.prepared >= statements.prepared, true, 'connections that are gone still count');
  }
});

t.test('distribution() tells the count, the average and bounds of what histograms hold', async (t) => {
  const bounds = [1, 5, 10, 50];
  t.same(distribution([]), { count: 0, average: null, p50: null, p99: null });
  t.same(distribution([{ bounds, counts: [0, 0, 0, 0, 0], sum: 0 }]), {
    count: 0,
    average: null,
    p50: null,
    p99: null,
  });
  t.same(distribution([{ bounds, counts: [0, 0, 0, 0, 1], sum: 70 }]), { count: 1, average: 70, p50: null, p99: null });
  const value = fc.double({ min: 0, max: 50, noNaN: true });
  await holds(
    t,
    fc.property(fc.array(value, { minLength: 1 }), fc.array(value), (first, second) => {
      const figures = [first, second].map((values) => {
        const histogram = new Histogram(bounds);
        for (const one of values) histogram.observe(one);
        return histogram.figures();
      });
      const all = [...first, ...second].sort((a, b) => a - b);
      const at = (share: number) => {
        const wanted = all[Math.ceil(all.length * share) - 1] ?? 0;
        return bounds.find((bound) => wanted <= bound);
      };
      const { count, average, p50, p99 } = distribution(figures);
      deepStrictEqual({ count, p50, p99 }, { count: all.length, p50: at(0.5), p99: at(0.99) });
      const mean = all.reduce((sum, one) => sum + one, 0) / all.length;
      return Math.abs((average ?? Number.NaN) - mean) < 1e-9 * (1 + mean);
    }),
  );
});

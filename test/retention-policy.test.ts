/**
 * The retention rules by themselves: histories worked out by hand from restic's documentation, and random ones against
 * a second implementation that builds sets instead of walking once.
 */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { BackupEntry } from '../lib/backup/list.ts';
import { checkBackupPolicy, planBackupPrune } from '../lib/backup/prune.ts';
import { applyPolicy, checkPolicy, type RetentionPolicy, reasonsOf } from '../lib/core/retention-policy.ts';
import { holds } from './fixtures/property.ts';
import { expectedReasons } from './retention-model.ts';

const LATER = Date.parse('2030-01-01T00:00:00.000Z');

interface Given {
  readonly dates: readonly (string | null)[];
  readonly active?: number;
  readonly at?: number;
}

/** The reasons for each version that stays, by its date. */
function keptBy(policy: RetentionPolicy, { dates, active, at = LATER }: Given): Record<string, string[]> {
  const versions = dates.map((date, place) => ({
    versionNumber: place + 1,
    created: date === null ? null : Date.parse(date),
    isActive: place === active,
  }));
  const masks = applyPolicy(versions, checkPolicy(policy), at);
  const kept = dates.map((date, place) => [date ?? 'none', reasonsOf(masks[place] ?? 0, policy)] as const);
  return Object.fromEntries(kept.filter(([, reasons]) => reasons.length > 0));
}

const at = (day: string, time = '12:00:00.000') => `${day}T${time}Z`;
const days = (...list: string[]) => list.map((day) => at(day));

t.test('keepLast keeps the newest, by date and then by number', (t) => {
  const dates = days('2025-01-03', '2025-01-01', '2025-01-03', '2025-01-02');
  t.same(keptBy({ keepLast: 3 }, { dates }), {
    [at('2025-01-03')]: ['last'],
    [at('2025-01-02')]: ['last'],
  });
  const versions = dates.map((date, n) => ({ versionNumber: n + 1, created: Date.parse(date), isActive: false }));
  t.same(
    applyPolicy(versions, checkPolicy({ keepLast: 1 }), LATER).map((mask) => mask !== 0),
    [false, false, true, false],
    'of two of one date the later number',
  );
  t.same(keptBy({ keepLast: 9 }, { dates: days('2025-01-01') }), { [at('2025-01-01')]: ['last'] });
  t.same(keptBy({ keepLast: -1 }, { dates: days('2025-01-01', '2025-01-02') }), {
    [at('2025-01-01')]: ['last'],
    [at('2025-01-02')]: ['last'],
  });
  t.same(keptBy({ keepLast: 1 }, { dates: [] }), {});
  t.end();
});

t.test('the newest of each hour, day and month is kept, and the oldest while a rule has not found enough', (t) => {
  const dates = [
    at('2025-02-28', '23:59:59.999'),
    at('2025-03-01', '00:00:00.000'),
    at('2025-03-01', '00:59:59.999'),
    at('2025-03-01', '01:00:00.000'),
    at('2025-03-01', '23:00:00.000'),
  ];
  t.same(keptBy({ keepHourly: 3 }, { dates }), {
    [at('2025-03-01', '23:00:00.000')]: ['hourly'],
    [at('2025-03-01', '01:00:00.000')]: ['hourly'],
    [at('2025-03-01', '00:59:59.999')]: ['hourly'],
  });
  t.same(keptBy({ keepDaily: 1 }, { dates }), { [at('2025-03-01', '23:00:00.000')]: ['daily'] });
  t.same(keptBy({ keepDaily: 2, keepMonthly: 2 }, { dates }), {
    [at('2025-03-01', '23:00:00.000')]: ['daily', 'monthly'],
    [at('2025-02-28', '23:59:59.999')]: ['daily', 'monthly'],
  });
  t.same(keptBy({ keepYearly: 2 }, { dates }), {
    [at('2025-03-01', '23:00:00.000')]: ['yearly'],
    [at('2025-02-28', '23:59:59.999')]: ['oldest yearly'],
  });
  t.same(keptBy({ keepYearly: 1 }, { dates }), { [at('2025-03-01', '23:00:00.000')]: ['yearly'] });
  t.same(
    keptBy({ keepYearly: -1 }, { dates }),
    keptBy({ keepYearly: 5 }, { dates }),
    'all counts as more than there are',
  );
  t.end();
});

t.test("four daily backups, made on Sundays, are four Sundays, as in restic's manual", (t) => {
  const sundays = ['2019-09-01', '2019-09-08', '2019-09-15', '2019-09-22', '2019-09-29', '2019-10-06', '2019-10-13'];
  t.same(Object.keys(keptBy({ keepDaily: 4 }, { dates: days(...sundays) })), days(...sundays.slice(3)));
  t.same(Object.keys(keptBy({ keepWeekly: 4 }, { dates: days(...sundays) })), days(...sundays.slice(3)));
  t.same(keptBy({ keepMonthly: 12 }, { dates: days(...sundays) }), {
    [at('2019-09-01')]: ['oldest monthly'],
    [at('2019-09-29')]: ['monthly'],
    [at('2019-10-13')]: ['monthly'],
  });
  t.end();
});

t.test('weeks are those of ISO 8601, also across the end of a year', (t) => {
  // 2020 has 53 weeks: Monday 28 December 2020 to Sunday 3 January 2021 is one of them.
  const dates = days('2020-12-27', '2020-12-28', '2020-12-31', '2021-01-01', '2021-01-03', '2021-01-04');
  t.same(keptBy({ keepWeekly: 3 }, { dates }), {
    [at('2020-12-27')]: ['weekly'],
    [at('2021-01-03')]: ['weekly'],
    [at('2021-01-04')]: ['weekly'],
  });
  t.same(keptBy({ keepYearly: 2 }, { dates }), { [at('2020-12-31')]: ['yearly'], [at('2021-01-04')]: ['yearly'] });
  const before1970 = days('1969-12-28', '1969-12-29', '1970-01-04', '1970-01-05');
  t.same(Object.keys(keptBy({ keepWeekly: 3 }, { dates: before1970 })), days('1969-12-28', '1970-01-04', '1970-01-05'));
  t.end();
});

t.test('keepWithin counts by the calendar from the newest version that is not in the future', (t) => {
  const leap = days('2023-02-28', '2024-02-28', '2024-02-29', '2024-03-31');
  const within = (keepWithin: string | number, dates = leap, now = LATER) =>
    Object.keys(keptBy({ keepWithin }, { dates, at: now }));
  // One month before 31 March is 31 February, which is carried over to 2 March in a leap year.
  t.same(within('1m'), days('2024-03-31'));
  t.same(
    within('1m', days('2023-03-03', '2023-03-04', '2023-03-31')),
    days('2023-03-04', '2023-03-31'),
    '3 March else',
  );
  t.same(within('31d'), days('2024-03-31'), 'exactly as old as the span is too old');
  t.same(within('31d1h'), days('2024-02-29', '2024-03-31'));
  t.same(
    within('1y', days('2023-02-28', '2023-03-01', '2024-02-29')),
    days('2024-02-29'),
    '29 February 2023 is 1 March',
  );
  t.same(within('1y1d', days('2023-02-28', '2023-03-01', '2024-02-29')), days('2023-03-01', '2024-02-29'));
  t.same(within(31 * 86_400_000 + 1), days('2024-02-29', '2024-03-31'), 'milliseconds');
  t.same(within('1y5m7d2h'), leap, 'all units together');
  t.same(within('2h7d5m1y'), leap, 'in any order');
  const now = Date.parse('2024-03-01T00:00:00.000Z');
  t.same(
    within('1d1h', leap, now),
    days('2024-02-28', '2024-02-29', '2024-03-31'),
    'the future stays, and is no measure',
  );
  t.same(within('1h', days('2029-01-01', '2029-06-01'), now), days('2029-01-01', '2029-06-01'), 'nothing but future');
  t.same(keptBy({ keepWithin: '30d' }, { dates: days('2024-01-01') }), { [at('2024-01-01')]: ['within 30d'] });
  t.same(keptBy({ keepWithin: 5 }, { dates: days('2024-01-01') }), { [at('2024-01-01')]: ['within 5 ms'] });
  t.end();
});

t.test('the active version stays in addition, and so does one without a readable date', (t) => {
  const dates = [at('2025-01-01'), null, at('2025-01-02'), at('2025-01-03')];
  t.same(keptBy({ keepLast: 1 }, { dates, active: 0 }), {
    [at('2025-01-01')]: ['active'],
    none: ['no date'],
    [at('2025-01-03')]: ['last'],
  });
  t.same(keptBy({ keepYearly: 2 }, { dates, active: 1 }), {
    none: ['active', 'no date'],
    [at('2025-01-01')]: ['oldest yearly'],
    [at('2025-01-03')]: ['yearly'],
  });
  t.end();
});

t.test('what is dated in the future stays, and fills no rule', (t) => {
  const dates = days('2025-01-01', '2025-01-02', '2025-01-03', '2031-05-05', '2031-05-06');
  const now = Date.parse(at('2025-01-03'));
  t.same(keptBy({ keepLast: 1, keepYearly: 2 }, { dates, at: now, active: 4 }), {
    [at('2025-01-01')]: ['oldest yearly'],
    [at('2025-01-03')]: ['last', 'yearly'],
    [at('2031-05-05')]: ['in the future'],
    [at('2031-05-06')]: ['active', 'in the future'],
  });
  t.same(keptBy({ keepWithin: '1d1h' }, { dates, at: now - 1 }), {
    [at('2025-01-01')]: ['within 1d1h'],
    [at('2025-01-02')]: ['within 1d1h'],
    [at('2025-01-03')]: ['in the future'],
    [at('2031-05-05')]: ['in the future'],
    [at('2031-05-06')]: ['in the future'],
  });
  t.end();
});

t.test('a policy that is empty, misspelt or out of bounds is refused by name', (t) => {
  const refused = (policy: unknown, wanted: object) =>
    t.throws(() => checkPolicy(policy as RetentionPolicy), { code: 'CATALOG_VALIDATION', ...wanted });
  for (const empty of [{}, { keepLast: 0 }, { keepLast: null, keepWithin: '0d' }, { keepWithin: 0, keepDaily: 0 }]) {
    refused(empty, { field: 'policy', received: /empty/, accepted: /keepLast.*keepWithin/ });
  }
  refused({ keepLasts: 1 }, { field: 'keepLasts', hint: 'Did you mean keepLast?' });
  refused({ keepTags: 1, keepLast: 1 }, { field: 'keepTags' });
  for (const count of [-2, 0.5, '7', Number.NaN, 2 ** 31, true]) refused({ keepDaily: count }, { field: 'keepDaily' });
  for (const span of [
    '',
    '30',
    'd',
    '-5d',
    '1w',
    '30D',
    ' 1d',
    '1d1d',
    '123456d',
    -1,
    Number.NaN,
    1e18,
    ['1d'],
    true,
  ]) {
    refused({ keepWithin: span }, { field: 'keepWithin' });
  }
  for (const policy of [undefined, null, [], 'keepLast']) refused(policy, { field: 'policy' });
  t.end();
});

// Around the ends of years, months and weeks, and wide apart.
const anchors = ['1969-12-31', '2015-12-31', '2019-12-30', '2020-02-29', '2021-01-03', '2024-12-31'].map(Date.parse);
const instant = fc
  .tuple(fc.constantFrom(...anchors), fc.integer({ min: -60, max: 60 }), fc.integer({ min: 0, max: 86_399_999 }))
  .map(([anchor, day, ms]) => new Date(anchor + day * 86_400_000 + ms).toISOString());
const histories = fc.uniqueArray(instant, { minLength: 1, maxLength: 40 });
const present = fc.oneof(fc.constant(new Date(LATER).toISOString()), instant);
const count = fc.option(fc.integer({ min: -1, max: 6 }), { nil: undefined, freq: 2 });
const isRule = (value: unknown) => value !== undefined && value !== 0;

t.test('random histories keep what a second implementation keeps, for the same reasons', async (t) => {
  const policies = fc
    .record({
      keepLast: count,
      keepHourly: count,
      keepDaily: count,
      keepWeekly: count,
      keepMonthly: count,
      keepYearly: count,
      keepWithin: fc.option(
        fc.integer({ min: 1, max: 2_000 }).map((hours) => `${hours}h`),
        { nil: undefined },
      ),
    })
    .filter((policy) => Object.values(policy).some(isRule));
  await holds(
    t,
    fc.property(policies, histories, fc.nat(), present, (policy, dates, pick, now) => {
      const active = dates[pick % dates.length] ?? '';
      const versions = dates.map((iso, place) => ({
        versionNumber: place + 1,
        created: Date.parse(iso),
        isActive: iso === active,
      }));
      const masks = applyPolicy(versions, checkPolicy(policy), Date.parse(now));
      const real = new Map(dates.map((iso, place) => [iso, reasonsOf(masks[place] ?? 0, policy)]));
      const newestFirst = [...dates].sort().reverse();
      deepStrictEqual(
        newestFirst.map((iso) => real.get(iso)),
        expectedReasons(
          policy,
          newestFirst.map((iso) => ({ iso, isActive: iso === active })),
          now,
        ),
      );
    }),
    { numRuns: 2_000 },
  );
});

const backupOf = (createdAt: string): BackupEntry => ({
  sequence: null,
  path: `/backups/${createdAt}.db`,
  sha256: '',
  bytes: 1,
  schemaVersion: 1,
  databaseId: 'a',
  counts: { clients: 0, files: 0, versions: 0 },
  createdAt,
  reason: '',
  compressed: false,
  own: true,
  problems: [],
});

t.test('versions and backups of the same dates are kept alike, for the same reasons', async (t) => {
  const policies = fc
    .record({ keepLast: count, keepDaily: count, keepWeekly: count, keepMonthly: count })
    .filter((policy) => Object.values(policy).some(isRule));
  await holds(
    t,
    fc.property(policies, histories, present, (policy, dates, now) => {
      const newestFirst = [...dates].sort().reverse();
      const at = Date.parse(now);
      const { kept } = planBackupPrune(newestFirst.map(backupOf), checkBackupPolicy(policy), null, at);
      deepStrictEqual(
        Object.fromEntries(kept.map(({ createdAt, reasons }) => [createdAt, reasons])),
        keptBy(policy, { dates, at }),
      );
    }),
    { numRuns: 1_000 },
  );
});

/** Ids and dates: every accepted form becomes the one that is stored, and what an old server stored comes out again. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { ValidationError } from '../lib/errors.ts';
import { checkDate, dateOut, dayOf, now } from '../lib/values/dates.ts';
import { checkedIdBytes, checkId, idBytes, newId } from '../lib/values/ids.ts';
import { holds } from './fixtures/property.ts';

// Far from UTC, so that what is read as local time shows.
process.env['TZ'] = 'America/St_Johns';

const ID = '0189e6f0d4a87c3b9a1f5e2d4c6b8a90';
const refused = { name: 'ValidationError', code: 'CATALOG_VALIDATION' };

t.test('an id is 32 lower-case hex digits, in whichever form it came', async (t) => {
  const dashed = '0189E6F0-d4a8-7C3b-9a1f-5e2d4c6b8a90';
  const forms = [ID, ID.toUpperCase(), dashed, Buffer.from(ID, 'hex'), Uint8Array.from(Buffer.from(ID, 'hex'))];
  t.same(
    forms.map((form) => checkId(form, 'id')),
    forms.map(() => ID),
  );
  const bad = [
    `{${dashed}}`,
    `urn:uuid:${dashed}`,
    ` ${ID}`,
    `${ID}\n`,
    ID.slice(1),
    dashed.replace('-', ''),
    Buffer.alloc(15),
  ];
  for (const form of bad) t.throws(() => checkId(form, 'clientId'), { ...refused, field: 'clientId' });
  const property = fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
    deepStrictEqual(Uint8Array.from(idBytes(checkId(bytes, 'id'))), bytes);
    deepStrictEqual(Uint8Array.from(checkedIdBytes(bytes)), bytes);
  });
  await holds(t, property);
});

t.test('what is no id is never bound as one', async (t) => {
  for (const none of ['', 'ab', `${ID}0`, ID.replace('0', 'x'), null, undefined, 5, new Uint8Array(15)]) {
    t.throws(() => checkedIdBytes(none as string), { ...refused, field: 'id' }, String(none));
  }
  t.equal(checkedIdBytes(ID).toString('hex'), ID);
});

t.test('a new id is always greater than the one before, and tells its time', async (t) => {
  const before = Date.now();
  const ids = Array.from({ length: 20_000 }, newId);
  t.ok(ids.every((id, i) => i === 0 || id > (ids[i - 1] ?? '')));
  t.equal(new Set(ids).size, ids.length);
  t.same(
    ids.map((id) => checkId(id, 'id')),
    ids,
  );
  const times = ids.map((id) => Number.parseInt(id.slice(0, 12), 16));
  t.ok(times.every((time) => time >= before && time <= Date.now()));
  t.ok(
    ids.every((id) => /^.{12}7.{3}[89ab]/.test(id)),
    'version 7, as RFC 9562 has it',
  );
});

const isLeap = (year: number) => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
const lastDay = (year: number, month: number) =>
  [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
const pad = (value: number, digits = 2) => String(value).padStart(digits, '0');

t.test('exactly the days of the calendar are accepted', async (t) => {
  const year = fc.oneof(
    fc.integer({ min: 0, max: 9_999 }),
    fc.constantFrom(0, 4, 100, 400, 1900, 1999, 2000, 2024, 2100),
  );
  const property = fc.property(year, fc.nat(14), fc.nat(33), (year, month, day) => {
    const text = `${pad(year, 4)}-${pad(month)}-${pad(day)}`;
    const exists = day >= 1 && day <= lastDay(year, month);
    for (const form of [text, `${text}T00:00Z`, `${text}T00:00:00.000Z`, `${text} 00:00:00`]) {
      if (exists) strictEqual(checkDate(form, 'date'), `${text}T00:00:00.000Z`);
      else strictEqual(isRefused(form), true, form);
      strictEqual(dateOut(form) !== null || !exists, true);
    }
  });
  await holds(t, property, { numRuns: 2_000 });
});

function isRefused(form: unknown): boolean {
  try {
    checkDate(form, 'date');
    return false;
  } catch (error) {
    return error instanceof ValidationError && error.field === 'date';
  }
}

t.test('an instant is the same whichever offset it is told in, and comes out as it went in', async (t) => {
  const min = new Date('0000-01-02T00:00:00Z');
  const max = new Date('9999-12-30T00:00:00Z');
  const instant = fc.date({ min, max, noInvalidDate: true });
  const property = fc.property(instant, fc.integer({ min: -840, max: 840 }), fc.boolean(), (date, offset, colon) => {
    const stored = date.toISOString();
    const [sign, minutes] = [offset < 0 ? '-' : '+', Math.abs(offset)];
    const zone = `${sign}${pad(Math.floor(minutes / 60))}${colon ? ':' : ''}${pad(minutes % 60)}`;
    const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, -1);
    const forms = [
      date,
      stored,
      stored.slice(0, -1),
      stored.toLowerCase(),
      `${local}${zone}`,
      `${local.replace('.', ',')}${zone}`,
    ];
    for (const form of forms) strictEqual(checkDate(form, 'date'), stored);
    strictEqual(dateOut(stored), stored);
    strictEqual(dateOut(`${local}${zone}`), stored);
    strictEqual(dayOf(stored), stored.slice(0, 10));
  });
  await holds(t, property, { numRuns: 1_000 });
});

t.test('what is no instant of the years 0000 to 9999 is refused', async (t) => {
  const bad: unknown[] = [
    ...[
      '',
      'now',
      '2024',
      '2024-1-1',
      '20240101',
      '2024-01-01T',
      '2024-01-01T1:00',
      '2024-01-01T25:00',
      '2024-01-01T00:60',
    ],
    ...[
      '2024-01-01T00:00:60',
      '2024-01-01T00:00:00.0000000001Z',
      '2024-01-01T00:00+99:00',
      '2024-01-01Z',
      ' 2024-01-01',
    ],
    ...[
      '10000-01-01',
      '-0001-01-01',
      '+002024-01-01T00:00:00.000Z',
      '0000-01-01T00:00+00:01',
      '9999-12-31T23:59-00:01',
    ],
    ...[
      '2024-01-01\0',
      '٢٠٢٤-01-01',
      0,
      1.7e12,
      null,
      true,
      [],
      {},
      new Date(Number.NaN),
      new Date(8.64e15),
      new Date(-1e15),
    ],
  ];
  t.same(
    bad.filter((form) => !isRefused(form)),
    [],
  );
  t.match(now(), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

t.test('what an old server stored comes out as a date, or as null', async (t) => {
  const stored: readonly [unknown, string | null][] = [
    ['2025-08-05T18:20:01.123456+00:00Z', '2025-08-05T18:20:01.123Z'],
    ['2025-08-05T18:20:01+00:00', '2025-08-05T18:20:01.000Z'],
    ['2025-08-05 18:20:01', '2025-08-05T18:20:01.000Z'],
    ['2025/08/05 18:20', null],
    ['', null],
    ['1722882000', null],
    ['2025-02-30', null],
    ['0000-01-01T00:00+01:00', null],
    [null, null],
    [1_722_882_000, null],
  ];
  t.same(
    stored.map(([value]) => dateOut(value)),
    stored.map(([, date]) => date),
  );
});

/** Checks of what callers pass in: every accepted form becomes one form, and everything else a typed refusal. */
import { ok, strictEqual } from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import t from 'tap';
import { ValidationError } from '../lib/errors.ts';
import { resolveOptions } from '../lib/options/reader.ts';
import * as v from '../lib/validation.ts';
import { checkDate } from '../lib/values/dates.ts';
import { checkFile } from '../lib/values/file-input.ts';
import { checkId } from '../lib/values/ids.ts';
import { holds } from './fixtures/property.ts';

const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withTypedArray: true,
  withNullPrototype: true,
  withMap: true,
  withSet: true,
  withSparseArray: true,
});

const ID = '0189e6f0d4a87c3b9a1f5e2d4c6b8a90';
const refused = { name: 'ValidationError', code: 'CATALOG_VALIDATION' };

/** Each check, and the plainest way to say what it accepts. */
const CHECKS: Readonly<
  Record<string, readonly [check: (value: unknown) => unknown, accepts: (value: never) => boolean]>
> = {
  text: [
    (value) => v.checkText(value, 'field', { max: 5 }),
    (value: string) =>
      typeof value === 'string' && [...value].length >= 1 && [...value].length <= 5 && /^[^\0\p{Cs}]*$/u.test(value),
  ],
  integer: [
    (value) => v.checkInteger(value, 'field', -2, 2 ** 53 - 1),
    (value: number) => Number.isSafeInteger(value) && value >= -2,
  ],
  number: [(value) => v.checkNumber(value, 'field', 0), (value: number) => Number.isFinite(value) && value >= 0],
  boolean: [(value) => v.checkBoolean(value, 'field'), (value: unknown) => value === true || value === false],
  bytes: [
    (value) => v.checkBytes(value, 'field', 4),
    (value: Uint8Array) => value instanceof Uint8Array && value.length >= 1 && value.length <= 4,
  ],
  signal: [(value) => v.checkSignal(value), (value: unknown) => value === undefined],
  object: [
    (value) => v.checkObject(value, 'field', new Set(['a', 'b'])),
    (value: object) =>
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      Object.keys(value).every((key) => /^[ab]$/.test(key)),
  ],
  options: [
    (value) => v.checkCallOptions(value),
    (value: object) =>
      value === undefined ||
      (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0),
  ],
  id: [
    (value) => checkId(value, 'field'),
    (value: string | Uint8Array) =>
      typeof value === 'string'
        ? /^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.test(value)
        : value instanceof Uint8Array && value.length === 16,
  ],
};

for (const [name, [check, accepts]] of Object.entries(CHECKS)) {
  t.test(`whatever it is given, the check of a ${name} takes exactly what it says`, async (t) => {
    const near = fc.oneof(
      anything,
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.double(),
      fc.integer(),
      fc.boolean(),
      fc.uint8Array({ maxLength: 17 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.nat()),
      fc.constantFrom(undefined, null, {}, '', ID, 2 ** 53, -0),
    );
    const property = fc.property(near, (value) => {
      const accepted = accepts(value as never);
      try {
        check(value);
        strictEqual(accepted, true, `took ${fc.stringify(value)}`);
      } catch (error) {
        if (!(error instanceof ValidationError)) throw error;
        strictEqual(accepted, false, error.message);
        ok(error.message.startsWith(`${error.field}: got ${error.received}; accepted: ${error.accepted}`));
        ok(error.received.length <= 150, 'what came is shown in a few words');
      }
    });
    await holds(t, property, { numRuns: 1_000 });
  });
}

t.test('what came is told in a few words, and bytes are only counted', async (t) => {
  const told: readonly [unknown, string][] = [
    [undefined, 'undefined'],
    [null, 'null'],
    [Buffer.from('secret'), '6 bytes'],
    ['a "text"', '"a \\"text\\""'],
    ['x'.repeat(61), `"${'x'.repeat(60)}…"`],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [new Date(Number.NaN), 'an invalid Date'],
    [[1, 2], 'an array of 2'],
    [{ secret: 1 }, 'an object'],
    [Object.create(null), 'an object'],
    [() => 'secret', 'a function'],
    [-5, 'number -5'],
    [5n, 'bigint 5'],
    [true, 'boolean true'],
    [Symbol('s'), 'symbol Symbol(s)'],
  ];
  t.same(
    told.map(([value]) => v.describe(value)),
    told.map(([, text]) => text),
  );
  t.throws(() => v.checkText('a\0b', 'name', { max: 9 }), { ...refused, received: 'a text with NUL' });
});

t.test('what came in the place of an id is not shown: it may be a key', async (t) => {
  const key = 'ab'.repeat(32);
  const told: readonly [unknown, string][] = [
    [key, 'a text of 64 characters'],
    ['', 'a text of 0 characters'],
    [Buffer.from(key, 'hex'), '32 bytes'],
    [Array.from(Buffer.from(key, 'hex')), 'an array of 32'],
    [12_345_678n, 'a bigint'],
    [Symbol(key), 'a symbol'],
    [undefined, 'undefined'],
    [{ key }, 'an object'],
  ];
  for (const [value, received] of told) t.throws(() => checkId(value, 'clientId'), { ...refused, received });
  const file = { clientId: key, fileName: 'a', pathName: 'a', fileSize: 1 };
  t.throws(() => checkFile(file), { ...refused, field: 'clientId', received: 'a text of 64 characters' });
  const operationId = key.repeat(99);
  t.throws(() => checkFile({ ...file, clientId: ID }, { operationId }), {
    ...refused,
    field: 'operationId',
    received: `a text of ${operationId.length} characters`,
  });
});

t.test('a key that is a symbol is as unknown as any other', async (t) => {
  const known = new Set(['signal']);
  t.throws(() => v.checkObject({ [Symbol('signal')]: 1 }, 'options', known, 'call.'), {
    ...refused,
    field: 'call.Symbol(signal)',
    received: 'an unknown key',
  });
  t.throws(() => resolveOptions({ [Symbol('database')]: 'x' } as never), { ...refused, field: 'Symbol(database)' });
  t.throws(() => v.checkCallOptions({ [Symbol.iterator]: 1 }), { ...refused, field: 'Symbol(Symbol.iterator)' });
  const hidden = Object.defineProperty({ signal: undefined }, Symbol('tag'), { value: 1, enumerable: false });
  t.same(v.checkCallOptions(hidden), { signal: undefined });
});

t.test('values that only pretend to be what is wanted are refused, and those of another realm taken', async (t) => {
  const pretenders = [Object.create(Date.prototype), Object.create(Uint8Array.prototype), { length: 16 }];
  for (const value of pretenders) {
    for (const check of [checkId, checkDate, (given: unknown) => v.checkBytes(given, 'field', 20)]) {
      t.throws(() => check(value, 'field'), { ...refused, received: 'an object' });
    }
  }
  t.equal(checkDate(runInNewContext('new Date(0)'), 'field'), '1970-01-01T00:00:00.000Z');
  t.equal(checkId(runInNewContext('new Uint8Array(16)'), 'field'), '0'.repeat(32));
});

t.test('a text is as long as its characters, whatever they take', async (t) => {
  t.equal(v.checkText('🎛️'.repeat(2), 'field', { max: 4 }), '🎛️🎛️');
  for (const text of ['🎛🎛🎛🎛🎛', 'x'.repeat(5), 'x'.repeat(10_000_000), '']) {
    t.throws(() => v.checkText(text, 'field', { max: 4 }), {
      ...refused,
      accepted: 'a text of 1 to 4 characters without NUL',
    });
  }
  t.throws(() => v.checkText('\ud83c', 'field', { max: 4 }), { ...refused, accepted: /without lone surrogates$/ });
  t.equal(v.checkText('', 'field', { min: 0, max: 4 }), '');
});

t.test('zero has no sign, and bytes are copied', async (t) => {
  t.ok(Object.is(v.checkInteger(-0, 'field', 0, 1), 0));
  t.ok(Object.is(v.checkNumber(-0, 'field', 0), 0));
  const given = Uint8Array.of(1, 2);
  const taken = v.checkBytes(given, 'field', 2);
  given[0] = 9;
  t.same(taken, Uint8Array.of(1, 2));
  t.throws(() => v.checkNumber(2, 'threshold', 0, 1), { ...refused, accepted: 'a number from 0 to 1' });
});

/** The errors of the library: what each says, and that it is the same on both sides of a thread. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { types } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import * as errors from '../lib/errors.ts';
import { saysFull } from '../lib/runtime/disk-space.ts';
import { codeOf, hasCode, reasonOf, resultCodeOf } from '../lib/runtime/thrown.ts';
import { holds } from './fixtures/property.ts';

const { DatabaseError, ERROR_CODES, reviveError, toWireError } = errors;

const RETRYABLE = ['CATALOG_BUSY', 'CATALOG_POOL_EXHAUSTED', 'CATALOG_TIMEOUT'];

const thereAndBack = (thrown: unknown) => reviveError(structuredClone(toWireError(thrown)));

/** Everything an error says, own and inherited, its causes included. */
const facts = (error: unknown): unknown =>
  error instanceof Error
    ? {
        class: error.constructor,
        ...error,
        name: error.name,
        message: error.message,
        stack: error.stack,
        cause: facts(error.cause),
      }
    : error;

t.test('each code says whether a retry may help and what to do, unless the error says it itself', async (t) => {
  for (const [code, { retryable, hint }] of Object.entries(ERROR_CODES)) {
    const error = new DatabaseError(code as errors.ErrorCode, 'what happened');
    t.match(error, { name: 'DatabaseError', code, retryable, hint, message: 'what happened' });
    t.equal(retryable, RETRYABLE.includes(code), code);
    t.match(hint, /^[A-Z][^.].*\.$/, 'a hint is a sentence');
    t.notOk('cause' in error);
  }
  const cause = new RangeError('why');
  const own = new DatabaseError('CATALOG_BUSY', 'what', { cause, retryable: false, hint: 'Do nothing.' });
  t.match(own, { retryable: false, hint: 'Do nothing.', cause });
});

const EXAMPLES: Readonly<Record<string, Error>> = {
  InvariantError: new errors.InvariantError('one writer at a time', 'there are two'),
  DangerousOperationError: new errors.DangerousOperationError({
    migration: '7 (lean-indexes)',
    operation: 'DROP TABLE',
    statement: 'DROP TABLE files',
  }),
  DatabaseError: new DatabaseError('CATALOG_IO', 'the disk', { retryable: true, cause: new TypeError('inner') }),
  ValidationError: new errors.ValidationError({ field: 'size', received: 'number -1', accepted: 'bytes' }),
  NotFoundError: new errors.NotFoundError('client ab', { hint: 'Look again.' }),
  DuplicateClientError: new errors.DuplicateClientError('näme "quoted"'),
  ConflictError: new errors.ConflictError('not now', { cause: new errors.NotFoundError('file') }),
  QuotaExceededError: new errors.QuotaExceededError({
    quotaBytes: 9,
    usedBytes: 8,
    reservedBytes: 1,
    requestedBytes: 2,
  }),
};

t.test('every class is the same on the other side of a thread, and a real error there', async (t) => {
  const classes = Object.entries(errors).flatMap(([name, value]) =>
    typeof value === 'function' && value.prototype instanceof Error ? [name] : [],
  );
  t.same(Object.keys(EXAMPLES).toSorted(), classes.toSorted(), 'each class has an example');
  for (const [name, error] of Object.entries(EXAMPLES)) {
    const revived = thereAndBack(error);
    t.strictSame(facts(revived), facts(error), name);
    t.equal(revived.constructor.name, name);
    t.equal(revived instanceof DatabaseError, error instanceof DatabaseError);
    t.equal(structuredClone(revived).message, error.message, 'a clone of it is an error as well');
    t.ok(structuredClone(revived) instanceof Error);
    t.same(Object.keys(revived).toSorted(), Object.keys(error).toSorted(), 'and shows the same properties');
  }
});

t.test('as JSON an error shows what it says of itself, and neither stack nor cause', async (t) => {
  const cause = new Error('inner');
  const error = new errors.ValidationError({ field: 'size', received: 'number -1', accepted: 'bytes' }, { cause });
  const json = {
    code: 'CATALOG_VALIDATION',
    message: 'size: got number -1; accepted: bytes',
    retryable: false,
    hint: ERROR_CODES.CATALOG_VALIDATION.hint,
    field: 'size',
    received: 'number -1',
    accepted: 'bytes',
  };
  t.same(JSON.parse(JSON.stringify(error)), json);
  t.same(JSON.parse(JSON.stringify(thereAndBack(error))), json, 'on the other side of a thread as well');
});

t.test('messages say what happened, with the figures', async (t) => {
  const quota = (reservedBytes: number) =>
    new errors.QuotaExceededError({ quotaBytes: 10, usedBytes: 7, reservedBytes, requestedBytes: 4 }).message;
  t.equal(quota(0), '4 bytes do not fit: 7 of 10 bytes are used');
  t.equal(quota(2), '4 bytes do not fit: 7 of 10 bytes are used and 2 reserved');
  const hint = (usedBytes: number, requestedBytes: number) =>
    new errors.QuotaExceededError({ quotaBytes: 10, usedBytes, reservedBytes: 5, requestedBytes }).hint;
  t.match(hint(0, 11), /^The file is larger than the client's whole quota/);
  t.match(hint(2, 8), /^Wait for the running uploads/);
  t.equal(hint(2, 9), ERROR_CODES.CATALOG_QUOTA_EXCEEDED.hint);
  t.equal(EXAMPLES['ValidationError']?.message, 'size: got number -1; accepted: bytes');
  t.equal(EXAMPLES['DuplicateClientError']?.message, 'the client name "näme \\"quoted\\"" is taken');
  t.equal(EXAMPLES['NotFoundError']?.message, 'client ab does not exist');
});

t.test('a foreign error keeps name, message, stack, code and plain fields; a built-in one its class', async (t) => {
  const system = Object.assign(new Error('no such file'), { code: 'ENOENT', errno: -2, path: '/x', nested: { a: 1 } });
  const { nested, ...plain } = system;
  t.strictSame(
    facts(thereAndBack(system)),
    facts(Object.assign(thereAndBack(new Error('no such file')), plain, { stack: system.stack })),
  );
  for (const built of [TypeError, RangeError, SyntaxError, ReferenceError, URIError, EvalError]) {
    t.equal(thereAndBack(new built('x')).constructor, built);
  }
  t.match(thereAndBack(new DOMException('gone', 'AbortError')), {
    constructor: Error,
    name: 'AbortError',
    message: 'gone',
  });
  class Own extends Error {
    override name = 'ConflictError';
  }
  t.notOk(thereAndBack(new Own('a name alone makes no class')) instanceof DatabaseError);
  class Newer extends DatabaseError {
    override name = 'constructor';
  }
  const newer = thereAndBack(new Newer('CATALOG_FULL', 'of a later release'));
  t.match(newer, { constructor: DatabaseError, name: 'constructor', code: 'CATALOG_FULL' });
});

t.test('what is no error becomes one with its text', async (t) => {
  const texts: readonly [unknown, string][] = [
    ['a text', 'a text'],
    [undefined, 'undefined'],
    [null, 'null'],
    [5n, '5'],
    [Symbol('s'), 'Symbol(s)'],
    [Object.create(null), 'a value without a text'],
    [Object.assign(new Error('no stack'), { stack: undefined }), 'no stack'],
  ];
  for (const [thrown, message] of texts) t.match(thereAndBack(thrown), { constructor: Error, name: 'Error', message });
});

t.test('an endless chain of causes is cut', async (t) => {
  const error = new Error('its own cause');
  error.cause = error;
  const depth = (one: unknown): number => (one instanceof Error ? 1 + depth(one.cause) : 0);
  t.equal(depth(thereAndBack(error)), 9);
});

t.test('whatever is thrown, it crosses as an error, and a second crossing changes nothing', async (t) => {
  const anything = fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withObjectString: true });
  const property = fc.property(
    anything,
    fc.boolean(),
    fc.dictionary(fc.string(), anything),
    (value, isError, fields) => {
      const thrown = isError
        ? Object.defineProperties(new Error('base'), Object.getOwnPropertyDescriptors(fields))
        : value;
      const wire = toWireError(thrown);
      const revived = reviveError(structuredClone(wire));
      strictEqual(types.isNativeError(revived), true);
      deepStrictEqual(toWireError(revived), structuredClone(wire));
    },
  );
  await holds(t, property, { numRuns: 500 });
});

t.test('what was thrown tells its code and its reason, whatever it is', async (t) => {
  const withFields = (fields: object) => Object.assign(new Error('why'), fields);
  const told = (thrown: unknown) => [codeOf(thrown), resultCodeOf(thrown), saysFull(thrown), reasonOf(thrown)];
  t.same(told(withFields({ code: 'ENOENT' })), ['ENOENT', undefined, false, 'why']);
  t.same(told(withFields({ code: 'ERR_SQLITE_ERROR', errcode: 267 })), ['ERR_SQLITE_ERROR', 11, false, 'why']);
  for (const full of [{ errcode: 13 }, { code: 'ENOSPC' }, { code: 'EDQUOT' }, { code: 'SQLITE_FULL' }]) {
    t.ok(saysFull(withFields(full)), JSON.stringify(full));
  }
  t.same(told(withFields({ code: 5 })), ['', undefined, false, 'why']);
  t.same(told({ code: 'ENOSPC' }), ['', undefined, false, '[object Object]']);
  t.same(told('a text'), ['', undefined, false, 'a text']);
  t.same(told(undefined), ['', undefined, false, 'undefined']);
  t.ok(hasCode(withFields({ code: 'EPERM' }), 'ENOENT', 'EPERM'));
  t.notOk(hasCode(new Error('why'), 'ENOENT'));
});

/** Files, pages and cursors as callers give them: what is derived, what is refused, and what a cursor may be. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { ValidationError } from '../lib/errors.ts';
import { CATEGORIES, categoryOf, extensionOf } from '../lib/values/file-category.ts';
import { checkFile, type FileInput, type SaveOptions } from '../lib/values/file-input.ts';
import { checkPage, cutPage, encodeCursor, everyItem, type PageOptions } from '../lib/values/pages.ts';
import { holds } from './fixtures/property.ts';

const ID = '0189e6f0d4a87c3b9a1f5e2d4c6b8a90';
const SMALLEST: FileInput = { clientId: ID, fileName: 'Report.PDF', pathName: '/store/1', fileSize: 0 };
const refused = { name: 'ValidationError', code: 'CATALOG_VALIDATION' };

const DERIVED = {
  id: null,
  clientId: ID,
  fileName: 'Report.PDF',
  pathName: '/store/1',
  originalPath: null,
  fileSize: 0,
  modificationDate: null,
  crc: null,
  verified: 0,
  category: null,
  derivedCategory: 'document',
  mimeType: 'application/pdf',
  extension: 'pdf',
  fileHash: null,
  transferDuration: null,
  transferSpeed: null,
  compressionRatio: null,
  ifChanged: false,
  operationId: null,
};

const OPTIONAL = Object.entries(DERIVED).flatMap(([field, value]) =>
  value === null && field !== 'operationId' ? [field] : [],
);

t.test('what a file leaves out is null or derived from its name', async (t) => {
  t.strictSame(checkFile(SMALLEST), DERIVED);
  const nothing = Object.fromEntries(OPTIONAL.map((field) => [field, null]));
  t.strictSame(checkFile({ ...nothing, ...SMALLEST }, { ifChanged: undefined, operationId: null }), DERIVED);
  t.strictSame(checkFile({ ...SMALLEST, originalPath: '' }).originalPath, null, 'an empty path is none');
});

t.test('every fact of a file is taken in the form it is stored in', async (t) => {
  const full: FileInput = {
    ...SMALLEST,
    id: Buffer.from(ID, 'hex'),
    originalPath: 'C:\\Ablage\\Report.PDF',
    fileSize: Number.MAX_SAFE_INTEGER,
    modificationDate: new Date(0),
    crc: 2 ** 32 - 1,
    verified: true,
    category: 'invoices',
    mimeType: 'text/plain',
    fileHash: 'ab'.repeat(32),
    transferDuration: 1.5,
    transferSpeed: 2.49,
    compressionRatio: 0.333,
  };
  t.strictSame(checkFile(full, { ifChanged: true, operationId: 'op-1' }), {
    ...DERIVED,
    ...full,
    id: ID,
    modificationDate: '1970-01-01T00:00:00.000Z',
    verified: 1,
    transferDuration: 2,
    transferSpeed: 2,
    ifChanged: true,
    operationId: 'op-1',
  });
});

const LONG = { fileName: 255, pathName: 32_767, originalPath: 32_767, category: 50, mimeType: 100, fileHash: 64 };

t.test('texts are taken up to their limit in characters, and no further', async (t) => {
  for (const [field, max] of Object.entries(LONG)) {
    for (const character of ['x', '🎛']) {
      t.doesNotThrow(() => checkFile({ ...SMALLEST, [field]: character.repeat(max) }), field);
      t.throws(() => checkFile({ ...SMALLEST, [field]: character.repeat(max + 1) }), { ...refused, field });
    }
    t.throws(() => checkFile({ ...SMALLEST, [field]: 'a\0' }), { ...refused, field, received: /NUL/ });
    t.throws(() => checkFile({ ...SMALLEST, [field]: 'a\ud800' }), { ...refused, field });
  }
  const named = (operationId: string) => checkFile(SMALLEST, { operationId }).operationId;
  t.equal(named('x'.repeat(128)), 'x'.repeat(128));
  for (const bad of ['', 'x'.repeat(129), '\0']) t.throws(() => named(bad), { ...refused, field: 'operationId' });
});

const BAD: Readonly<Record<string, readonly unknown[]>> = {
  id: ['', 'x', 5, new Uint8Array(15), {}],
  clientId: [undefined, null, '', ID.slice(1), 5],
  fileName: [undefined, null, '', 5, {}],
  pathName: [undefined, null, '', 5, []],
  originalPath: [5, {}, ['a']],
  fileSize: [undefined, null, -1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '5', 5n],
  modificationDate: ['', 'yesterday', '2025-02-30', 0, new Date(Number.NaN)],
  crc: [-1, 2 ** 32, 1.5, '0', 1n],
  verified: [0, 1, 'true', {}],
  category: ['', 5],
  mimeType: ['', 5],
  fileHash: ['', 5, new Uint8Array(32)],
  transferDuration: [-1, -0.001, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '5'],
  transferSpeed: [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '5'],
  compressionRatio: [-0.1, Number.NaN, Number.POSITIVE_INFINITY, '1'],
};

t.test('a bad fact is refused by its field, before anything else happens', async (t) => {
  for (const [field, values] of Object.entries(BAD)) {
    for (const value of values) t.throws(() => checkFile({ ...SMALLEST, [field]: value }), { ...refused, field });
  }
  for (const ifChanged of ['yes', 1, {}]) {
    t.throws(() => checkFile(SMALLEST, { ifChanged } as unknown as SaveOptions), { ...refused, field: 'ifChanged' });
  }
});

t.test('a misspelt key is refused, and the nearest named', async (t) => {
  const check = (file: object, options: object = {}) => checkFile(file as FileInput, options);
  t.throws(() => check({ ...SMALLEST, filename: 'x' }), {
    ...refused,
    field: 'filename',
    hint: 'Did you mean fileName?',
  });
  t.throws(() => check({ ...SMALLEST, colour: 'x' }), {
    ...refused,
    field: 'colour',
    accepted: /^one of id, clientId, /,
  });
  t.throws(() => check(SMALLEST, { operationID: 'x' }), {
    ...refused,
    field: 'operationID',
    hint: 'Did you mean operationId?',
  });
  for (const file of [undefined, null, [], 'x', () => SMALLEST])
    t.throws(() => check(file as object), { ...refused, field: 'file' });
});

t.test('whatever a field is given, the file is taken or the field refused', async (t) => {
  const anything = fc.anything({ withBigInt: true, withDate: true, withTypedArray: true, withNullPrototype: true });
  const value = fc.oneof(anything, fc.string({ unit: 'binary' }), fc.double(), fc.integer());
  const property = fc.property(fc.constantFrom(...Object.keys(BAD)), value, (field, given) => {
    try {
      const taken = checkFile({ ...SMALLEST, [field]: given });
      deepStrictEqual(structuredClone(taken), taken, 'what is taken can cross a thread');
      deepStrictEqual(checkFile({ ...SMALLEST, [field]: given }), taken);
    } catch (error) {
      if (!(error instanceof ValidationError)) throw error;
      strictEqual(error.field, field);
    }
  });
  await holds(t, property, { numRuns: 2_000 });
});

t.test('extension, type and category follow from the last extension of the name', async (t) => {
  const derived: readonly [string, string | null, string | null, string][] = [
    ['a.txt', 'txt', 'text/plain', 'document'],
    ['archive.tar.GZ', 'gz', 'application/gzip', 'archive'],
    ['photo.JPeG', 'jpeg', 'image/jpeg', 'image'],
    ['film.mkv', 'mkv', 'video/x-matroska', 'video'],
    ['song.flac', 'flac', 'audio/x-flac', 'audio'],
    ['table.csv', 'csv', 'text/csv', 'data'],
    ['x.unheardof', 'unheardof', null, 'other'],
    ['ÄPFEL.ÜX', 'üx', null, 'other'],
    ['README', null, null, 'other'],
    ['zip', null, null, 'other'],
    ['.json', null, null, 'other'],
    ['.profile', null, null, 'other'],
    ['..txt', 'txt', 'text/plain', 'document'],
    ['ends.', null, null, 'other'],
    ['v1. final', null, null, 'other'],
    ['a.b/c', null, null, 'other'],
    ['a.b\\c', null, null, 'other'],
    ['x.__proto__', '__proto__', null, 'other'],
    ['x.constructor', 'constructor', null, 'other'],
  ];
  const checked = derived.map(([fileName]) => {
    const { extension, mimeType, derivedCategory } = checkFile({ ...SMALLEST, fileName });
    return [fileName, extension, mimeType, derivedCategory];
  });
  t.same(checked, derived);
  t.equal(checkFile({ ...SMALLEST, fileName: 'index.ts' }).derivedCategory, 'code', 'no MPEG stream');
  t.equal(categoryOf(null), 'other');
  const property = fc.property(fc.string({ unit: 'binary', minLength: 1 }), (name) => {
    const extension = extensionOf(name);
    strictEqual(extension === null || name.toLowerCase().endsWith(`.${extension}`), true);
    strictEqual((CATEGORIES as readonly string[]).includes(categoryOf(extension)), true);
  });
  await holds(t, property);
});

t.test('a page has 1 to 1000 rows, and begins where its cursor says', async (t) => {
  const { signal } = new AbortController();
  t.strictSame(checkPage({}, 'list', 1), { limit: 100, after: null });
  t.strictSame(checkPage({ limit: 1, cursor: null, signal }, 'list', 1), { limit: 1, after: null });
  const cursor = encodeCursor('list', ['näme', 5]);
  t.strictSame(checkPage({ limit: 1_000, cursor }, 'list', 2), { limit: 1_000, after: ['näme', 5] });
  for (const limit of [0, 1_001, -1, 1.5, '10', null]) {
    t.throws(() => checkPage({ limit } as PageOptions, 'list', 1), { ...refused, field: 'limit' });
  }
  t.throws(() => checkPage({ offset: 5 } as PageOptions, 'list', 1), { ...refused, field: 'offset' });
  t.throws(() => checkPage({ signal: {} } as PageOptions, 'list', 1), { ...refused, field: 'signal' });
  t.throws(() => checkPage(null as unknown as PageOptions, 'list', 1), { ...refused, field: 'page' });
});

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

t.test('a cursor of another list, cut, lengthened or made up is refused', async (t) => {
  const cursor = encodeCursor('files.list', ['a', 'b']);
  const bad: unknown[] = [
    ...['', 'x', '!!!', cursor.slice(0, -2), cursor.slice(1), `x${cursor}`, 5, {}, [], new Date(0)],
    encodeCursor('clients.list', ['a', 'b']),
    encodeCursor('files.list', ['a']),
    encodeCursor('files.list', ['a', 'b', 'c']),
    ...[
      null,
      {},
      'files.list',
      ['files.list', 'a', null],
      ['files.list', ['a'], 'b'],
      ['files.list', { a: 1 }, 'b'],
    ].map(encode),
  ];
  for (const given of bad) {
    const page = { cursor: given } as PageOptions;
    t.throws(() => checkPage(page, 'files.list', 2), {
      ...refused,
      field: 'cursor',
      accepted: 'a nextCursor of files.list',
    });
  }
});

t.test('whatever the keys, a cursor gives them back; whatever the text, it is one or refused', async (t) => {
  const keys = fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.double({ noNaN: true, noDefaultInfinity: true })));
  const roundTrip = fc.property(keys, (given) => {
    const wellFormed = given.map((key) => (typeof key === 'string' ? key.toWellFormed() : key + 0));
    deepStrictEqual(checkPage({ cursor: encodeCursor('l', wellFormed) }, 'l', given.length).after, wellFormed);
  });
  await holds(t, roundTrip);
  const tampered = fc.property(
    fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.json().map((text) => btoa(text.toWellFormed().replace(/[^\0-\xff]/g, ''))),
    ),
    (cursor) => {
      try {
        const { after } = checkPage({ cursor }, 'l', 1);
        strictEqual(after?.length, 1);
      } catch (error) {
        if (!(error instanceof ValidationError)) throw error;
        strictEqual(error.field, 'cursor');
      }
    },
  );
  await holds(t, tampered, { numRuns: 500 });
});

t.test('pages of any size hold every row once, in order, and the last has no cursor', async (t) => {
  const property = fc.asyncProperty(fc.nat(40), fc.integer({ min: 1, max: 12 }), async (count, size) => {
    const rows = Array.from({ length: count }, (_, i) => i);
    const limits = new Set<number | undefined>();
    const fetch = async (options: PageOptions) => {
      limits.add(options.limit);
      const { after } = checkPage({ ...options, limit: size }, 'l', 1);
      const found = rows.filter((row) => after === null || row > Number(after[0])).slice(0, size + 1);
      const { rows: items, nextCursor } = cutPage(found, size, 'l', (row) => [row]);
      strictEqual(items.length <= size, true);
      return { items, nextCursor };
    };
    const all: number[] = [];
    for await (const row of everyItem(fetch)) all.push(row);
    deepStrictEqual(all, rows);
    deepStrictEqual([...limits], [1_000]);
  });
  await holds(t, property);
});

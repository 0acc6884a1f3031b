/** The table of options: defaults, environment, what is accepted, and how a mistake is told. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { pino } from 'pino';
import t from 'tap';
import { ValidationError } from '../lib/errors.ts';
import { resolveOptions } from '../lib/options/reader.ts';
import { OPTIONS } from '../lib/options/table.ts';
import { THRESHOLDS } from '../lib/options/thresholds.ts';
import type { CatalogOptions } from '../lib/options/types.ts';
import { holds } from './fixtures/property.ts';

const GIB = 1024 ** 3;
const MAX_TIMER = 2 ** 31 - 1;

interface Expected {
  readonly default: unknown;
  readonly good: readonly unknown[];
  readonly bad: readonly unknown[];
}

const path = (byDefault: string): Expected => ({
  default: byDefault,
  good: ['a', './a/b.db', 'C:\\Daten\\ä.db'],
  bad: ['', 5, null, true, {}, ['a'], new Uint8Array(3)],
});

const flag = (byDefault: boolean): Expected => ({
  default: byDefault,
  good: [true, false],
  bad: ['true', 0, 1, null, {}],
});

const whole = (byDefault: number, min: number, max: number): Expected => ({
  default: byDefault,
  good: [min, min + 1, max],
  bad: [min - 1, max + 1, min + 0.5, -1, Number.NaN, Number.POSITIVE_INFINITY, `${min}`, null, 5n, {}, Symbol('five')],
});

const choice = (byDefault: string, ...values: string[]): Expected => ({
  default: byDefault,
  good: values,
  bad: ['', values[0]?.toUpperCase(), null, 1, values],
});

/** What the table must say, option by option: an option that is added is added here. */
const EXPECTED: Readonly<Record<keyof CatalogOptions, Expected>> = {
  database: path('defensive.db'),
  create: flag(true),
  readOnly: flag(false),
  migrate: choice('auto', 'auto', 'off'),
  storageDir: path('received_files'),
  poolSize: whole(5, 1, 64),
  acquireTimeoutMs: whole(30_000, 1, MAX_TIMER),
  busyTimeoutMs: whole(5_000, 1, MAX_TIMER),
  closeTimeoutMs: whole(30_000, 1, MAX_TIMER),
  queueLimit: whole(32_768, 1, 10_000_000),
  durability: choice('full', 'full', 'normal'),
  defaultQuotaBytes: {
    default: GIB,
    good: [0, 1, GIB, Number.MAX_SAFE_INTEGER - 1, null],
    bad: [-1, 0.5, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY, 'unlimited', '5', 5n, {}],
  },
  activityRetentionDays: whole(90, 1, 36_500),
  allowRollbackJournal: flag(false),
  migrationBackup: flag(true),
  migrationValidation: flag(true),
  blockDangerousOperations: flag(true),
  backupDir: { default: undefined, good: ['a', './a/b'], bad: ['', 5, null, true, {}, ['a']] },
  legacyTimeZone: {
    default: undefined, // that of the system, looked up when an old date needs it
    good: ['UTC', 'Europe/Berlin', 'America/St_Johns'],
    bad: ['', 'Europe/Atlantis', 5, null, {}],
  },
  onMigrationProgress: { default: undefined, good: [() => undefined], bad: [null, true, 'log', {}] },
  procedureModules: {
    default: [],
    good: [[], [new URL('file:///a.js')], ['file:///a.js', 'data:text/javascript,']],
    bad: ['file:///a.js', null, {}],
  },
  threadArgv: {
    default: [],
    good: [[], ['--import', 'tsx']],
    bad: ['--import tsx', null, {}],
  },
  thresholds: {
    default: Object.fromEntries(THRESHOLDS.map(({ threshold, default: usual }) => [threshold, usual])),
    good: [],
    bad: [null, true, 5, 'backupAgeMs', []],
  },
  logger: { default: undefined, good: [pino({ level: 'silent' })], bad: [null, true, 'info', {}, () => 'log'] },
};

const problem = { name: 'ValidationError', code: 'CATALOG_VALIDATION' };
const row = (name: string) => OPTIONS.find(({ option }) => option === name);
const resolveAny = (options: unknown, environment = {}) => resolveOptions(options as CatalogOptions, environment);

t.test('every option has its default, and the result cannot be changed', async (t) => {
  t.same(OPTIONS.map(({ option }) => option).toSorted(), Object.keys(EXPECTED).toSorted());
  const defaults = Object.fromEntries(Object.entries(EXPECTED).map(([name, expected]) => [name, expected.default]));
  t.strictSame(resolveOptions({}, {}), defaults);
  t.strictSame(resolveOptions(undefined, {}), defaults);
  t.ok(Object.isFrozen(resolveOptions({}, {})));
});

for (const [name, { good, bad }] of Object.entries(EXPECTED)) {
  t.test(`${name} takes what is accepted and nothing else`, async (t) => {
    for (const value of good) t.strictSame(resolveAny({ [name]: value })[name as 'database'], value);
    for (const value of bad) {
      t.throws(() => resolveAny({ [name]: value }), { ...problem, field: name, accepted: row(name)?.accepted ?? '' });
    }
    t.strictSame(resolveAny({ [name]: undefined })[name as 'database'], EXPECTED[name as 'database'].default);
  });
}

t.test(
  'thresholds: those given are taken, the others keep their defaults, and anything else is refused by name',
  async (t) => {
    const { default: usual } = EXPECTED.thresholds;
    t.strictSame(resolveOptions({ thresholds: {} }).thresholds, usual);
    for (const { threshold, nullable } of THRESHOLDS) {
      const field = `thresholds.${threshold}`;
      const take = (value: unknown) => resolveAny({ thresholds: { [threshold]: value } }).thresholds;
      for (const value of [1, 1.5, 2 ** 31 - 1])
        t.strictSame(take(value), { ...(usual as object), [threshold]: value });
      t.strictSame(take(undefined), usual);
      for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY, '5', true, {}]) {
        t.throws(() => take(value), { ...problem, field }, threshold);
      }
      if (nullable) t.equal(take(null)[threshold], null);
      else t.throws(() => take(null), { ...problem, field });
      const misspelt = { ...problem, field: `${field}x`, hint: `Did you mean ${threshold}?` };
      t.throws(() => resolveAny({ thresholds: { [`${threshold}x`]: 1 } }), misspelt);
    }
    t.throws(() => resolveAny({ thresholds: { checkMs: 0 } }), {
      ...problem,
      field: 'thresholds.checkMs',
      accepted: /^milliseconds, 1 /,
    });
    t.ok(Object.isFrozen(resolveOptions().thresholds));
    const property = fc.property(
      fc.object({ key: fc.constantFrom(...THRESHOLDS.map(({ threshold }) => threshold)), maxDepth: 0 }),
      (given) => {
        try {
          deepStrictEqual(resolveAny({ thresholds: given }).thresholds, {
            ...(usual as object),
            ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
          });
        } catch (error) {
          if (!(error instanceof ValidationError)) throw error;
          const [, name = ''] = error.field.split('.');
          strictEqual(Object.hasOwn(given, name), true);
        }
      },
    );
    await holds(t, property);
  },
);

t.test('an explicit option wins over the environment, the environment over the default', async (t) => {
  const environment = {
    DATABASE_NAME: 'from-environment.db',
    FILE_STORAGE_DIR: 'files',
    CONNECTION_POOL_SIZE: ' 7 ',
    CONNECTION_TIMEOUT: '2.5',
    MIGRATION_BACKUP_ENABLED: 'off',
    BACKUP_DIR: 'copies',
    UNRELATED: 'x',
  };
  const taken = {
    database: 'from-environment.db',
    storageDir: 'files',
    poolSize: 7,
    acquireTimeoutMs: 2_500,
    migrationBackup: false,
    backupDir: 'copies',
  };
  t.match(resolveOptions({}, environment), taken);
  t.match(resolveOptions({ poolSize: 3, database: 'mine.db' }, environment), {
    ...taken,
    poolSize: 3,
    database: 'mine.db',
  });
  t.match(resolveOptions({}, { DATABASE_NAME: '', CONNECTION_POOL_SIZE: '' }), {
    database: 'defensive.db',
    poolSize: 5,
  });
  const variables = OPTIONS.filter(({ environment }) => environment !== null);
  t.same(Object.fromEntries(variables.map(({ option, environment }) => [option, environment])), {
    database: 'DATABASE_NAME',
    storageDir: 'FILE_STORAGE_DIR',
    poolSize: 'CONNECTION_POOL_SIZE',
    acquireTimeoutMs: 'CONNECTION_TIMEOUT',
    migrationBackup: 'MIGRATION_BACKUP_ENABLED',
    migrationValidation: 'MIGRATION_VALIDATION_ENABLED',
    blockDangerousOperations: 'DANGEROUS_OPERATIONS_BLOCKED',
    backupDir: 'BACKUP_DIR',
  });
});

t.test('the process’s own environment is read when no other is given', async (t) => {
  t.intercept(process, 'env', { value: { DATABASE_NAME: 'from-process.db' } });
  t.equal(resolveOptions().database, 'from-process.db');
});

t.test('a variable that is not accepted is refused by its name, in its own unit', async (t) => {
  const size = {
    ...problem,
    field: 'environment variable CONNECTION_POOL_SIZE',
    accepted: 'a whole number from 1 to 64',
  };
  for (const text of ['0', '65', '-1', '5.5', '1e1', '0x5', 'five', '5 5', '٥', ' ', 'Infinity', '9'.repeat(400)]) {
    const variable = { CONNECTION_POOL_SIZE: text };
    t.throws(() => resolveOptions({}, variable), size, JSON.stringify(text));
    t.match(resolveOptions({ poolSize: 2 }, variable), { poolSize: 2 }, 'unless an option is given');
  }
  t.throws(() => resolveOptions({}, { CONNECTION_POOL_SIZE: 'five' }), { ...size, received: '"five"' });
  const timeout = {
    ...problem,
    field: 'environment variable CONNECTION_TIMEOUT',
    accepted: 'seconds, 0.001 to 2147483.647',
  };
  for (const text of ['0', '0.0004', '2147484', 'soon']) {
    t.throws(() => resolveOptions({}, { CONNECTION_TIMEOUT: text }), { ...timeout, received: `"${text}"` });
  }
});

t.test('each kind of text is read as its option needs it', async (t) => {
  const parsed = (name: string, ...texts: string[]) => texts.map((text) => row(name)?.parse(text));
  t.same(parsed('readOnly', 'true', '1', 'YES', ' on ', 'false', '0', 'No', 'off', 'maybe', ''), [
    ...[true, true, true, true],
    ...[false, false, false, false],
    ...['maybe', ''],
  ]);
  t.same(parsed('poolSize', '5', '05', '5.25', 'x'), [5, 5, 5.25, 'x']);
  t.same(parsed('acquireTimeoutMs', '30', '0.5', 'x'), [30_000, 500, 'x']);
  t.same(parsed('defaultQuotaBytes', 'unlimited', 'UNLIMITED ', '1024', 'much'), [null, null, 1024, 'much']);
  t.same(parsed('database', ' a ', ''), [' a ', '']);
});

t.test('a module that is no URL is named by its place', async (t) => {
  const accepted = /^an absolute URL, such as /;
  for (const [bad, received] of [
    ['./a.js', '"./a.js"'],
    [5, 'number 5'],
  ]) {
    const modules = ['file:///a.js', bad];
    t.throws(() => resolveAny({ procedureModules: modules }), {
      ...problem,
      field: 'procedureModules[1]',
      received,
      accepted,
    });
  }
  for (const [bad, received] of [
    [5, 'number 5'],
    ['', '""'],
  ]) {
    t.throws(() => resolveAny({ threadArgv: ['--import', bad] }), {
      ...problem,
      field: 'threadArgv[1]',
      received,
      accepted: 'a flag of Node.js, or its value',
    });
  }
});

t.test('a key that is no option is refused, and the nearest option named', async (t) => {
  const meant = { poolsize: 'poolSize', databse: 'database', durabilty: 'durability', readonly: 'readOnly' };
  for (const [key, option] of Object.entries(meant)) {
    t.throws(() => resolveAny({ [key]: 1 }), { ...problem, field: key, hint: `Did you mean ${option}?` });
  }
  for (const option of Object.keys(EXPECTED)) {
    t.throws(() => resolveAny({ [`${option}x`]: 1 }), { ...problem, hint: `Did you mean ${option}?` });
  }
  for (const [key, hint] of [
    ['db_name', 'Did you mean database?'],
    ['quota', 'Did you mean defaultQuotaBytes?'],
    ['wal', /^Correct the value/],
  ] as const) {
    t.throws(() => resolveAny({ [key]: 'x' }), {
      ...problem,
      field: key,
      accepted: /^one of database, create, /,
      hint,
    });
  }
  t.throws(() => resolveAny({ database: 'x', use_pool: true }), { ...problem, field: 'use_pool' });
});

t.test('what is no object at all is refused', async (t) => {
  for (const [given, received] of [
    [null, 'null'],
    ['x.db', '"x.db"'],
    [[], 'an array of 0'],
    [5, 'number 5'],
  ] as const) {
    t.throws(() => resolveAny(given), { ...problem, field: 'options', received, accepted: 'an object' });
  }
});

t.test(
  'whatever an option is given, it is accepted as it is or refused by name, and never shown at length',
  async (t) => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withTypedArray: true, withNullPrototype: true });
    const property = fc.property(fc.constantFrom(...Object.keys(EXPECTED)), anything, (name, value) => {
      try {
        const expected = value ?? (value === null ? null : EXPECTED[name as 'database'].default);
        // Thresholds that are left out are filled in; a test of their own says how.
        const completed =
          name === 'thresholds' ? { ...(EXPECTED.thresholds.default as object), ...(expected as object) } : expected;
        deepStrictEqual(resolveAny({ [name]: value })[name as 'database'], completed);
      } catch (error) {
        if (!(error instanceof ValidationError)) throw error;
        strictEqual(error.field.split(/[.[]/)[0], name);
        strictEqual(error.received.length < 100, true);
      }
    });
    await holds(t, property, { numRuns: 1_000 });
  },
);

/**
 * The one table of options: name, environment variable, CLI flag, default, and what is accepted. `open`, the
 * environment and the CLI all use it; reader.ts reads them.
 */

import { isTimeZone } from '../runtime/time-zone.ts';
import { GIB } from '../values/byte-units.ts';
import { MAX_TIMER_MS } from '../values/intervals.ts';
import { resolveThresholds } from './thresholds.ts';
import type { CatalogOptions } from './types.ts';

/** One row of the table. */
export interface OptionRow {
  readonly option: keyof CatalogOptions;
  readonly environment: string | null;
  /** The CLI's long flag without dashes; null if the CLI has none. */
  readonly flag: string | null;
  readonly default: unknown;
  /** Describes a default that depends on the system. */
  readonly defaultText?: string;
  readonly accepted: string;
  /** What is accepted as text, if the text uses another unit. */
  readonly acceptedText?: string;
  readonly description: string;
  readonly accepts: (value: unknown) => boolean;
  /** For an array: the check of each element and its description. */
  readonly acceptsElement?: (value: unknown) => boolean;
  readonly acceptedElement?: string;
  /** Reads the text of an environment variable or flag. */
  readonly parse: (text: string) => unknown;
  /** Converts the given value, if a check is not enough. @throws {ValidationError} naming the part */
  readonly complete?: (given: unknown) => unknown;
}

const asText = (text: string): unknown => text;
const asNumber = (text: string): unknown => (/^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text);
const asMilliseconds = (text: string): unknown => {
  const seconds = asNumber(text);
  return typeof seconds === 'number' ? Math.round(seconds * 1000) : seconds;
};
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['true', '1', 'yes', 'on'].map((text): [string, boolean] => [text, true]),
  ...['false', '0', 'no', 'off'].map((text): [string, boolean] => [text, false]),
]);
const asBoolean = (text: string): unknown => BOOLEANS.get(text.trim().toLowerCase()) ?? text;
const asQuota = (text: string): unknown => (text.trim().toLowerCase() === 'unlimited' ? null : asNumber(text));

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isWhole = (value: unknown, min: number, max: number) =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
const orNothing = (accepts: OptionRow['accepts']) => (value: unknown) => value === undefined || accepts(value);
const isUrl = (value: unknown) => (typeof value === 'string' || value instanceof URL) && URL.canParse(String(value));

const isPath = (value: unknown) => isText(value) && !value.includes('\0') && value.isWellFormed();

const path = { accepts: isPath, accepted: 'a path', parse: asText };
const flagValue = {
  accepts: (value: unknown) => typeof value === 'boolean',
  accepted: 'true or false',
  parse: asBoolean,
};
const choice = (...values: readonly unknown[]) => ({
  accepts: (value: unknown) => values.includes(value),
  accepted: values.map((value) => `'${value}'`).join(' or '),
  parse: asText,
});
const whole = (min: number, max: number) => ({
  accepts: (value: unknown) => isWhole(value, min, max),
  accepted: `a whole number from ${min} to ${max}`,
  parse: asNumber,
});
const milliseconds = { ...whole(1, MAX_TIMER_MS), accepted: `milliseconds, 1 to ${MAX_TIMER_MS}` };

/** The table. */
export const OPTIONS: readonly OptionRow[] = [
  {
    option: 'database',
    environment: 'DATABASE_NAME',
    flag: 'database',
    default: 'defensive.db',
    description: 'the database file',
    ...path,
  },
  {
    option: 'create',
    environment: null,
    flag: null,
    default: true,
    description: 'create the file if it does not exist',
    ...flagValue,
  },
  {
    option: 'readOnly',
    environment: null,
    flag: null,
    default: false,
    description: 'refuse every change',
    ...flagValue,
  },
  {
    option: 'migrate',
    environment: null,
    flag: null,
    default: 'auto',
    description: "'auto' brings the schema up to date at open, 'off' refuses an outdated one",
    ...choice('auto', 'off'),
  },
  {
    option: 'storageDir',
    environment: 'FILE_STORAGE_DIR',
    flag: 'storage-dir',
    default: 'received_files',
    description: 'where the server stores contents; measured, never changed',
    ...path,
  },
  {
    option: 'poolSize',
    environment: 'CONNECTION_POOL_SIZE',
    flag: 'pool-size',
    default: 5,
    description: 'total number of connections, one of them the writer',
    ...whole(1, 64),
  },
  {
    option: 'acquireTimeoutMs',
    environment: 'CONNECTION_TIMEOUT',
    flag: null,
    default: 30_000,
    description: 'how long a call may wait for a connection (the environment variable in seconds)',
    ...milliseconds,
    acceptedText: `seconds, 0.001 to ${MAX_TIMER_MS / 1000}`,
    parse: asMilliseconds,
  },
  {
    option: 'busyTimeoutMs',
    environment: null,
    flag: null,
    default: 5_000,
    description: "how long to wait for another process's write lock",
    ...milliseconds,
  },
  {
    option: 'closeTimeoutMs',
    environment: null,
    flag: null,
    default: 30_000,
    description: 'how long `close` waits for accepted calls',
    ...milliseconds,
  },
  {
    option: 'queueLimit',
    environment: null,
    flag: null,
    default: 32_768,
    description: 'how many reads, and how many writes, may wait',
    ...whole(1, 10_000_000),
  },
  {
    option: 'durability',
    environment: null,
    flag: null,
    default: 'full',
    description: "'full' survives power loss, 'normal' a crash of the process",
    ...choice('full', 'normal'),
  },
  {
    option: 'defaultQuotaBytes',
    environment: null,
    flag: null,
    default: GIB,
    description: 'how much a new client may store; null for no limit',
    accepted: 'bytes, 0 to 2^53-2, or null for no limit',
    accepts: (value) => value === null || isWhole(value, 0, Number.MAX_SAFE_INTEGER - 1),
    parse: asQuota,
  },
  {
    option: 'activityRetentionDays',
    environment: null,
    flag: null,
    default: 90,
    description: 'how many days to keep activity',
    ...whole(1, 36_500),
  },
  {
    option: 'allowRollbackJournal',
    environment: null,
    flag: null,
    default: false,
    description: 'allow disks without write-ahead logging, and network file systems',
    ...flagValue,
  },
  {
    option: 'migrationBackup',
    environment: 'MIGRATION_BACKUP_ENABLED',
    flag: null,
    default: true,
    description: 'make a verified copy before changing the schema of an existing file',
    ...flagValue,
  },
  {
    option: 'migrationValidation',
    environment: 'MIGRATION_VALIDATION_ENABLED',
    flag: null,
    default: true,
    description: 'check integrity and foreign keys before and after changing the schema',
    ...flagValue,
  },
  {
    option: 'blockDangerousOperations',
    environment: 'DANGEROUS_OPERATIONS_BLOCKED',
    flag: null,
    default: true,
    description: 'refuse undeclared statements of migrations that can lose data',
    ...flagValue,
  },
  {
    option: 'backupDir',
    environment: 'BACKUP_DIR',
    flag: 'backup-dir',
    default: undefined,
    defaultText: '`backups` beside the database',
    description: 'the folder of backups',
    accepted: 'a path',
    accepts: orNothing(isPath),
    parse: asText,
  },
  {
    option: 'legacyTimeZone',
    environment: null,
    flag: 'legacy-time-zone',
    default: undefined,
    defaultText: "the system's, or UTC",
    description: 'the time zone of dates that an old server wrote without one',
    accepted: 'the IANA name of a time zone, such as Europe/Berlin',
    accepts: orNothing((value) => isText(value) && isTimeZone(value)),
    parse: asText,
  },
  {
    option: 'onMigrationProgress',
    environment: null,
    flag: null,
    default: undefined,
    description: 'receives the progress of migrations while the catalogue opens',
    accepted: 'a function',
    accepts: orNothing((value) => typeof value === 'function'),
    parse: asText,
  },
  {
    option: 'procedureModules',
    environment: null,
    flag: null,
    default: [],
    description: 'modules whose exported procedures the catalogue can run',
    accepted: 'an array of absolute URLs, such as new URL("./sessions.js", import.meta.url)',
    accepts: (value) => Array.isArray(value) && value.every(isUrl),
    acceptsElement: isUrl,
    acceptedElement: 'an absolute URL, such as new URL("./sessions.js", import.meta.url)',
    parse: asText,
  },
  {
    option: 'threadArgv',
    environment: null,
    flag: null,
    default: [],
    description: 'Node.js flags of connection threads, such as a loader for `procedureModules`',
    accepted: "an array of flags, such as ['--import', 'tsx']",
    accepts: (value) => Array.isArray(value) && value.every(isText),
    acceptsElement: isText,
    acceptedElement: 'a flag of Node.js, or its value',
    parse: asText,
    complete: (given) => [...(given as readonly string[])], // a plain array, which can be sent to a thread
  },
  {
    option: 'thresholds',
    environment: null,
    flag: null,
    default: resolveThresholds({}),
    defaultText: '[the table](#thresholds)',
    description: 'limits at which `health` warns; the rest keep their defaults',
    accepted: 'an object of thresholds',
    accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    parse: asText,
    complete: resolveThresholds,
  },
  {
    option: 'logger',
    environment: null,
    flag: null,
    default: undefined,
    description: 'a pino logger; silent if left out',
    accepted: 'a pino logger',
    accepts: orNothing((value) => typeof value === 'object' && value !== null && 'child' in value),
    parse: asText,
  },
];

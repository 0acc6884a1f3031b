/**
 * The one table of options: name, environment variable, CLI flag, default, and what is accepted. `open`, the
 * environment and the CLI all read it. An explicit option wins over the environment, the environment over the default;
 * a name that is not in the table is refused.
 */
import type { Logger } from 'pino';
import { z } from 'zod';
import { ValidationError } from './errors.ts';
import { describe, nearest } from './validation.ts';

/** Options of `DatabaseManager.open`; each has a row in the README's table. */
export interface CatalogOptions {
  /** The database file. Default `defensive.db`. */
  readonly database?: string | undefined;
  /** Make the file when it does not exist. Default true. */
  readonly create?: boolean | undefined;
  /** Refuse every change. Default false. */
  readonly readOnly?: boolean | undefined;
  /** `auto` brings the schema up to date at open, `off` refuses a file that is not. Default `auto`. */
  readonly migrate?: 'auto' | 'off' | undefined;
  /** Where the server keeps contents; measured for statistics, never changed. Default `received_files`. */
  readonly storageDir?: string | undefined;
  /** Connections in all, one of them the writer; 1 to 64. Default 5. */
  readonly poolSize?: number | undefined;
  /** Milliseconds a call may wait for a connection. Default 30,000. */
  readonly acquireTimeoutMs?: number | undefined;
  /** Milliseconds to wait for another process's write lock. Default 5,000. */
  readonly busyTimeoutMs?: number | undefined;
  /** Milliseconds `close` waits for what was accepted. Default 30,000. */
  readonly closeTimeoutMs?: number | undefined;
  /** Reads, and writes, that may wait at once. Default 32,768 each. */
  readonly queueLimit?: number | undefined;
  /** `full`: an acknowledged change survives power loss; `normal`: it survives a crash of the process. Default `full`. */
  readonly durability?: 'full' | 'normal' | undefined;
  /** Bytes a new client may store, null for no limit. Default 1 GiB. */
  readonly defaultQuotaBytes?: number | null | undefined;
  /** Days that activity is kept, 1 to 36,500. Default 90. */
  readonly activityRetentionDays?: number | undefined;
  /** Go on where write-ahead logging is impossible, and on network file systems. Default false. */
  readonly allowRollbackJournal?: boolean | undefined;
  /** Modules whose exported procedures the catalogue can run, as absolute URLs. Default none. */
  readonly procedureModules?: readonly (string | URL)[] | undefined;
  /** A pino logger; every module logs through a child of it. Default: silent. */
  readonly logger?: Logger | undefined;
}

/** Options with every default filled in. */
export interface ResolvedOptions {
  readonly database: string;
  readonly create: boolean;
  readonly readOnly: boolean;
  readonly migrate: 'auto' | 'off';
  readonly storageDir: string;
  readonly poolSize: number;
  readonly acquireTimeoutMs: number;
  readonly busyTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly queueLimit: number;
  readonly durability: 'full' | 'normal';
  readonly defaultQuotaBytes: number | null;
  readonly activityRetentionDays: number;
  readonly allowRollbackJournal: boolean;
  readonly procedureModules: readonly (string | URL)[];
  readonly logger: Logger | undefined;
}

/** One row of the table. */
export interface OptionRow {
  readonly option: keyof CatalogOptions;
  readonly environment: string | null;
  /** The CLI's long flag without its dashes; null where a command line cannot give it. */
  readonly flag: string | null;
  readonly default: unknown;
  readonly accepted: string;
  /** What is accepted as a text, where that is told in another unit. */
  readonly acceptedText?: string;
  readonly description: string;
  readonly schema: z.ZodType;
  /** Reads the text of an environment variable or flag. */
  readonly parse: (text: string) => unknown;
}

const MAX_TIMER_MS = 2 ** 31 - 1; // the longest delay of setTimeout
const GIB = 1024 ** 3;

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

const path = { schema: z.string().min(1), accepted: 'a path', parse: asText };
const flagValue = { schema: z.boolean(), accepted: 'true or false', parse: asBoolean };
const choice = (...values: [string, ...string[]]) => ({
  schema: z.enum(values),
  accepted: values.map((value) => `'${value}'`).join(' or '),
  parse: asText,
});
const whole = (min: number, max: number) => ({
  schema: z.int().min(min).max(max),
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
    description: 'make the file when it does not exist',
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
    description: "'auto' brings the schema up to date at open, 'off' refuses a file that is not",
    ...choice('auto', 'off'),
  },
  {
    option: 'storageDir',
    environment: 'FILE_STORAGE_DIR',
    flag: 'storage-dir',
    default: 'received_files',
    description: 'where the server keeps contents; measured, never changed',
    ...path,
  },
  {
    option: 'poolSize',
    environment: 'CONNECTION_POOL_SIZE',
    flag: 'pool-size',
    default: 5,
    description: 'connections in all, one of them the writer',
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
    description: 'how long `close` waits for what was accepted',
    ...milliseconds,
  },
  {
    option: 'queueLimit',
    environment: null,
    flag: null,
    default: 32_768,
    description: 'reads, and writes, that may wait at once',
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
    description: 'bytes a new client may store; null for no limit',
    accepted: 'bytes, 0 to 2^53-2, or null for no limit',
    schema: z
      .int()
      .min(0)
      .max(Number.MAX_SAFE_INTEGER - 1)
      .nullable(),
    parse: asQuota,
  },
  {
    option: 'activityRetentionDays',
    environment: null,
    flag: null,
    default: 90,
    description: 'days that activity is kept',
    ...whole(1, 36_500),
  },
  {
    option: 'allowRollbackJournal',
    environment: null,
    flag: null,
    default: false,
    description: 'go on where write-ahead logging is impossible, and on network file systems',
    ...flagValue,
  },
  {
    option: 'procedureModules',
    environment: null,
    flag: null,
    default: [],
    description: 'modules whose exported procedures the catalogue can run',
    accepted: 'an array of absolute URLs, such as new URL("./sessions.js", import.meta.url)',
    schema: z.array(
      z.custom((value) => (typeof value === 'string' || value instanceof URL) && URL.canParse(String(value))),
    ),
    parse: asText,
  },
  {
    option: 'logger',
    environment: null,
    flag: null,
    default: undefined,
    description: 'a pino logger; silent if left out',
    accepted: 'a pino logger',
    schema: z.custom((value) => typeof value === 'object' && value !== null && 'child' in value).optional(),
    parse: asText,
  },
];

function resolveOne(row: OptionRow, given: unknown, environment: NodeJS.ProcessEnv): unknown {
  const variable = row.environment === null ? undefined : environment[row.environment];
  if (given === undefined && variable !== undefined && variable !== '') return fromVariable(row, variable);
  const value = given === undefined ? row.default : given;
  if (row.schema.safeParse(value).success) return value;
  throw new ValidationError({ field: row.option, received: describe(value), accepted: row.accepted });
}

function fromVariable(
  { environment, parse, schema, accepted, acceptedText = accepted }: OptionRow,
  text: string,
): unknown {
  const value = parse(text);
  if (schema.safeParse(value).success) return value;
  const field = `environment variable ${environment}`;
  throw new ValidationError({ field, received: describe(text), accepted: acceptedText });
}

/**
 * Every option with its value, checked.
 * @throws {ValidationError} for a name that is not in the table (naming the nearest that is) or a value not accepted
 */
export function resolveOptions(
  options: CatalogOptions = {},
  environment: NodeJS.ProcessEnv = process.env,
): ResolvedOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ValidationError({ field: 'options', received: describe(options), accepted: 'an object' });
  }
  const names = OPTIONS.map(({ option }) => option);
  for (const key of Object.keys(options)) refuseUnknown(key, names);
  const values = OPTIONS.map((row) => [row.option, resolveOne(row, options[row.option], environment)]);
  return Object.freeze(Object.fromEntries(values));
}

function refuseUnknown(key: string, names: readonly string[]): void {
  if (names.includes(key)) return;
  const meant = nearest(key, names);
  const hint = meant === undefined ? {} : { hint: `Did you mean ${meant}?` };
  throw new ValidationError(
    { field: key, received: 'an unknown option', accepted: `one of ${names.join(', ')}` },
    hint,
  );
}

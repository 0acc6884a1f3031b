/**
 * The settings that every command takes: those of the library's own table that have a flag, and the CLI's. A flag wins
 * over the environment, the environment over the default.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { pino } from 'pino';
import { type CatalogOptions, DatabaseError, DatabaseManager, OPTIONS, type OptionRow } from '../lib/index.ts';
import type { Access, Call } from './command.ts';
import { systemCode } from './system-error.ts';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

export interface Settings {
  readonly json?: boolean;
  readonly logLevel: string;
  readonly [flag: string]: unknown;
}

function parseFlag(row: OptionRow, text: string): unknown {
  const value = row.parse(text);
  if (row.accepts(value)) return value;
  throw new InvalidArgumentError(`Accepted: ${row.accepted}.`);
}

// No default is given to commander: a flag that was left out must not win over the environment.
function flagOf(row: OptionRow): Option {
  const environment = row.environment === null ? '' : `, or ${row.environment} in the environment`;
  const option = new Option(
    `--${row.flag} <value>`,
    `${row.description} (default: ${row.default ?? row.defaultText}${environment})`,
  );
  return option.argParser((text) => parseFlag(row, text));
}

const FLAGS = OPTIONS.filter(({ flag }) => flag !== null).map((row) => ({ row, flag: flagOf(row) }));

/** Declares them on the program. */
export function addSettings(program: Command): void {
  for (const { flag } of FLAGS) program.addOption(flag);
  program.option('--json', 'print the result as JSON, dates in UTC, sizes in bytes');
  program.addOption(
    new Option('--log-level <level>', 'log to stderr, as JSON lines').choices(LOG_LEVELS).default('warn'),
  );
}

/** The settings as options of `DatabaseManager.open`. */
function libraryOptions(settings: Settings): CatalogOptions {
  const given = FLAGS.map(({ row, flag }) => [row.option, settings[flag.attributeName()]]);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

/** The path of the database that is meant, as `DatabaseManager.open` would find it. */
function databaseOf({ database }: CatalogOptions): string {
  const row = OPTIONS.find(({ option }) => option === 'database');
  const fromEnvironment = process.env[row?.environment ?? ''] || undefined;
  return resolve(String(database ?? fromEnvironment ?? row?.default));
}

/** What every command needs of the settings. */
export function surroundings(
  settings: Settings,
): Pick<Call, 'json' | 'database' | 'logger' | 'withCatalog' | 'withMigrations' | 'restoreCatalog'> {
  const options = libraryOptions(settings);
  const database = databaseOf(options);
  const logger = pino({ level: settings.logLevel }, pino.destination({ fd: 2, sync: true }));
  const withCatalog: Call['withCatalog'] = async (use, access = 'read') => {
    // A command that looks at a catalogue, of a server that is older perhaps, must not change its schema by the way.
    const migrate = access === 'create' ? 'auto' : 'off';
    const given = { ...options, create: access === 'create', migrate, logger } as const;
    const db = await opened(given, { database, access }, (wanted) => DatabaseManager.open(wanted));
    try {
      return await use(db);
    } finally {
      await db.close();
    }
  };
  const withMigrations: Call['withMigrations'] = async (use, access = 'read') => {
    const given = { ...options, create: false, logger };
    const migrations = await opened(given, { database, access }, (wanted) => DatabaseManager.openMigrations(wanted));
    try {
      return await use(migrations);
    } finally {
      await migrations.close();
    }
  };
  const restoreCatalog: Call['restoreCatalog'] = async (from, how) => {
    if (await isBackup(database)) throw asBackup(database);
    return DatabaseManager.restore({ ...options, ...how, logger, from });
  };
  return { json: settings.json === true, database, logger, withCatalog, withMigrations, restoreCatalog };
}

type Open<Opened> = (options: CatalogOptions) => Promise<Opened>;

interface Wanted {
  readonly database: string;
  readonly access: Access;
}

/** Opens a file as a command may; what only reads makes do with a file that may not be written, and leaves a backup as it is. */
async function opened<Opened>(
  given: CatalogOptions,
  { database, access }: Wanted,
  open: Open<Opened>,
): Promise<Opened> {
  if (access !== 'create') await refuseEmpty(database);
  if (await isBackup(database)) {
    if (access !== 'read' || isCompressed(database)) throw asBackup(database);
    return open({ ...given, readOnly: true });
  }
  try {
    return await open(given);
  } catch (error) {
    if (access === 'read' && isUnwritable(error)) return open({ ...given, readOnly: true });
    throw explained(error, given);
  }
}

const statOf = (path: string) => stat(path).catch(() => undefined);

/** Whether a file is a backup: what opens it as a catalogue to be written changes it, and it verifies no more. */
const isBackup = async (path: string): Promise<boolean> => (await statOf(`${path}.manifest.json`))?.isFile() === true;

const isCompressed = (path: string) => path.endsWith('.zst');

function asBackup(path: string): DatabaseError {
  const hint = 'Restore it into a file of its own, and work on that: `backup-catalog restore FILE --database look.db`.';
  const what = isCompressed(path)
    ? 'a compressed backup, which is no database yet'
    : 'a backup, which this would make worthless';
  return new DatabaseError('CATALOG_READ_ONLY', `${path} is ${what}`, { hint });
}

/** SQLite would make a database of an empty file by the way. @throws {DatabaseError} CATALOG_MIGRATION_PENDING */
async function refuseEmpty(database: string): Promise<void> {
  const sizeOf = async (path: string) => (await statOf(path))?.size;
  // An empty file whose log is not is another matter, which the library tells of.
  if ((await sizeOf(database)) !== 0 || (await sizeOf(`${database}-wal`))) return;
  const hint = '`ingest` or `migrate` makes a catalogue of it.';
  throw new DatabaseError('CATALOG_MIGRATION_PENDING', `${database} is an empty file`, { hint });
}

const UNWRITABLE = /^SQLITE_(?:READONLY|CANTOPEN|PERM)/;

/** Whether a file could not be opened because it, or its folder, may not be written. */
const isUnwritable = (error: unknown) =>
  error instanceof DatabaseError && (error.code === 'CATALOG_READ_ONLY' || UNWRITABLE.test(codeOf(error.cause)));

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : '');

/** Tells what to do where a file is missing. */
function explained(error: unknown, options: CatalogOptions): unknown {
  const isMissing = error instanceof DatabaseError && systemCode(error.cause) === 'ENOENT';
  if (!isMissing || options.create) return error;
  const hint = 'Check --database; `backup-catalog ingest DIR --client NAME` makes a new catalogue.';
  return new DatabaseError(error.code, error.message, { cause: error, hint });
}

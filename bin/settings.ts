/**
 * The settings of every command: the library's options that have a flag, and the CLI's own. A flag overrides the
 * environment, which overrides the default.
 */
import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { pino } from 'pino';
import { type CatalogOptions, DatabaseError, DatabaseManager, OPTIONS, type OptionRow } from '../lib/index.ts';
import type { Access, Call } from './command.ts';
import { write } from './output.ts';
import { systemCode } from './system-error.ts';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

export interface Settings {
  readonly json?: boolean;
  readonly logLevel?: string;
  readonly [flag: string]: unknown;
}

function parseFlag(row: OptionRow, text: string): unknown {
  const value = row.parse(text);
  if (row.accepts(value)) return value;
  throw new InvalidArgumentError(`Accepted: ${row.accepted}.`);
}

// No defaults for commander: an omitted flag must not override the environment.
function flagOf(row: OptionRow): Option {
  const environment = row.environment === null ? '' : `, or ${row.environment} in the environment`;
  const option = new Option(
    `--${row.flag} <value>`,
    `${row.description} (default: ${row.default ?? row.defaultText}${environment})`,
  );
  return option.argParser((text) => parseFlag(row, text));
}

const FLAGS = OPTIONS.filter(({ flag }) => flag !== null).map((row) => ({ row, flag: flagOf(row) }));

/** Adds them to the program. */
export function addSettings(program: Command): void {
  for (const { flag } of FLAGS) program.addOption(flag);
  program.option('--json', 'print the result as JSON, dates in UTC, sizes in bytes');
  const log = 'log to stderr, as JSON lines (default: warn, and silent for commands that change nothing)';
  program.addOption(new Option('--log-level <level>', log).choices(LOG_LEVELS));
}

/** The settings as options of `DatabaseManager.open`. */
function libraryOptions(settings: Settings): CatalogOptions {
  const given = FLAGS.map(({ row, flag }) => [row.option, settings[flag.attributeName()]]);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

/** The path of the database, as `DatabaseManager.open` finds it. */
function databaseOf({ database }: CatalogOptions): string {
  const row = OPTIONS.find(({ option }) => option === 'database');
  const fromEnvironment = process.env[row?.environment ?? ''] || undefined;
  return resolve(String(database ?? fromEnvironment ?? row?.default));
}

/** The parts of a call that depend on the settings. */
export function surroundings(
  settings: Settings,
): Pick<Call, 'json' | 'database' | 'logger' | 'withCatalog' | 'withMigrations' | 'restoreCatalog'> {
  const options = libraryOptions(settings);
  const database = databaseOf(options);
  const logger = pino({ level: settings.logLevel ?? 'warn' }, { write: (line) => write(process.stderr, line) });
  /** A command that only reads logs nothing: its output has what matters. */
  const logOf = (access: Access) =>
    settings.logLevel !== undefined || changes(access) ? logger : logger.child({}, { level: 'silent' });
  const withCatalog: Call['withCatalog'] = async (use, access = 'read') => {
    // A command that reads a catalogue, possibly of an older server, must not change its schema.
    const migrate = access === 'create' ? 'auto' : 'off';
    const given = { ...options, create: access === 'create', migrate, logger: logOf(access) } as const;
    const db = await opened(given, { database, access }, (wanted) => DatabaseManager.open(wanted));
    try {
      return await use(db);
    } finally {
      await db.close();
    }
  };
  const withMigrations: Call['withMigrations'] = async (use, access = 'read') => {
    const given = { ...options, create: false, logger: logOf(access) };
    const migrations = await opened(given, { database, access }, (wanted) => DatabaseManager.openMigrations(wanted));
    try {
      return await use(migrations);
    } finally {
      await migrations.close();
    }
  };
  const restoreCatalog: Call['restoreCatalog'] = async (from, how) => {
    if (await isBackup(await realOf(database))) throw asBackup(database);
    return DatabaseManager.restore({ ...options, ...how, logger, from });
  };
  return { json: settings.json === true, database, logger, withCatalog, withMigrations, restoreCatalog };
}

type Open<Opened> = (options: CatalogOptions) => Promise<Opened>;

interface Wanted {
  readonly database: string;
  readonly access: Access;
}

/** Whether a command changes the catalogue, and not only its maintenance history. */
const changes = (access: Access) => access === 'write' || access === 'create';

/** Opens a file with the access of a command, and never changes a backup. */
async function opened<Opened>(
  given: CatalogOptions,
  { database, access }: Wanted,
  open: Open<Opened>,
): Promise<Opened> {
  const real = await realOf(database);
  const readOnly = { ...given, readOnly: true };
  if (access !== 'create') await refuseEmpty(real);
  if (await isBackup(real)) {
    if (changes(access) || isCompressed(real)) throw asBackup(database);
    return open(readOnly);
  }
  const [first, second] = access === 'read' ? [readOnly, given] : [given, readOnly];
  try {
    return await open(first);
  } catch (error) {
    if (isWorthTrying(second, access, error)) return open(second);
    throw explained(error, given);
  }
}

/** Whether to try the other way of opening a file after the preferred one failed. */
function isWorthTrying({ migrate }: CatalogOptions, access: Access, error: unknown): boolean {
  if (access === 'record') return isUnwritable(error);
  if (access !== 'read') return false;
  // Only a writer can undo the half change of a killed process, or read the schema of an old server.
  return isHalfWritten(error) || (migrate !== 'off' && hasCode(error, 'CATALOG_MIGRATION_PENDING'));
}

/** The target of a link, whose name its log and manifest share. */
const realOf = (path: string): Promise<string> => realpath(path).catch(() => path);

const statOf = (path: string) => stat(path).catch(() => undefined);

/** Whether a file is a backup: opening it for writing would change it, and it would fail verification. */
const isBackup = async (path: string): Promise<boolean> => (await statOf(`${path}.manifest.json`))?.isFile() === true;

const isCompressed = (path: string) => path.endsWith('.zst');

function asBackup(path: string): DatabaseError {
  const hint = 'Restore it into another file and work on that: `backup-catalog restore FILE --database look.db`.';
  const what = isCompressed(path)
    ? 'a compressed backup, which SQLite cannot open'
    : 'a backup, and writing to it would invalidate it';
  return new DatabaseError('CATALOG_READ_ONLY', `${path} is ${what}`, { hint });
}

/** SQLite would turn an empty file into a database. @throws {DatabaseError} CATALOG_MIGRATION_PENDING */
async function refuseEmpty(database: string): Promise<void> {
  const sizeOf = async (path: string) => (await statOf(path))?.size;
  // The library reports an empty file with a log that is not empty.
  if ((await sizeOf(database)) !== 0 || (await sizeOf(`${database}-wal`))) return;
  const hint = '`ingest` or `migrate` turns it into a catalogue.';
  throw new DatabaseError('CATALOG_MIGRATION_PENDING', `${database} is an empty file`, { hint });
}

const hasCode = (error: unknown, code: DatabaseError['code']): error is DatabaseError =>
  error instanceof DatabaseError && error.code === code;

/** SQLite's code behind an error; '' if SQLite did not cause it. */
function sqliteCode(error: unknown): string {
  const cause = error instanceof DatabaseError ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : '';
}

/** Whether opening a file failed because it or its folder is not writable. */
const isUnwritable = (error: unknown) =>
  hasCode(error, 'CATALOG_READ_ONLY') || /^SQLITE_(?:READONLY|CANTOPEN|PERM)/.test(sqliteCode(error));

const isHalfWritten = (error: unknown) => /^SQLITE_READONLY_(?:ROLLBACK|RECOVERY)$/.test(sqliteCode(error));

/** Adds a hint for a missing file. */
function explained(error: unknown, options: CatalogOptions): unknown {
  const isMissing = error instanceof DatabaseError && systemCode(error.cause) === 'ENOENT';
  if (!isMissing || options.create) return error;
  const hint = 'Check --database; `backup-catalog ingest DIR --client NAME` creates a new catalogue.';
  return new DatabaseError(error.code, error.message, { cause: error, hint });
}

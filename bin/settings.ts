/**
 * The settings that every command takes: those of the library's own table that have a flag, and the CLI's. A flag wins
 * over the environment, the environment over the default.
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
  const log = 'log to stderr, as JSON lines (default: warn, and silent for commands that change nothing)';
  program.addOption(new Option('--log-level <level>', log).choices(LOG_LEVELS));
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
  const logger = pino({ level: settings.logLevel ?? 'warn' }, { write: (line) => write(process.stderr, line) });
  /** Whoever only looks asked for no log: what matters is in what the command prints. */
  const logOf = (access: Access) =>
    settings.logLevel !== undefined || changes(access) ? logger : logger.child({}, { level: 'silent' });
  const withCatalog: Call['withCatalog'] = async (use, access = 'read') => {
    // A command that looks at a catalogue, of a server that is older perhaps, must not change its schema by the way.
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

/** Whether a command changes what the catalogue holds, and not only its record of maintenance. */
const changes = (access: Access) => access === 'write' || access === 'create';

/** Opens a file as a command may, and leaves a backup as it is. */
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

/** Whether a file that could not be opened in the way a command would rather have can be opened in the other way. */
function isWorthTrying({ migrate }: CatalogOptions, access: Access, error: unknown): boolean {
  if (access === 'record') return isUnwritable(error);
  if (access !== 'read') return false;
  // Only a writer takes half a change back that a killed process left, or looks at the schema of an old server.
  return isHalfWritten(error) || (migrate !== 'off' && hasCode(error, 'CATALOG_MIGRATION_PENDING'));
}

/** The file itself, by which its log and its manifest are named, where the path is a link to it. */
const realOf = (path: string): Promise<string> => realpath(path).catch(() => path);

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
  // An empty file whose log is not is another matter, which the library reports.
  if ((await sizeOf(database)) !== 0 || (await sizeOf(`${database}-wal`))) return;
  const hint = '`ingest` or `migrate` makes a catalogue of it.';
  throw new DatabaseError('CATALOG_MIGRATION_PENDING', `${database} is an empty file`, { hint });
}

const hasCode = (error: unknown, code: DatabaseError['code']): error is DatabaseError =>
  error instanceof DatabaseError && error.code === code;

/** SQLite's code of what made an error; '' where it was not SQLite. */
function sqliteCode(error: unknown): string {
  const cause = error instanceof DatabaseError ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : '';
}

/** Whether a file could not be opened because it, or its folder, may not be written. */
const isUnwritable = (error: unknown) =>
  hasCode(error, 'CATALOG_READ_ONLY') || /^SQLITE_(?:READONLY|CANTOPEN|PERM)/.test(sqliteCode(error));

const isHalfWritten = (error: unknown) => /^SQLITE_READONLY_(?:ROLLBACK|RECOVERY)$/.test(sqliteCode(error));

/** Tells what to do where a file is missing. */
function explained(error: unknown, options: CatalogOptions): unknown {
  const isMissing = error instanceof DatabaseError && systemCode(error.cause) === 'ENOENT';
  if (!isMissing || options.create) return error;
  const hint = 'Check --database; `backup-catalog ingest DIR --client NAME` makes a new catalogue.';
  return new DatabaseError(error.code, error.message, { cause: error, hint });
}

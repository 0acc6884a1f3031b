/**
 * Opens the engine on a file after the file was looked at: one that is evidently ours on the thread that will write it,
 * any other one by a process of its own. What must not be touched is refused before anything of it was changed.
 */
import { dirname, join, resolve } from 'node:path';
import type { Logger } from 'pino';
import { rememberOpen } from '../backup/paths.ts';
import { removeDeadPartials, removeDeadStages } from '../backup/publish.ts';
import type { ReadApart } from '../core/raw-sql.ts';
import { DatabaseError } from '../errors.ts';
import { inspectFile } from '../legacy/inspection.ts';
import { KNOWN, OWN_SCHEMA, ownColumns, statusOf } from '../migrations/journal.ts';
import { Migrator } from '../migrations/migrator.ts';
import { lookAtFile, schemaState } from '../migrations/schema-state.ts';
import { resolveOptions } from '../options/reader.ts';
import type { CatalogOptions, ResolvedOptions } from '../options/types.ts';
import { ApartReaders } from '../pool/apart.ts';
import { placed, prepareDatabaseFile } from '../pool/database-file.ts';
import { SqliteEngine } from '../pool/sqlite-engine.ts';
import { scriptUrl } from '../runtime/scripts.ts';
import { silentLogger } from '../runtime/silent-logger.ts';
import { namedTimeZone } from '../runtime/time-zone.ts';
import { keepIndex } from '../search/search-index.ts';
import { assertOpen, type CallOptions, type Engine } from '../sql/engine.ts';
import { checkSignal } from '../validation.ts';
import { assertTriggersEnd } from './foreign-triggers.ts';
import { type CopyOptions, migrateApart } from './trial.ts';

const PROCEDURES = scriptUrl('registry/procedures').href;

const LATE_PROCEDURES = scriptUrl('registry/late-procedures').href;

/** A file with an engine on it; its schema may still be an older one. */
export interface OpenedFile {
  readonly engine: Engine;
  readonly options: ResolvedOptions & {
    readonly backupDir: string;
    /** Whether `legacyTimeZone` is UTC only because neither the caller nor the system names a zone. */
    readonly assumesZone: boolean;
  };
  /** The caller's own; each module logs through a child that carries its name. */
  readonly logger: Logger;
  readonly migrator: Migrator;
  /** Brings a file that nobody has open to this release's schema; its owner has a copy of it. */
  readonly migrateCopy: (path: string) => Promise<void>;
  /** Runs a read in a process of its own, which is ended at a deadline. */
  readonly readApart: ReadApart;
  /** Closes the engine. */
  readonly close: () => Promise<void>;
}

/** The options of a catalogue, and the signal of the call that opens it. */
export type OpenOptions = CatalogOptions & CallOptions;

/** Options with the paths that follow from others. */
type FileOptions = OpenedFile['options'];

/** The options of a file, and its logger; the file is not touched. @throws {ValidationError} */
export function resolveFile(
  given: CatalogOptions,
  database?: string,
): { readonly options: FileOptions; readonly logger: Logger } {
  const resolved = resolveOptions(given);
  const logger = resolved.logger ?? silentLogger;
  const path = database ?? resolve(resolved.database);
  const backupDir = resolve(resolved.backupDir ?? join(dirname(path), 'backups'));
  const assumesZone = given.legacyTimeZone === undefined && namedTimeZone() === undefined;
  return { options: { ...resolved, database: path, backupDir, assumesZone }, logger };
}

/** What migrates copies of a file that is opened with such options: a process, since nobody knows what is in them. */
export const copyMigrator =
  (options: FileOptions, logger: Logger): OpenedFile['migrateCopy'] =>
  (database) =>
    migrateApart(database, options, logger);

/** Opens a file that nobody else has open, to change it. */
export const openCopy = (database: string, options: CopyOptions): Promise<Engine> =>
  openEngine(database, { ...options, readOnly: false, migrate: 'auto', poolSize: 2 });

/** Brings such a file to this release's schema. */
export async function migrateHere(database: string, options: CopyOptions, logger: Logger): Promise<void> {
  const engine = await openCopy(database, options);
  try {
    const rules = { ...options, migrationBackup: false };
    const copyOf = (copy: string) => openCopy(copy, options);
    const log = logger.child({ module: 'migrations' });
    await new Migrator({ engine, database, rules, logger: log, openCopy: copyOf }).up();
  } finally {
    await engine.close();
  }
}

/** Codes of the first look after which a thorough one tells more. */
const UNCLEAR = new Set(['CATALOG_FOREIGN_DATABASE', 'CATALOG_CORRUPT', 'CATALOG_SQL', 'CATALOG_READ_ONLY']);

/** What an engine needs of the options. */
type EngineOptions = Omit<ResolvedOptions, 'logger' | 'onMigrationProgress'>;

const settingsOf = (path: string, options: EngineOptions) => ({
  ...options,
  database: path,
  procedureModules: [PROCEDURES, ...options.procedureModules.map(String)],
  lateProcedureModules: [LATE_PROCEDURES],
  beforeCommit: keepIndex.name,
});

/** The reads of a catalogue that are run in processes of their own. */
function readersApart(path: string, options: EngineOptions): ApartReaders {
  const { database, durability, busyTimeoutMs, allowRollbackJournal, procedureModules } = settingsOf(path, options);
  return new ApartReaders({
    database,
    durability,
    busyTimeoutMs,
    allowRollbackJournal,
    procedureModules,
    readOnly: true,
  });
}

async function openEngine(path: string, options: EngineOptions): Promise<Engine> {
  const settings = settingsOf(path, options);
  try {
    return await SqliteEngine.open({ ...settings, look: [lookAtFile.name, OWN_SCHEMA] });
  } catch (error) {
    if (!(error instanceof DatabaseError) || !UNCLEAR.has(error.code)) throw error;
    const verdict = await inspectFile({ path, known: KNOWN, own: OWN_SCHEMA.tables, columns: ownColumns() });
    if (verdict === 'legacy' && (options.readOnly || options.migrate === 'off')) throw notAdopted(path);
    return SqliteEngine.open(settings);
  }
}

const notAdopted = (path: string) =>
  new DatabaseError('CATALOG_MIGRATION_PENDING', `${path} was made by an old server and has not been adopted yet`);

/** Removes what a killed process left; a catalogue opens also where that cannot be done. */
async function tidy({ database, backupDir }: FileOptions, logger: Logger): Promise<void> {
  for (const removed of await Promise.allSettled([removeDeadPartials(backupDir), removeDeadStages(database)])) {
    if (removed.status === 'rejected') logger.warn({ err: removed.reason }, 'unfinished files could not be removed');
  }
}

/** Opens the engine, and has this process know that the file is open. */
async function openRemembered(path: string, options: FileOptions) {
  const engine = await openEngine(path, options);
  try {
    return { engine, forget: await rememberOpen(path) };
  } catch (error) {
    await engine.close(); // the file was taken away meanwhile
    throw error;
  }
}

/** What concerns the call, apart from the options of the catalogue, which are not checked yet. @throws {ValidationError} */
function callOf(given: OpenOptions): { readonly catalog: CatalogOptions; readonly signal: AbortSignal | undefined } {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return { catalog: given, signal: undefined };
  const { signal, ...catalog } = given;
  return { catalog, signal: checkSignal(signal) };
}

/**
 * Opens a file without migrating it.
 * @throws {ValidationError} for an option that is unknown or not accepted
 * @throws {DatabaseError} why the file cannot be used; it is then as it was
 */
export async function openFile(call: OpenOptions): Promise<OpenedFile> {
  const { catalog: given, signal } = callOf(call);
  const { options: wanted } = resolveFile(given);
  signal?.throwIfAborted();
  const { path, created } = await prepareDatabaseFile(resolveOptions(given).database, wanted);
  const { options, logger } = resolveFile(given, path);
  // A thread takes long to start, and what is tidied is nothing that it looks at.
  const tidied = options.readOnly ? undefined : tidy(options, logger.child({ module: 'backups' }));
  const opened = openRemembered(path, options).finally(() => tidied);
  const { engine, forget } = await opened.catch(async (error: unknown) => {
    throw await placed(error, path);
  });
  const openCopy = (copy: string) => openEngine(copy, { ...options, readOnly: false, poolSize: 2 });
  const log = logger.child({ module: 'migrations' });
  const migrator = new Migrator({ engine, database: path, rules: options, logger: log, openCopy });
  logger.child({ module: 'database' }).info({ database: path, created }, 'database open');
  const apart = readersApart(path, options);
  const readApart: ReadApart = async (...call) => {
    assertOpen(engine);
    return apart.run(...call);
  };
  const close = async () => {
    const start = performance.now();
    await engine.close();
    await apart.close(Math.max(1, options.closeTimeoutMs - (performance.now() - start)));
    forget();
  };
  return { engine, options, logger, migrator, migrateCopy: copyMigrator(options, logger), readApart, close };
}

const MOST_NAMED = 3; // migrations an error names before it gives their range

function named(pending: readonly { readonly version: number; readonly name: string }[]): string {
  if (pending.length > MOST_NAMED) {
    return `${pending.length} migrations, ${pending[0]?.version} to ${pending.at(-1)?.version}`;
  }
  const names = pending.map(({ version, name }) => `${version} (${name})`).join(', ');
  return `${pending.length} ${pending.length === 1 ? 'migration' : 'migrations'}: ${names}`;
}

/**
 * Brings the schema of an open file up to date.
 * @throws {DatabaseError} CATALOG_MIGRATION_PENDING where that is not allowed; CATALOG_CONFLICT when a trigger of somebody
 *   else's never ends; what a failing migration throws; the reason of the signal, the schema being as it was then
 */
export async function bringUpToDate(file: OpenedFile, { signal }: CallOptions): Promise<void> {
  const { engine, options, migrator } = file;
  const { pending } = statusOf((await engine.run(schemaState, null, { signal })).journal);
  if (pending.length === 0) return;
  if (options.migrate === 'off' || options.readOnly) {
    throw new DatabaseError('CATALOG_MIGRATION_PENDING', `the schema lacks ${named(pending)}`);
  }
  await assertTriggersEnd(file, { signal });
  await migrator.up({ onProgress: options.onMigrationProgress, signal });
}

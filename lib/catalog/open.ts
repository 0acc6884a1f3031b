/**
 * Opens a catalogue, in the order of this page: resolve the options, prepare the file, open the engine on it, bring the
 * schema up to date. The writer's thread inspects a file that is evidently ours, and a separate process any other file.
 * A file that must not be touched is refused before anything in it changes.
 */
import type { Logger } from 'pino';
import { removeDeadPartials, removeDeadStages } from '../backup/publish.ts';
import type { ReadApart } from '../core/raw-sql.ts';
import { DatabaseError, InvariantError } from '../errors.ts';
import { inspectFile } from '../legacy/inspection.ts';
import { KNOWN, OWN_SCHEMA, ownColumns, statusOf } from '../migrations/journal.ts';
import { Migrator } from '../migrations/migrator.ts';
import { lookAtFile, schemaState } from '../migrations/schema-state.ts';
import { resolveOptions } from '../options/reader.ts';
import type { CatalogOptions, ResolvedOptions } from '../options/types.ts';
import { placed, prepareDatabaseFile } from '../pool/database-file.ts';
import { ProcessPool } from '../pool/process-pool.ts';
import { SqliteEngine } from '../pool/sqlite-engine.ts';
import { rememberOpen } from '../runtime/open-files.ts';
import { scriptUrl } from '../runtime/scripts.ts';
import { reasonOf } from '../runtime/thrown.ts';
import { keepIndex } from '../search/search-index.ts';
import { assertOpen, type CallOptions, type Engine } from '../sql/engine.ts';
import { checkSignal } from '../validation.ts';
import { assertTriggersEnd } from './foreign-triggers.ts';
import { beginLeftWork } from './left-work.ts';
import { type CatalogSettings, copySettings, rulesOf, settingsOf } from './settings.ts';
import { migrateApart } from './trial.ts';

/** The options of a catalogue, and the signal of the call that opens it. */
export type OpenOptions = CatalogOptions & CallOptions;

/**
 * The state of a catalogue: `opening` until its schema is up to date, `open`, `closing` while `close` waits for
 * accepted calls, then `closed`. It never goes back.
 */
export type CatalogStatus = 'opening' | 'open' | 'closing' | 'closed';

/**
 * Opens a catalogue and migrates it.
 * @throws {ValidationError} for an unknown option or an unacceptable value
 * @throws {DatabaseError} if the file cannot be used, or the reason of the signal; the file is unchanged
 * @internal
 */
export async function openCatalog(given: OpenOptions): Promise<Catalog> {
  const catalog = await openUnmigrated(given);
  try {
    await catalog.bringUpToDate(given.signal);
  } catch (error) {
    await catalog.close();
    throw typed(error, given.signal);
  }
  if (!catalog.settings.readOnly) await beginLeftWork(catalog);
  return catalog;
}

/**
 * Like {@link openCatalog}, but does not change the schema.
 * @internal
 */
export async function openUnmigrated(given: OpenOptions): Promise<Catalog> {
  const { options, signal } = readOptions(given);
  signal?.throwIfAborted();
  return openFile(options).catch((error: unknown) => {
    throw typed(error, signal);
  });
}

/** Opening throws errors of this library, or the reason of the caller's signal. */
function typed(error: unknown, signal: AbortSignal | undefined): unknown {
  if (error instanceof DatabaseError || error instanceof InvariantError) return error;
  if (signal?.aborted && error === signal.reason) return error;
  return new DatabaseError('CATALOG_IO', `the catalogue cannot be opened: ${reasonOf(error)}`, { cause: error });
}

/** @throws {ValidationError} for an unacceptable option or signal */
function readOptions(given: OpenOptions): {
  readonly options: ResolvedOptions;
  readonly signal?: AbortSignal | undefined;
} {
  // The option reader refuses non-objects.
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return { options: resolveOptions(given) };
  const { signal, ...catalog } = given;
  return { signal: checkSignal(signal), options: resolveOptions(catalog) };
}

/**
 * Opens the file that resolved options name; leaves its schema as it is.
 * @throws {DatabaseError} why the file cannot be used; it is then as it was
 * @internal
 */
export async function openFile(options: ResolvedOptions): Promise<Catalog> {
  const { path, created } = await prepareDatabaseFile(options.database, options);
  const settings = settingsOf(options, path);
  // Runs while the thread starts, which takes longer; the thread looks at none of these files.
  const onlyLooks = settings.readOnly || settings.migrate === 'off';
  const tidied = onlyLooks ? undefined : tidy(settings);
  const { engine, forget } = await openRemembered(settings)
    .finally(() => tidied)
    .catch(async (error: unknown) => {
      throw await placed(error, path);
    });
  const catalog = new Catalog(engine, settings, forget);
  catalog.logger('database').info({ database: path, created }, 'database open');
  return catalog;
}

/** Removes the leftovers of killed processes. If that fails, the catalogue still opens. */
async function tidy({ database, backupDir, logger }: CatalogSettings): Promise<void> {
  const log = logger.child({ module: 'backups' });
  for (const removed of await Promise.allSettled([removeDeadPartials(backupDir), removeDeadStages(database)])) {
    if (removed.status === 'rejected') log.warn({ err: removed.reason }, 'could not remove unfinished files');
  }
}

/** Opens the engine, and records in this process that the file is open. */
async function openRemembered(settings: CatalogSettings) {
  const engine = await openEngine(settings);
  try {
    return { engine, forget: await rememberOpen(settings.database) };
  } catch (error) {
    await engine.close(); // the file was removed meanwhile
    throw error;
  }
}

const PROCEDURES = scriptUrl('registry/procedures').href;

const LATE_PROCEDURES = scriptUrl('registry/late-procedures').href;

/** Error codes of the preflight that leave the question open; a process then inspects the file. */
const UNCLEAR = new Set(['CATALOG_FOREIGN_DATABASE', 'CATALOG_CORRUPT', 'CATALOG_SQL', 'CATALOG_READ_ONLY']);

async function openEngine(settings: CatalogSettings): Promise<Engine> {
  const { database, readOnly, migrate } = settings;
  const engineOptions = {
    ...settings,
    procedureModules: [PROCEDURES, ...settings.procedureModules.map(String)],
    lateProcedureModules: [LATE_PROCEDURES],
    beforeCommit: keepIndex.name,
  };
  try {
    return await SqliteEngine.open({ ...engineOptions, preflight: [lookAtFile.name, OWN_SCHEMA] });
  } catch (error) {
    if (!(error instanceof DatabaseError) || !UNCLEAR.has(error.code)) throw error;
    const verdict = await inspectFile({ path: database, known: KNOWN, own: OWN_SCHEMA.tables, columns: ownColumns() });
    if (verdict === 'legacy' && (readOnly || migrate === 'off')) throw notAdopted(database);
    return SqliteEngine.open(engineOptions);
  }
}

const notAdopted = (path: string) =>
  new DatabaseError('CATALOG_MIGRATION_PENDING', `${path} comes from an old server and has not been adopted yet`);

/**
 * The file of a catalogue with an engine on it.
 * @internal
 */
export class Catalog {
  readonly engine: Engine;
  readonly settings: CatalogSettings;
  readonly migrator: Migrator;
  readonly #forget: () => void;
  readonly #processes: ProcessPool;
  #isUpToDate = false;

  constructor(engine: Engine, settings: CatalogSettings, forget: () => void) {
    this.engine = engine;
    this.settings = settings;
    this.migrator = migratorOf(engine, settings);
    this.#forget = forget;
    this.#processes = processReaders(settings);
  }

  get status(): CatalogStatus {
    const { state } = this.engine.stats();
    return state === 'open' && !this.#isUpToDate ? 'opening' : state;
  }

  /** The logger of a module. */
  logger(module: string): Logger {
    return this.settings.logger.child({ module });
  }

  /**
   * Brings the schema up to date, which completes the opening.
   * @throws {DatabaseError} CATALOG_MIGRATION_PENDING if the options forbid it; the error of a failing migration; the
   *   reason of the signal. The schema is then unchanged
   */
  async bringUpToDate(signal: AbortSignal | undefined): Promise<void> {
    const { migrate, readOnly, onMigrationProgress } = this.settings;
    const { pending } = statusOf((await this.engine.run(schemaState, null, { signal })).journal);
    if (pending.length > 0 && (migrate === 'off' || readOnly)) {
      throw new DatabaseError('CATALOG_MIGRATION_PENDING', `the schema lacks ${named(pending)}`);
    }
    if (pending.length > 0) {
      await assertTriggersEnd(this, (copy) => migrateCopy(this.settings, copy), signal);
      await this.migrator.up({ onProgress: onMigrationProgress, signal });
    }
    this.#isUpToDate = true;
  }

  /** Runs a read in a separate process, which is killed at its deadline. */
  readonly readApart: ReadApart = async (...call) => {
    assertOpen(this.engine);
    return this.#processes.run(...call);
  };

  /** Closes the engine and ends the reads in processes. Idempotent. */
  async close(): Promise<void> {
    const start = performance.now();
    await this.engine.close();
    await this.#processes.close(Math.max(1, this.settings.closeTimeoutMs - (performance.now() - start)));
    this.#forget();
  }
}

/** The pool for reads in separate processes. They are plain SQL, so no module of the caller is loaded. */
function processReaders({ database, durability, busyTimeoutMs, allowRollbackJournal }: CatalogSettings): ProcessPool {
  return new ProcessPool({
    database,
    durability,
    busyTimeoutMs,
    allowRollbackJournal,
    procedureModules: [PROCEDURES],
    readOnly: true,
  });
}

const MOST_NAMED = 3; // an error names this many migrations, else their range

function named(pending: readonly { readonly version: number; readonly name: string }[]): string {
  if (pending.length > MOST_NAMED) {
    return `${pending.length} migrations, ${pending[0]?.version} to ${pending.at(-1)?.version}`;
  }
  const names = pending.map(({ version, name }) => `${version} (${name})`).join(', ');
  return `${pending.length} ${pending.length === 1 ? 'migration' : 'migrations'}: ${names}`;
}

/** The migrations of an open file. */
function migratorOf(engine: Engine, settings: CatalogSettings): Migrator {
  const { database, logger } = settings;
  const openCopy = (copy: string) => openEngine(copySettings(settings, copy));
  const log = logger.child({ module: 'migrations' });
  return new Migrator({ engine, database, rules: rulesOf(settings), logger: log, openCopy });
}

/**
 * Migrates a file that nobody else has open, such as a stage of a restore, and tries the first writes on it, in a
 * separate process because its content is unknown. Makes no copy: the owner has one.
 * @throws {DatabaseError} CATALOG_BACKUP_INVALID if something in the file never ends; the error of the migration
 * @internal
 */
export const migrateCopy = (settings: CatalogSettings, copy: string): Promise<void> => migrateApart(settings, copy);

/**
 * Opens a file that nobody else has open, to change it.
 * @internal
 */
export const openCopy = (settings: CatalogSettings, copy: string): Promise<Engine> =>
  openEngine(copySettings(settings, copy));

/**
 * Migrates such a file in this process.
 * @internal
 */
export async function migrateHere(settings: CatalogSettings, copy: string): Promise<void> {
  const own = { ...copySettings(settings, copy), migrationBackup: false };
  const engine = await openEngine(own);
  try {
    await migratorOf(engine, own).up();
  } finally {
    await engine.close();
  }
}

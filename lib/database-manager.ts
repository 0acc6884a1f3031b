/** `DatabaseManager`: an open catalogue and its modules. */
import type { Analytics } from './analytics/analytics.ts';
import type { Backups } from './backup/backups.ts';
import type { RestoreResult } from './backup/restore/restore.ts';
import type { AssembledCatalog, CatalogEvents, Transaction, TransactionOptions } from './catalog/assembled-catalog.ts';
import type { Maintenance } from './catalog/maintenance.ts';
import type { CatalogModules } from './catalog/modules.ts';
import type { CatalogStatus, OpenOptions } from './catalog/open.ts';
import type { RestoreFileOptions } from './catalog/restore-file.ts';
import type { Categories } from './core/categories.ts';
import type { Clients } from './core/clients.ts';
import type { Files } from './core/files.ts';
import type { RawSql } from './core/raw-sql.ts';
import type { Versions } from './core/versions.ts';
import { ValidationError } from './errors.ts';
import type { HealthOptions, HealthReport } from './health/report.ts';
import type { Migrator } from './migrations/migrator.ts';
import { startSpareThread } from './pool/spare-thread.ts';
import type { Quotas } from './quota/quotas.ts';
import { scriptUrl } from './runtime/scripts.ts';
import type { Search } from './search/search.ts';
import type { EngineStats } from './sql/engine.ts';

/** The migrations of a file that is not open as a catalogue. */
export type OpenMigrations = Migrator & AsyncDisposable & { close(): Promise<void> };

/** Proves to the constructor that `open` calls it. */
const OPENED = Symbol('opened');

/** Loads the library. The import is dynamic, because a thread can start meanwhile, which takes as long. */
const library = () => import('./catalog/opening.ts');

/** Loads the library and meanwhile starts the first thread, which `open` takes. */
async function openWith<Opened>(
  options: OpenOptions,
  open: (loaded: Awaited<ReturnType<typeof library>>) => Promise<Opened>,
): Promise<Opened> {
  const spare = startSpareThread(options?.threadArgv, [scriptUrl('registry/procedures').href]);
  try {
    return await open(await library());
  } finally {
    spare.discard();
  }
}

/** An open catalogue. */
export class DatabaseManager implements CatalogModules, AsyncDisposable {
  /** The machines that are backed up, and their keys. */
  readonly clients: Clients;
  /** The files that the server received, each with its current version. */
  readonly files: Files & Search;
  /** The versions of files: list them, choose the current one, prune them by a policy. */
  readonly versions: Versions;
  /** Categories of files and their extensions. */
  readonly categories: Categories;
  /** Limits of clients, and reservations for uploads. */
  readonly quotas: Quotas;
  /** Statistics: what the catalogue holds, its activity, its growth and forecasts. */
  readonly analytics: Analytics;
  /** The schema: applied and pending migrations, upgrades and rollbacks. */
  readonly migrations: Migrator;
  /** Integrity checks, audits and repairs of the whole catalogue. */
  readonly maintenance: Maintenance;
  /** Backups of the catalogue: create, verify, restore, prune. */
  readonly backups: Backups;

  /** Returns the rows of a reading statement, run on a connection that cannot write. See {@link RawSql.query}. */
  readonly query: RawSql['query'];
  /** Executes one statement on the writer, in its own transaction. See {@link RawSql.execute}. */
  readonly execute: RawSql['execute'];
  /** Executes one statement once for each list of values, all in one transaction. See {@link RawSql.executeMany}. */
  readonly executeMany: RawSql['executeMany'];
  /** Runs a procedure of the caller, from a module listed in `procedureModules`. See {@link CatalogModules.run}. */
  readonly run: CatalogModules['run'];

  readonly #opened: AssembledCatalog;

  /** Not for callers: use {@link DatabaseManager.open}. */
  private constructor(by: typeof OPENED, opened: AssembledCatalog) {
    if (by !== OPENED) throw constructed();
    const { modules } = opened;
    this.#opened = opened;
    this.clients = modules.clients;
    this.files = modules.files;
    this.versions = modules.versions;
    this.categories = modules.categories;
    this.quotas = modules.quotas;
    this.analytics = modules.analytics;
    this.query = modules.query;
    this.execute = modules.execute;
    this.executeMany = modules.executeMany;
    this.run = modules.run;
    this.migrations = opened.migrations;
    this.backups = opened.backups;
    this.maintenance = opened.maintenance;
  }

  /**
   * Opens a catalogue: creates the file if it does not exist and migrates it, or waits while another process migrates
   * it.
   * @throws {ValidationError} for an unknown option or an unacceptable value
   * @throws {DatabaseError} if the file cannot be used, or the reason of the signal; an existing file is unchanged
   * @example
   * ```ts
   * await using db = await DatabaseManager.open({ database: 'catalogue.db', defaultQuotaBytes: 50 * 1024 ** 3 });
   * console.log(`${await db.files.count()} files`);
   * ```
   */
  static async open(options: OpenOptions = {}): Promise<DatabaseManager> {
    return new DatabaseManager(OPENED, await openWith(options, (loaded) => loaded.openAssembled(options)));
  }

  /**
   * Opens the migrations of a file and leaves its schema as it is: for plans, rehearsals and rollbacks of a file that
   * `open` cannot migrate or should not migrate yet. The caller closes it.
   * @throws as {@link open}
   */
  static async openMigrations(options: OpenOptions = {}): Promise<OpenMigrations> {
    const catalog = await openWith(options, (loaded) => loaded.openUnmigrated(options));
    const close = () => catalog.close();
    return Object.assign(catalog.migrator, { close, [Symbol.asyncDispose]: close });
  }

  /**
   * Restores a catalogue from a backup, even if it is damaged or missing; damaged files are kept as `*.damaged-TIME`. A
   * working catalogue is restored as by {@link Backups.restore} and may be open meanwhile; a damaged one must not be
   * open anywhere.
   * @throws {DatabaseError} CATALOG_BACKUP_INVALID if the backup fails verification, CATALOG_SCHEMA_NEWER, CATALOG_KEY,
   *   CATALOG_FOREIGN_DATABASE if the file belongs to another program, CATALOG_CONFLICT if a damaged one is open in
   *   this process, CATALOG_FULL, CATALOG_BUSY, CATALOG_IO; nothing is changed then
   */
  static async restore(options: RestoreFileOptions): Promise<RestoreResult> {
    return (await library()).restoreFile(options);
  }

  /**
   * Whether the catalogue can be used: `open`; `closing` from the call of `close` until the accepted calls have ended;
   * then `closed`. `opening` ends before `open` resolves, so a caller that awaited `open` never sees it.
   */
  get status(): CatalogStatus {
    return this.#opened.status;
  }

  /**
   * Runs a callback in one transaction: everything it does through `tx` is stored, or nothing is. Other writers wait
   * meanwhile, so keep it short and do nothing else in it.
   * @throws what the callback throws; {DatabaseError} CATALOG_TIMEOUT if it takes longer than `timeoutMs`. Nothing is
   *   stored then
   * @example
   * ```ts
   * const client = await db.transaction(async (tx) => {
   *   const added = await tx.clients.save({ name: 'laptop-ada' });
   *   await tx.quotas.set(added.id, { quotaBytes: 10 * 1024 ** 3 });
   *   return added;
   * });
   * console.log(client.id);
   * ```
   */
  async transaction<Result>(
    callback: (tx: Transaction) => Promise<Result>,
    options: TransactionOptions = {},
  ): Promise<Result> {
    return this.#opened.transaction(callback, options);
  }

  /**
   * Reports whether the catalogue is healthy. Never throws, and answers within a second in any state. With `full` it
   * first checks the whole file, for up to `thresholds.checkMs`.
   */
  async health(options: HealthOptions = {}): Promise<HealthReport> {
    return this.#opened.health(options);
  }

  /**
   * Every metric, in Prometheus' text format 0.0.4 (`text/plain; version=0.0.4; charset=utf-8`). Never throws because
   * of the state of the catalogue, answers within a second, and omits what it cannot find out.
   */
  async metrics(): Promise<string> {
    return this.#opened.metrics();
  }

  /** Figures of connections, queues, commits and transactions since the catalogue was opened. */
  stats(): EngineStats {
    return this.#opened.stats();
  }

  /**
   * Calls a listener at each event of this name; returns a function that removes the listener.
   * @throws {ValidationError} for an unknown event
   */
  on<Name extends keyof CatalogEvents>(event: Name, listener: (...values: CatalogEvents[Name]) => void): () => void {
    return this.#opened.on(event, listener);
  }

  /**
   * Waits for the accepted calls, at most `closeTimeoutMs`, then closes. Idempotent.
   * @throws {ConflictError} inside a transaction, where it would wait for itself
   */
  async close(): Promise<void> {
    await this.#opened.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** What `new DatabaseManager()` throws. */
const constructed = () =>
  new ValidationError(
    {
      field: 'DatabaseManager',
      received: 'new DatabaseManager()',
      accepted: 'await DatabaseManager.open({ database })',
    },
    { hint: 'Use await DatabaseManager.open({ database }): a constructor cannot wait for the file to open.' },
  );

/** `DatabaseManager`: an open catalogue, made of the modules that it hands out. */
import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { ActivityRetention } from './analytics/activity-retention.ts';
import type { Analytics } from './analytics/analytics.ts';
import { Backups } from './backup/backups.ts';
import type { RestoreResult } from './backup/restore/restore.ts';
import { CatalogExecutor } from './catalog/executor.ts';
import { backupHost, healthHost, integrityHost, maintenanceHost, metricsHost, moduleContext } from './catalog/hosts.ts';
import { type Maintenance, maintenanceOf } from './catalog/maintenance.ts';
import { type CatalogModules, type ModuleContext, modulesOf } from './catalog/modules.ts';
import { Catalog, type CatalogStatus, type OpenOptions, openCatalog, openUnmigrated } from './catalog/open.ts';
import { type RestoreFileOptions, restoreFile } from './catalog/restore-file.ts';
import type { Categories } from './core/categories.ts';
import type { Clients } from './core/clients.ts';
import type { Files } from './core/files.ts';
import type { RawSql } from './core/raw-sql.ts';
import type { QuotaWarning, Stored } from './core/save-file.ts';
import type { Versions } from './core/versions.ts';
import { ValidationError } from './errors.ts';
import { Health } from './health/health.ts';
import type { HealthOptions, HealthReport } from './health/report.ts';
import { Integrity } from './maintenance/integrity.ts';
import type { Metrics } from './metrics/metrics.ts';
import { SaveCounter } from './metrics/save-counter.ts';
import type { Migrator } from './migrations/migrator.ts';
import type { Quotas } from './quota/quotas.ts';
import type { Search } from './search/search.ts';
import type { CallOptions, EngineStats } from './sql/engine.ts';
import { checkObject, checkSignal, optional, refuse } from './validation.ts';
import { MAX_TIMER_MS } from './values/intervals.ts';

/** The events of a catalogue, with what their listeners receive. */
export interface CatalogEvents {
  /** A client's use crossed its warning threshold. Sent once, by the save that crossed it. */
  'quota-warning': [warning: QuotaWarning];
}

/** What the callback of a transaction works with: every module, in its transaction. */
export type Transaction = CatalogModules;

/** The migrations of a file that is open for nothing else. */
export type OpenMigrations = Migrator & AsyncDisposable & { close(): Promise<void> };

/** How a transaction is run. */
export interface TransactionOptions extends CallOptions {
  /** Milliseconds until it is rolled back, whatever the callback does. Default 30,000. */
  readonly timeoutMs?: number | undefined;
}

const EVENTS: readonly string[] = ['quota-warning'] satisfies (keyof CatalogEvents)[];
const TRANSACTION_KEYS = new Set(['timeoutMs', 'signal']);

/** An open catalogue. */
export class DatabaseManager implements CatalogModules, AsyncDisposable {
  /** The machines that are backed up, and their keys. */
  readonly clients: Clients;
  /** What the server has received, each file with its current version. */
  readonly files: Files & Search;
  /** Every version of a file, which one is current, and which ones a policy keeps. */
  readonly versions: Versions;
  /** What kinds of files there are, and which extensions belong to each. */
  readonly categories: Categories;
  /** How much each client may store, and room that is held for uploads. */
  readonly quotas: Quotas;
  /** What the catalogue holds, what happened when, and when it will be full. */
  readonly analytics: Analytics;
  /** The versions of the schema: what is applied, what is pending, and the way up and down. */
  readonly migrations: Migrator;
  /** Work on the catalogue as a whole. */
  readonly maintenance: Maintenance;
  /** Backups of the catalogue, and restoring them. */
  readonly backups: Backups;

  /** Returns the rows of a reading statement, from a connection that cannot write. See {@link RawSql.query}. */
  readonly query: RawSql['query'];
  /** Executes one statement on the writer, in a transaction of its own. See {@link RawSql.execute}. */
  readonly execute: RawSql['execute'];
  /** Executes one statement with each list of values, all in one transaction. See {@link RawSql.executeMany}. */
  readonly executeMany: RawSql['executeMany'];
  /** Runs a procedure of the caller's own, from a module given in `procedureModules`. See {@link CatalogModules.run}. */
  readonly run: CatalogModules['run'];

  readonly #catalog: Catalog;
  readonly #context: ModuleContext;
  readonly #health: Health;
  readonly #activity: ActivityRetention;
  readonly #logger: Logger;
  readonly #openedAt = Date.now() / 1_000;
  readonly #saves = new SaveCounter();
  readonly #events = new EventEmitter<CatalogEvents>();
  #metrics: Promise<Metrics> | undefined;

  /** Not for callers: use {@link DatabaseManager.open}. */
  private constructor(catalog: Catalog) {
    if (!(catalog instanceof Catalog)) throw constructed();
    const { engine, settings, migrator } = catalog;
    this.#catalog = catalog;
    this.#logger = catalog.logger('database');
    this.#context = moduleContext(catalog, (stored) => this.#saved(stored));
    const modules = modulesOf(new CatalogExecutor(engine), this.#context);
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
    this.migrations = migrator;
    this.backups = new Backups(backupHost(catalog));
    const integrity = new Integrity(integrityHost(catalog));
    this.maintenance = maintenanceOf(maintenanceHost(catalog, integrity));
    this.#health = new Health(healthHost(catalog, integrity));
    const log = catalog.logger('analytics');
    this.#activity = new ActivityRetention(engine, settings.activityRetentionDays, (error) => {
      log.warn({ err: error }, 'old activity was not removed');
    });
  }

  /**
   * Opens a catalogue: creates the file if it does not exist, and migrates it. While another process migrates the file,
   * waits for it.
   * @throws {ValidationError} for an option that is unknown or not accepted
   * @throws {DatabaseError} why the file cannot be used; the reason of the signal. An existing file is then as it was
   * @example
   * ```ts
   * await using db = await DatabaseManager.open({ database: 'catalogue.db', defaultQuotaBytes: 50 * 1024 ** 3 });
   * console.log(`${await db.files.count()} files`);
   * ```
   */
  static async open(options: OpenOptions = {}): Promise<DatabaseManager> {
    return new DatabaseManager(await openCatalog(options));
  }

  /**
   * Opens the migrations of a file and leaves its schema as it is: for plans, rehearsals and rollbacks of a file that
   * `open` could not, or should not yet, migrate. The caller closes it.
   * @throws as {@link open}
   */
  static async openMigrations(options: OpenOptions = {}): Promise<OpenMigrations> {
    const catalog = await openUnmigrated(options);
    const close = () => catalog.close();
    return Object.assign(catalog.migrator, { close, [Symbol.asyncDispose]: close });
  }

  /**
   * Restores a catalogue from a backup, even a catalogue that is damaged or gone: the files of a damaged one are kept as
   * `*.damaged-TIME`. A catalogue that works is restored as by {@link Backups.restore}, and may be open meanwhile; a
   * damaged one must be open nowhere.
   * @throws {DatabaseError} CATALOG_BACKUP_INVALID when the backup does not verify, CATALOG_SCHEMA_NEWER, CATALOG_KEY,
   *   CATALOG_FOREIGN_DATABASE when the file is another program's database, CATALOG_CONFLICT when a damaged one is open
   *   in this process, CATALOG_FULL, CATALOG_BUSY, CATALOG_IO; everything is then as it was
   */
  static restore(options: RestoreFileOptions): Promise<RestoreResult> {
    return restoreFile(options);
  }

  /**
   * Whether the catalogue can be used: `open`; `closing` from the call of `close` until what was accepted has ended; then
   * `closed`. `opening` ends before `open` resolves, so whoever has awaited `open` never sees it.
   */
  get status(): CatalogStatus {
    return this.#catalog.status;
  }

  /**
   * Runs a callback in one transaction: what it does through `tx` is stored together or not at all. Other writers wait
   * meanwhile, so keep it short and do no other work in it.
   * @throws what the callback throws; {DatabaseError} CATALOG_TIMEOUT when it takes longer than `timeoutMs`. Nothing is
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
    if (typeof callback !== 'function') return refuse('callback', callback, 'an async function of tx');
    const { timeoutMs, signal } = checkObject(options, 'options', TRANSACTION_KEYS);
    const deadlineMs = optional(timeoutMs, (value) => checkTimeout(value)) ?? undefined;
    const saved: Stored[] = [];
    const context = {
      ...this.#context,
      inTransaction: true,
      readApart: undefined,
      onSaved: (stored: Stored) => void saved.push(stored),
    };
    const use = { deadlineMs, signal: checkSignal(signal) };
    const result = await this.#catalog.engine.transaction(
      'write',
      async (tx) => callback(modulesOf(new CatalogExecutor(tx), context)),
      use,
    );
    // Listeners are told of what is committed, never of what was rolled back.
    for (const stored of saved) this.#saved(stored);
    return result;
  }

  /**
   * Whether the catalogue is well. Never throws, and answers within a second in any state. With `full` it checks the whole
   * file first, which takes as long as that does, up to `thresholds.checkMs`.
   */
  async health(options: HealthOptions = {}): Promise<HealthReport> {
    return this.#health.examine(options);
  }

  /**
   * Everything that monitoring asks for, in Prometheus' text format 0.0.4 (`text/plain; version=0.0.4; charset=utf-8`).
   * Never throws for the state of the catalogue, and answers within a second; leaves out what it cannot find out.
   */
  async metrics(): Promise<string> {
    this.#metrics ??= this.#loadMetrics();
    return (await this.#metrics).text();
  }

  /** Figures of connections, queues, commits and transactions since the catalogue was opened. */
  stats(): EngineStats {
    return this.#catalog.engine.stats();
  }

  /**
   * Calls a listener at every event of a name; returns a function that removes the listener.
   * @throws {ValidationError} for the name of an unknown event
   */
  on<Name extends keyof CatalogEvents>(event: Name, listener: (...values: CatalogEvents[Name]) => void): () => void {
    if (!EVENTS.includes(event)) refuse('event', event, EVENTS.join(', '));
    if (typeof listener !== 'function') refuse('listener', listener, 'a function');
    this.#events.on(event, listener as never);
    return () => this.#events.off(event, listener as never);
  }

  /**
   * Waits for the calls that were accepted, then closes. Idempotent; never waits longer than `closeTimeoutMs`.
   * @throws {ConflictError} inside a transaction, which it would wait for
   */
  async close(): Promise<void> {
    await this.#catalog.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Loads prom-client at the first use only: that takes longer than opening may take. */
  async #loadMetrics(): Promise<Metrics> {
    const { Metrics } = await import('./metrics/metrics.ts');
    return new Metrics(metricsHost(this.#catalog, this.#openedAt, () => this.#saves.figures()));
  }

  #saved(stored: Stored): void {
    const { versions, warnings } = stored;
    this.#saves.saved(stored);
    this.#activity.saved(versions);
    for (const warning of warnings) {
      for (const listener of this.#events.listeners('quota-warning')) void this.#tell(listener, warning);
    }
  }

  // The save is stored: a listener that throws must not make it look as if it were not, nor keep it from the next one.
  async #tell(listener: (...values: CatalogEvents['quota-warning']) => unknown, warning: QuotaWarning) {
    try {
      await listener(warning);
    } catch (error) {
      this.#logger.error({ err: error, event: 'quota-warning' }, 'a listener threw');
    }
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
    { hint: 'Write await DatabaseManager.open({ database }): it opens the file, which a constructor cannot wait for.' },
  );

function checkTimeout(value: unknown): number {
  const isGood = typeof value === 'number' && value >= 1 && value <= MAX_TIMER_MS;
  return isGood ? value : refuse('timeoutMs', value, `milliseconds, 1 to ${MAX_TIMER_MS}`);
}

/** `DatabaseManager`: an open catalogue and its modules. */
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

/** The events of a catalogue and what listeners receive. */
export interface CatalogEvents {
  /** A client's use crossed its warning threshold; emitted once, after the save that crossed it. */
  'quota-warning': [warning: QuotaWarning];
}

/** What the callback of a transaction receives: every module, inside the transaction. */
export type Transaction = CatalogModules;

/** The migrations of a file that is not open as a catalogue. */
export type OpenMigrations = Migrator & AsyncDisposable & { close(): Promise<void> };

/** Options of a transaction. */
export interface TransactionOptions extends CallOptions {
  /** Milliseconds after which it is rolled back, whatever the callback is doing. Default 30,000. */
  readonly timeoutMs?: number | undefined;
}

const EVENTS: readonly string[] = ['quota-warning'] satisfies (keyof CatalogEvents)[];
const TRANSACTION_KEYS = new Set(['timeoutMs', 'signal']);

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
      log.warn({ err: error }, 'could not remove old activity');
    });
  }

  /**
   * Opens a catalogue: creates the file if it does not exist and migrates it, or waits while another process migrates it.
   * @throws {ValidationError} for an unknown option or an unacceptable value
   * @throws {DatabaseError} if the file cannot be used, or the reason of the signal; an existing file is unchanged
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
   * `open` cannot migrate or should not migrate yet. The caller closes it.
   * @throws as {@link open}
   */
  static async openMigrations(options: OpenOptions = {}): Promise<OpenMigrations> {
    const catalog = await openUnmigrated(options);
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
  static restore(options: RestoreFileOptions): Promise<RestoreResult> {
    return restoreFile(options);
  }

  /**
   * Whether the catalogue can be used: `open`; `closing` from the call of `close` until the accepted calls have ended;
   * then `closed`. `opening` ends before `open` resolves, so a caller that awaited `open` never sees it.
   */
  get status(): CatalogStatus {
    return this.#catalog.status;
  }

  /**
   * Runs a callback in one transaction: everything it does through `tx` is stored, or nothing is. Other writers wait meanwhile, so keep it short and do nothing else in it.
   * @throws what the callback throws; {DatabaseError} CATALOG_TIMEOUT if it takes longer than `timeoutMs`. Nothing is stored then
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
    // Listeners receive committed changes only.
    for (const stored of saved) this.#saved(stored);
    return result;
  }

  /**
   * Reports whether the catalogue is healthy. Never throws, and answers within a second in any state. With `full` it
   * first checks the whole file, for up to `thresholds.checkMs`.
   */
  async health(options: HealthOptions = {}): Promise<HealthReport> {
    return this.#health.examine(options);
  }

  /**
   * Every metric, in Prometheus' text format 0.0.4 (`text/plain; version=0.0.4; charset=utf-8`). Never throws because
   * of the state of the catalogue, answers within a second, and omits what it cannot find out.
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
   * Calls a listener at each event of this name; returns a function that removes the listener.
   * @throws {ValidationError} for an unknown event
   */
  on<Name extends keyof CatalogEvents>(event: Name, listener: (...values: CatalogEvents[Name]) => void): () => void {
    if (!EVENTS.includes(event)) refuse('event', event, EVENTS.join(', '));
    if (typeof listener !== 'function') refuse('listener', listener, 'a function');
    this.#events.on(event, listener as never);
    return () => this.#events.off(event, listener as never);
  }

  /**
   * Waits for the accepted calls, at most `closeTimeoutMs`, then closes. Idempotent.
   * @throws {ConflictError} inside a transaction, where it would wait for itself
   */
  async close(): Promise<void> {
    await this.#catalog.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Loads prom-client at first use: loading takes longer than opening a catalogue may. */
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

  // The save is stored: a throwing listener must neither make it look failed nor keep the event from other listeners.
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
    { hint: 'Use await DatabaseManager.open({ database }): a constructor cannot wait for the file to open.' },
  );

function checkTimeout(value: unknown): number {
  const isGood = typeof value === 'number' && value >= 1 && value <= MAX_TIMER_MS;
  return isGood ? value : refuse('timeoutMs', value, `milliseconds, 1 to ${MAX_TIMER_MS}`);
}

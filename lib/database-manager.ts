/**
 * The facade: opens a file, brings its schema up to date and hands out the modules.
 */
import { EventEmitter } from 'node:events';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { ActivityRetention } from './analytics/activity-retention.ts';
import { Backups } from './backup/backups.ts';
import type { RestoreResult } from './backup/restore/restore.ts';
import { auditKeeper, createHealth, createIntegrity } from './catalog/hosts.ts';
import { createMaintenance, type Maintenance } from './catalog/maintenance.ts';
import { type CatalogModules, createModules, type ModuleContext } from './catalog/modules.ts';
import { bringUpToDate, type OpenedFile, type OpenOptions, openFile } from './catalog/open.ts';
import { backupHost, type RestoreFileOptions, restoreFile } from './catalog/restore-file.ts';
import type { QuotaWarning, Stored } from './core/save-file.ts';
import type { Health } from './health/health.ts';
import type { HealthOptions, HealthReport } from './health/report.ts';
import type { SaveCounts } from './metrics/metric-facts.ts';
import type { Metrics } from './metrics/metrics.ts';
import { SaveCounter } from './metrics/save-counter.ts';
import type { Migrator } from './migrations/migrator.ts';
import { LIBRARY_VERSION } from './runtime/version.ts';
import { workOffBacklog } from './search/index-backlog.ts';
import type { CallOptions, Engine, EngineStats } from './sql/engine.ts';
import { checkObject, checkSignal, optional, refuse } from './validation.ts';

/** What listeners hear. */
export interface CatalogEvents {
  /** A client's use crossed its warning threshold; told once, by the save that crossed it. */
  'quota-warning': [warning: QuotaWarning];
}

/** What the callback of a transaction works with: every module, on the connection lent to it. */
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
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The modules of an open catalogue; `DatabaseManager` adds what concerns the catalogue as a whole. */
export interface DatabaseManager extends CatalogModules {}

/** An open catalogue. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the modules are assigned in the constructor, all at once
export class DatabaseManager implements AsyncDisposable {
  /** The versions of the schema: what is applied, what would be, and the way there and back. */
  readonly migrations: Migrator;
  /** Work on the catalogue as a whole. */
  readonly maintenance: Maintenance;
  /** Backups of the catalogue, and the way back. */
  readonly backups: Backups;
  readonly #engine: Engine;
  readonly #close: () => Promise<void>;
  readonly #context: ModuleContext;
  readonly #health: Health;
  readonly #loadMetrics: () => Promise<Metrics>;
  #metrics: Promise<Metrics> | undefined;
  readonly #saves = new SaveCounter();
  readonly #activity: ActivityRetention;
  readonly #logger: Logger;
  readonly #events = new EventEmitter<CatalogEvents>();

  private constructor(file: OpenedFile) {
    const { engine, options, logger, migrator, close } = file;
    this.#engine = engine;
    this.#close = close;
    this.#logger = logger.child({ module: 'database' });
    const integrity = createIntegrity(file);
    this.#health = createHealth(file, integrity);
    this.#loadMetrics = metricsLoader(file, () => this.#saves.figures());
    const log = logger.child({ module: 'analytics' });
    this.#activity = new ActivityRetention(engine, options.activityRetentionDays, (error) => {
      log.warn({ err: error }, 'old activity was not removed');
    });
    this.#context = {
      database: options.database,
      storageDir: resolve(options.storageDir),
      defaultQuotaBytes: options.defaultQuotaBytes,
      stats: () => engine.stats(),
      callLog: () => engine.callLog(),
      onSaved: (stored) => this.#saved(stored),
      onAudited: auditKeeper(file),
      readApart: file.readApart,
    };
    Object.assign(this, createModules(engine, this.#context));
    this.migrations = migrator;
    this.maintenance = createMaintenance(file, integrity);
    this.backups = new Backups(backupHost(file));
  }

  /**
   * Opens a catalogue, makes it if it does not exist, and migrates it, once another process that does so has ended.
   * @throws {ValidationError} for an option that is unknown or not accepted
   * @throws {DatabaseError} why the file cannot be used; it is then as it was. The reason of the signal: what was there is
   *   as it was
   */
  static async open(given: OpenOptions = {}): Promise<DatabaseManager> {
    const file = await openFile(given);
    try {
      await bringUpToDate(file, given);
    } catch (error) {
      await file.close();
      throw error;
    }
    const { engine, options, logger } = file;
    const log = logger.child({ module: 'search' });
    const onError = (error: unknown) => log.warn({ err: error }, 'files wait to be indexed for search');
    if (!options.readOnly) void workOffBacklog(engine, onError);
    return new DatabaseManager(file);
  }

  /**
   * The migrations of a file, without bringing it up to date first: for plans, rehearsals and rollbacks of one that a
   * catalogue could not, or should not yet, be opened on. Whoever opens it closes it.
   * @throws as {@link open}
   */
  static async openMigrations(given: OpenOptions = {}): Promise<OpenMigrations> {
    const { close, migrator } = await openFile(given);
    return Object.assign(migrator, { close, [Symbol.asyncDispose]: close });
  }

  /**
   * Restores a catalogue from a backup, also one that is damaged or gone: the files of a damaged one are kept as
   * `*.damaged-TIME`. One that works is restored as {@link Backups.restore} does, and may be open meanwhile; one that is
   * damaged must be open nowhere.
   * @throws {DatabaseError} CATALOG_BACKUP_INVALID when the backup does not verify, CATALOG_SCHEMA_NEWER, CATALOG_KEY,
   *   CATALOG_FOREIGN_DATABASE when the file is another program's database, CATALOG_CONFLICT when a damaged one is open
   *   in this process, CATALOG_FULL, CATALOG_BUSY, CATALOG_IO; everything is as it was then
   */
  static restore(given: RestoreFileOptions): Promise<RestoreResult> {
    return restoreFile(given);
  }

  /**
   * Runs a callback with the writer lent to it: what it does through `tx` is stored together or not at all. Other
   * writers wait meanwhile, so keep it short and do no other work in it.
   * @throws what the callback throws; {DatabaseError} CATALOG_TIMEOUT when it took longer than `timeoutMs`
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
      readApart: undefined,
      onSaved: (stored: Stored) => void saved.push(stored),
    };
    const use = { deadlineMs, signal: checkSignal(signal) };
    const result = await this.#engine.lend('write', async (tx) => callback(createModules(tx, context)), use);
    // Listeners hear of what is committed, never of what was rolled back.
    for (const stored of saved) this.#saved(stored);
    return result;
  }

  /**
   * Whether the catalogue is well. Never throws, and answers within a second in any state; with `full` the whole file is
   * checked first, which takes as long as that does, up to `thresholds.checkMs`.
   */
  async health(options: HealthOptions = {}): Promise<HealthReport> {
    return this.#health.examine(options);
  }

  /**
   * Everything that monitoring asks for, in Prometheus' text format 0.0.4 (`text/plain; version=0.0.4; charset=utf-8`).
   * Never throws for the state of the catalogue, and answers within a second: what could not be found out is left out.
   */
  async metrics(): Promise<string> {
    this.#metrics ??= this.#loadMetrics();
    return (await this.#metrics).text();
  }

  /** Figures of connections, queues, commits and loans since the catalogue was opened. */
  stats(): EngineStats {
    return this.#engine.stats();
  }

  /**
   * Hears of an event; returns what removes the listener again.
   * @throws {ValidationError} for an event there is none of
   */
  on<Name extends keyof CatalogEvents>(event: Name, listener: (...values: CatalogEvents[Name]) => void): () => void {
    if (!EVENTS.includes(event)) refuse('event', event, EVENTS.join(', '));
    if (typeof listener !== 'function') refuse('listener', listener, 'a function');
    this.#events.on(event, listener as never);
    return () => this.#events.off(event, listener as never);
  }

  /** Waits for what was accepted, then closes. Idempotent; never waits longer than `closeTimeoutMs`. */
  async close(): Promise<void> {
    await this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
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

/** Makes the metrics of a file when they are first asked for: prom-client takes longer to load than opening may take. */
function metricsLoader({ engine, options: { database } }: OpenedFile, saves: () => SaveCounts): () => Promise<Metrics> {
  const openedAt = Date.now() / 1_000;
  return async () => {
    const { Metrics } = await import('./metrics/metrics.ts');
    return new Metrics({ engine, database, libraryVersion: LIBRARY_VERSION, openedAt, saves });
  };
}

function checkTimeout(value: unknown): number {
  const isGood = typeof value === 'number' && value >= 1 && value <= MAX_TIMEOUT_MS;
  return isGood ? value : refuse('timeoutMs', value, `milliseconds, 1 to ${MAX_TIMEOUT_MS}`);
}

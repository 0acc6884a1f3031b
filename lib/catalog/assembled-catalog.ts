/** An open catalogue with everything that `DatabaseManager` hands out, and its events. */
import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { ActivityRetention } from '../analytics/activity-retention.ts';
import { Backups } from '../backup/backups.ts';
import type { QuotaWarning, Stored } from '../core/save-file.ts';
import { Health } from '../health/health.ts';
import type { HealthOptions, HealthReport } from '../health/report.ts';
import { Integrity } from '../maintenance/integrity.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { SaveCounter } from '../metrics/save-counter.ts';
import type { Migrator } from '../migrations/migrator.ts';
import type { CallOptions, EngineStats } from '../sql/engine.ts';
import { checkObject, checkSignal, optional, refuse } from '../validation.ts';
import { MAX_TIMER_MS } from '../values/intervals.ts';
import { CatalogExecutor } from './executor.ts';
import { backupHost, healthHost, integrityHost, maintenanceHost, metricsHost, moduleContext } from './hosts.ts';
import { type Maintenance, maintenanceOf } from './maintenance.ts';
import { type CatalogModules, type ModuleContext, modulesOf } from './modules.ts';
import type { Catalog, CatalogStatus } from './open.ts';

/** The events of a catalogue and what listeners receive. */
export interface CatalogEvents {
  /** A client's use crossed its warning threshold; emitted once, after the save that crossed it. */
  'quota-warning': [warning: QuotaWarning];
}

/** What the callback of a transaction receives: every module, inside the transaction. */
export type Transaction = CatalogModules;

/** Options of a transaction. */
export interface TransactionOptions extends CallOptions {
  /** Milliseconds after which it is rolled back, whatever the callback is doing. Default 30,000. */
  readonly timeoutMs?: number | undefined;
}

const EVENTS: readonly string[] = ['quota-warning'] satisfies (keyof CatalogEvents)[];
const TRANSACTION_KEYS = new Set(['timeoutMs', 'signal']);

/** What `DatabaseManager` hands out; it documents each member. */
export class AssembledCatalog {
  readonly modules: CatalogModules;
  readonly migrations: Migrator;
  readonly maintenance: Maintenance;
  readonly backups: Backups;
  readonly #catalog: Catalog;
  readonly #context: ModuleContext;
  readonly #health: Health;
  readonly #activity: ActivityRetention;
  readonly #logger: Logger;
  readonly #openedAt = Date.now() / 1_000;
  readonly #saves = new SaveCounter();
  readonly #events = new EventEmitter<CatalogEvents>();
  #metrics: Promise<Metrics> | undefined;

  constructor(catalog: Catalog) {
    const { engine, settings, migrator } = catalog;
    this.#catalog = catalog;
    this.#logger = catalog.logger('database');
    this.#context = moduleContext(catalog, (stored) => this.#saved(stored));
    this.modules = modulesOf(new CatalogExecutor(engine), this.#context);
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

  get status(): CatalogStatus {
    return this.#catalog.status;
  }

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

  async health(options: HealthOptions = {}): Promise<HealthReport> {
    return this.#health.examine(options);
  }

  async metrics(): Promise<string> {
    this.#metrics ??= this.#loadMetrics();
    return (await this.#metrics).text();
  }

  stats(): EngineStats {
    return this.#catalog.engine.stats();
  }

  on<Name extends keyof CatalogEvents>(event: Name, listener: (...values: CatalogEvents[Name]) => void): () => void {
    if (!EVENTS.includes(event)) refuse('event', event, EVENTS.join(', '));
    if (typeof listener !== 'function') refuse('listener', listener, 'a function');
    this.#events.on(event, listener as never);
    return () => this.#events.off(event, listener as never);
  }

  async close(): Promise<void> {
    await this.#catalog.close();
  }

  /** Loads prom-client at first use: loading takes longer than opening a catalogue may. */
  async #loadMetrics(): Promise<Metrics> {
    const { Metrics } = await import('../metrics/metrics.ts');
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

function checkTimeout(value: unknown): number {
  const isGood = typeof value === 'number' && value >= 1 && value <= MAX_TIMER_MS;
  return isGood ? value : refuse('timeoutMs', value, `milliseconds, 1 to ${MAX_TIMER_MS}`);
}

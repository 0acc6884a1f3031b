/**
 * The facade: opens the engine, brings the schema up to date and hands out the modules. The only file that names a
 * concrete engine.
 */
import { EventEmitter } from 'node:events';
import { extname, resolve } from 'node:path';
import { type Logger, pino } from 'pino';
import { ActivityRetention } from './analytics/activity-retention.ts';
import type { QuotaState, SaveOutcome } from './core/save-file.ts';
import { DatabaseError } from './errors.ts';
import { Health, type HealthOptions, type HealthReport } from './health/health.ts';
import { assertOurs, type MigrationStatus, migrateUp, readSchema, statusOf } from './migrations/migrator.ts';
import { type CatalogModules, createModules, type ModuleContext } from './modules.ts';
import { type CatalogOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import { prepareDatabaseFile } from './pool/database-file.ts';
import { SqliteEngine } from './pool/sqlite-engine.ts';
import type { CallOptions, Engine, EngineStats } from './sql/engine.ts';
import { checkObject, checkSignal, optional, refuse } from './validation.ts';

/** What listeners hear. */
export interface CatalogEvents {
  /** A client's use crossed its warning threshold; told once, by the save that crossed it. */
  'quota-warning': [warning: QuotaState & { readonly clientId: string }];
}

/** What the callback of a transaction works with: every module, on the connection lent to it. */
export type Transaction = CatalogModules;

/** How a transaction is run. */
export interface TransactionOptions extends CallOptions {
  /** Milliseconds until it is rolled back, whatever the callback does. Default 30,000. */
  readonly timeoutMs?: number | undefined;
}

const EVENTS: readonly string[] = ['quota-warning'] satisfies (keyof CatalogEvents)[];
const TRANSACTION_KEYS = new Set(['timeoutMs', 'signal']);
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

// Sources run as .ts, the published package as .js.
const PROCEDURES = new URL(`./procedures${extname(import.meta.url)}`, import.meta.url).href;

/** The modules of an open catalogue; `DatabaseManager` adds what concerns the catalogue as a whole. */
export interface DatabaseManager extends CatalogModules {}

/** An open catalogue. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the modules are assigned in the constructor, all at once
export class DatabaseManager implements AsyncDisposable {
  readonly migrations: { status(): Promise<MigrationStatus> };
  readonly #engine: Engine;
  readonly #context: ModuleContext;
  readonly #health: Health;
  readonly #activity: ActivityRetention;
  readonly #logger: Logger;
  readonly #events = new EventEmitter<CatalogEvents>();

  private constructor(engine: Engine, options: ResolvedOptions, logger: Logger) {
    this.#engine = engine;
    this.#logger = logger;
    this.#health = new Health(engine);
    this.#activity = new ActivityRetention(engine, options.activityRetentionDays, (error) => {
      logger.warn({ err: error }, 'old activity was not removed');
    });
    this.#context = {
      database: options.database,
      storageDir: resolve(options.storageDir),
      defaultQuotaBytes: options.defaultQuotaBytes,
      stats: () => engine.stats(),
      onSaved: (outcome) => this.#saved(outcome),
    };
    Object.assign(this, createModules(engine, this.#context));
    this.migrations = { status: async () => statusOf((await readSchema(engine)).journal) };
  }

  /**
   * Opens a catalogue, makes it if it does not exist, and migrates it.
   * @throws {ValidationError} for an option that is unknown or not accepted
   * @throws {DatabaseError} why the file cannot be used; it is then as it was
   */
  static async open(given: CatalogOptions = {}): Promise<DatabaseManager> {
    const options = resolveOptions(given);
    const logger = (options.logger ?? pino({ level: 'silent' })).child({ module: 'database' });
    const { path, created } = await prepareDatabaseFile(options.database, options);
    const procedureModules = [PROCEDURES, ...options.procedureModules.map(String)];
    const engine = await SqliteEngine.open({ ...options, database: path, procedureModules });
    try {
      await bringUpToDate(engine, options);
    } catch (error) {
      await engine.close();
      throw error;
    }
    logger.info({ database: path, created }, 'catalogue open');
    return new DatabaseManager(engine, { ...options, database: path }, logger);
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
    const saved: SaveOutcome[] = [];
    const context = { ...this.#context, onSaved: (outcome: SaveOutcome) => void saved.push(outcome) };
    const use = { deadlineMs, signal: checkSignal(signal) };
    const result = await this.#engine.lend('write', async (tx) => callback(createModules(tx, context)), use);
    // Listeners hear of what is committed, never of what was rolled back.
    for (const outcome of saved) this.#saved(outcome);
    return result;
  }

  /** Whether the catalogue is well; `full` checks the whole file as well. Never throws. */
  async health(options: HealthOptions = {}): Promise<HealthReport> {
    return this.#health.examine(options);
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
    await this.#engine.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #saved({ result: { file, quota }, crossedWarning }: SaveOutcome): void {
    this.#activity.saved();
    if (!crossedWarning) return;
    try {
      this.#events.emit('quota-warning', { clientId: file.clientId, ...quota });
    } catch (error) {
      // The save is stored: a listener that throws must not make it look as if it were not.
      this.#logger.error({ err: error, event: 'quota-warning' }, 'a listener threw');
    }
  }
}

function checkTimeout(value: unknown): number {
  const isGood = typeof value === 'number' && value >= 1 && value <= MAX_TIMEOUT_MS;
  return isGood ? value : refuse('timeoutMs', value, `milliseconds, 1 to ${MAX_TIMEOUT_MS}`);
}

async function bringUpToDate(engine: Engine, { migrate, readOnly }: ResolvedOptions): Promise<void> {
  const schema = await readSchema(engine);
  assertOurs(schema);
  const { pending } = statusOf(schema.journal);
  if (pending.length === 0) return;
  if (migrate === 'off' || readOnly) {
    const names = pending.map(({ version, name }) => `${version} (${name})`).join(', ');
    throw new DatabaseError('CATALOG_MIGRATION_PENDING', `the schema lacks ${pending.length} migrations: ${names}`);
  }
  await migrateUp(engine);
}

/**
 * The facade: opens the engine, brings the schema up to date and hands out the modules. The only file that names a
 * concrete engine.
 */
import { EventEmitter } from 'node:events';
import { extname } from 'node:path';
import { pino } from 'pino';
import { type Clients, createClients } from './core/clients.ts';
import { createFiles, type Files } from './core/files.ts';
import type { QuotaState, SaveOutcome } from './core/save-file.ts';
import { DatabaseError } from './errors.ts';
import { assertOurs, type MigrationStatus, migrateUp, readSchema, statusOf } from './migrations/migrator.ts';
import { type CatalogOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import { prepareDatabaseFile } from './pool/database-file.ts';
import { SqliteEngine } from './pool/sqlite-engine.ts';
import type { Engine, EngineStats } from './sql/engine.ts';

/** What listeners hear. */
export interface CatalogEvents {
  /** A client's use crossed its warning threshold; told once, by the save that crossed it. */
  'quota-warning': [warning: QuotaState & { readonly clientId: string }];
}

// Sources run as .ts, the published package as .js.
const PROCEDURES = new URL(`./procedures${extname(import.meta.url)}`, import.meta.url).href;

/** An open catalogue. */
export class DatabaseManager implements AsyncDisposable {
  readonly clients: Clients;
  readonly files: Files;
  readonly migrations: { status(): Promise<MigrationStatus> };
  readonly #engine: Engine;
  readonly #events = new EventEmitter<CatalogEvents>();

  private constructor(engine: Engine, options: ResolvedOptions) {
    this.#engine = engine;
    this.clients = createClients(engine, options.defaultQuotaBytes);
    this.files = createFiles(engine, (outcome) => this.#saved(outcome));
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
    const engine = await SqliteEngine.open({ ...options, database: path, procedureModules: [PROCEDURES] });
    try {
      await bringUpToDate(engine, options);
    } catch (error) {
      await engine.close();
      throw error;
    }
    logger.info({ database: path, created }, 'catalogue open');
    return new DatabaseManager(engine, { ...options, database: path });
  }

  /** Figures of connections, queues, commits and loans since the catalogue was opened. */
  stats(): EngineStats {
    return this.#engine.stats();
  }

  /** Hears of an event; returns what removes the listener again. */
  on<Name extends keyof CatalogEvents>(event: Name, listener: (...values: CatalogEvents[Name]) => void): () => void {
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
    if (crossedWarning) this.#events.emit('quota-warning', { clientId: file.clientId, ...quota });
  }
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

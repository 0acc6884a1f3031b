/** `DatabaseManager`: an open catalogue, made of the modules that it hands out. */
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

/** The migrations of a file that is open for nothing else. */
export type OpenMigrations = Migrator & AsyncDisposable & { close(): Promise<void> };

/** What `open` calls the constructor with, and nobody else can. */
const OPENED = Symbol('opened');

/** Loads the library. It is no static import, because a thread can start meanwhile: that takes as long. */
const library = () => import('./catalog/opening.ts');

/** Loads the library, and starts the first thread meanwhile, which `open` then takes. */
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
    return new DatabaseManager(OPENED, await openWith(options, (loaded) => loaded.openAssembled(options)));
  }

  /**
   * Opens the migrations of a file and leaves its schema as it is: for plans, rehearsals and rollbacks of a file that
   * `open` could not, or should not yet, migrate. The caller closes it.
   * @throws as {@link open}
   */
  static async openMigrations(options: OpenOptions = {}): Promise<OpenMigrations> {
    const catalog = await openWith(options, (loaded) => loaded.openUnmigrated(options));
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
  static async restore(options: RestoreFileOptions): Promise<RestoreResult> {
    return (await library()).restoreFile(options);
  }

  /**
   * Whether the catalogue can be used: `open`; `closing` from the call of `close` until what was accepted has ended; then
   * `closed`. `opening` ends before `open` resolves, so whoever has awaited `open` never sees it.
   */
  get status(): CatalogStatus {
    return this.#opened.status;
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
    return this.#opened.transaction(callback, options);
  }

  /**
   * Whether the catalogue is well. Never throws, and answers within a second in any state. With `full` it checks the whole
   * file first, which takes as long as that does, up to `thresholds.checkMs`.
   */
  async health(options: HealthOptions = {}): Promise<HealthReport> {
    return this.#opened.health(options);
  }

  /**
   * Everything that monitoring asks for, in Prometheus' text format 0.0.4 (`text/plain; version=0.0.4; charset=utf-8`).
   * Never throws for the state of the catalogue, and answers within a second; leaves out what it cannot find out.
   */
  async metrics(): Promise<string> {
    return this.#opened.metrics();
  }

  /** Figures of connections, queues, commits and transactions since the catalogue was opened. */
  stats(): EngineStats {
    return this.#opened.stats();
  }

  /**
   * Calls a listener at every event of a name; returns a function that removes the listener.
   * @throws {ValidationError} for the name of an unknown event
   */
  on<Name extends keyof CatalogEvents>(event: Name, listener: (...values: CatalogEvents[Name]) => void): () => void {
    return this.#opened.on(event, listener);
  }

  /**
   * Waits for the calls that were accepted, then closes. Idempotent; never waits longer than `closeTimeoutMs`.
   * @throws {ConflictError} inside a transaction, which it would wait for
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
    { hint: 'Write await DatabaseManager.open({ database }): it opens the file, which a constructor cannot wait for.' },
  );

/**
 * The SQLite engine: pooled readers and exactly one writer, each connection on its own thread. It fulfils the contract
 * of sql/engine.ts and knows procedures by name only.
 */
import { DatabaseError } from '../errors.ts';
import { isClosed, wouldLeaveLog } from '../runtime/closed-file.ts';
import { CallLog, type CallLogFigures } from '../sql/call-log.ts';
import {
  type CallOptions,
  closedError,
  type DatabaseFile,
  type Engine,
  type EngineStats,
  type EngineSupports,
  type Executor,
  type TransactionSettings,
  type WriterTransaction,
} from '../sql/engine.ts';
import type { Intent, Procedure } from '../sql/procedure.ts';
import { isTraced, traceCall } from '../sql/tracing.ts';
import { addStatements, ConnectionPool } from './connection-pool.ts';
import { isUnplaced } from './database-file.ts';
import { Dispatcher } from './dispatcher.ts';
import { OpenTransactions } from './open-transactions.ts';
import type { ConnectionSettings } from './protocol.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import { SqliteFile } from './sqlite-file.ts';

/** The options of the engine; `DatabaseManager` derives them from its own. */
export interface SqliteEngineOptions extends ConnectionSettings {
  /** Total number of connections, one of them the writer; with 1 the writer serves reads too. */
  readonly poolSize: number;
  readonly acquireTimeoutMs: number;
  readonly closeTimeoutMs: number;
  /** How many calls of one kind may wait. */
  readonly queueLimit: number;
}

const OPEN_TIMEOUT_MS = 30_000; // a thread starts in 0.1 s, on a busy machine in several tenths

/** Opens a pool's first connection, which may take longer than acquireTimeoutMs, a limit for calls. */
async function openFirst(pool: ConnectionPool): Promise<void> {
  const start = performance.now();
  for (;;) {
    try {
      await pool.release(await pool.acquire());
      return;
    } catch (error) {
      const isLate = error instanceof DatabaseError && error.code === 'CATALOG_TIMEOUT';
      if (!isLate || performance.now() - start >= OPEN_TIMEOUT_MS) throw error;
    }
  }
}

/** The SQLite engine. */
export class SqliteEngine implements Engine {
  readonly dialect = sqliteDialect;
  readonly supports: EngineSupports = { rowids: true, suspendedForeignKeys: true, beforeCommit: true };
  readonly file: DatabaseFile;
  readonly #options: SqliteEngineOptions;
  readonly #readers: ConnectionPool;
  readonly #writers: ConnectionPool;
  readonly #reads: Dispatcher;
  readonly #writes: Dispatcher;
  readonly #transactions: OpenTransactions;
  readonly #log = new CallLog();
  #state: EngineStats['state'] = 'open';
  #closing: Promise<void> | undefined;

  private constructor(options: SqliteEngineOptions) {
    const { poolSize, acquireTimeoutMs, queueLimit, readOnly } = options;
    this.#options = options;
    this.file = new SqliteFile(options.database, (use, call) => this.#holdWriter(use, call));
    const poolOf = (size: number, settings: ConnectionSettings) =>
      new ConnectionPool(settings, { size, acquireTimeoutMs, queueLimit });
    const bounds = { limit: queueLimit, timeoutMs: acquireTimeoutMs };
    // The first connection that opens checks the file, once.
    const { preflight } = options;
    this.#writers = poolOf(1, { ...connectionSettings(options, readOnly), preflight });
    const readers = { ...connectionSettings(options, true), ...(readOnly ? { preflight } : {}) };
    this.#readers = poolSize === 1 ? this.#writers : poolOf(poolSize - 1, readers);
    const standIn = this.#readers === this.#writers || readOnly ? undefined : this.#writers;
    this.#writes = new Dispatcher(this.#writers, 'group', bounds, this.#log);
    const neighbours = { standIn, preferred: this.#writes };
    this.#reads = new Dispatcher(this.#readers, 'batch', bounds, this.#log, neighbours);
    this.#transactions = new OpenTransactions(
      { read: this.#readers, write: this.#writers },
      { database: options.database, log: this.#log },
    );
  }

  /**
   * Opens the writer (the first reader if read-only), which proves that the file is usable. If read-only, a closed file
   * in a place that is not writable is read as immutable.
   * @throws {DatabaseError} if it is not usable
   */
  static async open(options: SqliteEngineOptions): Promise<SqliteEngine> {
    if (!options.readOnly) return SqliteEngine.#opened(options);
    const { immutable = wouldLeaveLog(options.database) } = options;
    try {
      return await SqliteEngine.#opened({ ...options, immutable });
    } catch (error) {
      const isRefused = isUnplaced(error) || (error instanceof DatabaseError && error.code === 'CATALOG_IO');
      if (!isRefused || !isClosed(options.database)) throw error;
      return SqliteEngine.#opened({ ...options, immutable: !immutable });
    }
  }

  static async #opened(options: SqliteEngineOptions): Promise<SqliteEngine> {
    const engine = new SqliteEngine(options);
    try {
      await openFirst(options.readOnly ? engine.#readers : engine.#writers);
    } catch (error) {
      await engine.close();
      throw error;
    }
    return engine;
  }

  run<Input, Output>(wanted: Procedure<Input, Output>, input: Input, options: CallOptions = {}): Promise<Output> {
    if (!isTraced()) return this.#run(wanted, input, options);
    const { name, intent } = wanted;
    const trace = { procedure: name, intent, database: this.#options.database, transaction: false };
    return traceCall(trace, () => this.#run(wanted, input, options));
  }

  #run<Input, Output>(wanted: Procedure<Input, Output>, input: Input, options: CallOptions): Promise<Output> {
    try {
      this.#assertUsable(wanted.intent, wanted.name);
    } catch (error) {
      this.#log.threw(error);
      return Promise.reject(error);
    }
    return (wanted.intent === 'read' ? this.#reads : this.#writes).run(wanted, input, options);
  }

  async transaction<Result>(
    intent: Intent,
    use: (connection: Executor) => Promise<Result>,
    options: TransactionSettings = {},
  ): Promise<Result> {
    this.#assertUsable(intent, intent === 'write' ? 'a transaction' : 'a reading transaction');
    return this.#transactions.run(intent, use, options);
  }

  async #holdWriter<Result>(
    use: (transaction: WriterTransaction) => Promise<Result>,
    options: CallOptions = {},
  ): Promise<Result> {
    this.#assertUsable('write', 'holding the writer');
    return this.#transactions.hold('write', use, options);
  }

  /** @throws {ConflictError} if called inside a transaction that it would wait for */
  #assertUsable(intent: Intent, what: string): void {
    if (this.#state !== 'open') throw closedError();
    this.#transactions.assertNotWaitingForItself(what, intent);
    if (intent === 'write' && this.#options.readOnly) {
      throw new DatabaseError('CATALOG_READ_ONLY', `${what} writes, but the database is open read-only`);
    }
  }

  stats(): EngineStats {
    return {
      state: this.#state,
      readers: this.#readers.figures(),
      writers: this.#writers.figures(),
      reads: this.#reads.figures(),
      writes: this.#writes.figures(),
      transactions: this.#transactions.figures(),
      beforeCommit: this.#writers.beforeCommit,
      statements: [...new Set([this.#readers, this.#writers])].map((pool) => pool.statements).reduce(addStatements),
    };
  }

  callLog(): CallLogFigures {
    return this.#log.figures();
  }

  /** @throws {ConflictError} if called inside a transaction, where it would wait for itself */
  async close(): Promise<void> {
    // Even if another caller is already closing: that waits for this caller's transaction too.
    if (this.#state !== 'closed') this.#transactions.assertOutside('close');
    if (this.#closing === undefined) {
      this.#state = 'closing';
      this.#closing = this.#close();
    }
    await this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => resolve('late'), this.#options.closeTimeoutMs);
    const outcome = await Promise.race([this.#finish(), late]);
    clearTimeout(timer);
    if (outcome === 'late') this.#abandon();
    this.#state = 'closed';
  }

  // The writer goes last: closing the last connection checkpoints the WAL, which a reader cannot.
  async #finish(): Promise<void> {
    await Promise.all([this.#reads.settled(), this.#writes.settled(), this.#transactions.settled()]);
    await this.#readers.close();
    await this.#writers.close();
  }

  // Not awaited: nothing can interrupt an endless native statement, and close must not hang on it.
  #abandon(): void {
    for (const pool of [this.#readers, this.#writers]) pool.abandon(closedError());
  }
}

const connectionSettings = (options: SqliteEngineOptions, readOnly: boolean): ConnectionSettings => ({
  database: options.database,
  readOnly,
  durability: options.durability,
  busyTimeoutMs: options.busyTimeoutMs,
  allowRollbackJournal: options.allowRollbackJournal,
  immutable: options.immutable,
  procedureModules: options.procedureModules,
  threadArgv: options.threadArgv,
  lateProcedureModules: options.lateProcedureModules,
  beforeCommit: options.beforeCommit,
});

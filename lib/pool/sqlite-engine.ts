/**
 * The SQLite engine: pooled readers, exactly one writer, each connection on a thread of its own. Promises the contract
 * of sql/engine.ts; knows procedures by name only and nothing of what they do.
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

/** Everything the engine needs to know; `DatabaseManager` fills it from the options. */
export interface SqliteEngineOptions extends ConnectionSettings {
  /** Connections in all, one of them the writer; with 1 the writer serves the reads as well. */
  readonly poolSize: number;
  readonly acquireTimeoutMs: number;
  readonly closeTimeoutMs: number;
  /** Calls of one kind that may wait at once. */
  readonly queueLimit: number;
}

const OPEN_TIMEOUT_MS = 30_000; // a thread starts in a tenth of a second, on a busy machine in several

/** Opens a pool's first connection; acquireTimeoutMs may be shorter than that takes, since it is meant for calls. */
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
   * Opens the writer (the first reader, when read-only) and with it proves that the file can be used. A closed file that
   * cannot be written where it lies is read, when read-only, as one that nobody writes.
   * @throws {DatabaseError} why it cannot
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

  /** @throws {ConflictError} when called from inside a transaction that it would wait for */
  #assertUsable(intent: Intent, what: string): void {
    if (this.#state !== 'open') throw closedError();
    this.#transactions.assertNotWaitingForItself(what, intent);
    if (intent === 'write' && this.#options.readOnly) {
      throw new DatabaseError('CATALOG_READ_ONLY', `${what} writes, and the database was opened read-only`);
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

  /** @throws {ConflictError} when called from inside a transaction, which it would wait for */
  async close(): Promise<void> {
    // Also when somebody else has begun to close: that waits for the caller's transaction as well.
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

  // Not awaited: a native statement that never ends cannot be interrupted, and close must not hang on it.
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

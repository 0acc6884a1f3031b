/**
 * The narrow contract between domain code and a database engine. An engine runs procedures, lends a connection to a
 * callback and closes; it knows nothing of clients or files. Every engine passes the suite in test/engine-conformance.ts.
 */
import { DatabaseError } from '../errors.ts';
import type { CallLogFigures } from './call-log.ts';
import type { Dialect } from './dialect.ts';
import type { Intent, Procedure } from './procedure.ts';

/** Options of every call that can wait. */
export interface CallOptions {
  /** Gives up waiting; a call that has begun completes, so that its outcome is always known. */
  readonly signal?: AbortSignal | undefined;
}

/** Whatever runs procedures: an engine, or a connection lent by one. */
export interface Executor {
  /**
   * Runs a procedure in a transaction of its own (a savepoint of the surrounding one, on a lent connection).
   * @throws {DatabaseError} what the procedure threw, or what the engine met; nothing was changed then, except that
   *   CATALOG_INDETERMINATE says that this is not known
   */
  run<Input, Output>(procedure: Procedure<Input, Output>, input: Input, options?: CallOptions): Promise<Output>;
}

/** How a connection is lent. */
export interface LendOptions extends CallOptions {
  /** Milliseconds after which the connection is taken back and its transaction rolled back. Default: the engine's. */
  readonly deadlineMs?: number | undefined;
  /** false suspends foreign keys for the time of the loan, as schema changes need. Default true. */
  readonly foreignKeys?: boolean | undefined;
}

/** Figures of one kind of work since the engine was opened; times in milliseconds. */
export interface WorkFigures {
  /** Calls that were accepted. */
  readonly calls: number;
  /** Messages they travelled in: batches of reads, commits of writes. */
  readonly rounds: number;
  /** The most calls that shared one. */
  readonly largestRound: number;
  /** Calls waiting now. */
  readonly waiting: number;
  /** The most that ever waited. */
  readonly maxWaiting: number;
  /** Calls that gave up: their time was over, or their signal fired. */
  readonly expired: number;
  /** Calls refused because the queue was full. */
  readonly refused: number;
  readonly totalWaitMs: number;
  readonly maxWaitMs: number;
}

/** Figures of the connections an engine holds. */
export interface ConnectionFigures {
  readonly size: number;
  readonly open: number;
  readonly busy: number;
  readonly idle: number;
  /** Connections opened since the engine was. */
  readonly created: number;
  /** Connections that died and were, or will be, replaced. */
  readonly lost: number;
  /** Milliseconds that the connection which is out longest has been out, for a batch or on loan; 0 when none is. */
  readonly longestMs: number;
  /** Milliseconds that the longest request under way has taken, which nothing can interrupt; 0 when none is. */
  readonly requestMs: number;
}

/** Statements that were executed. */
export interface StatementFigures {
  /** Found prepared. */
  readonly found: number;
  /** Prepared first, which costs several times what running them does. */
  readonly prepared: number;
}

/** How the procedure fared that ends every transaction which wrote; its failures cost no call anything. */
export interface UpkeepFigures {
  readonly failures: number;
  /** The message of the last failure. */
  readonly lastError: string | null;
}

/** What an engine tells of itself. */
export interface EngineStats {
  readonly state: 'open' | 'closing' | 'closed';
  readonly readers: ConnectionFigures;
  readonly writers: ConnectionFigures;
  readonly reads: WorkFigures;
  readonly writes: WorkFigures;
  /** Connections lent now, and ever. */
  readonly leases: { readonly active: number; readonly granted: number; readonly expired: number };
  readonly upkeep: UpkeepFigures;
  /** Of all connections, those that are gone included. */
  readonly statements: StatementFigures;
}

/** Lends the writer that is held back, for one transaction. */
export type LendWriter = <Result>(use: (connection: Executor) => Promise<Result>) => Promise<Result>;

/** A database engine, open and ready. */
export interface Engine extends Executor, AsyncDisposable {
  readonly dialect: Dialect;
  /**
   * Lends one connection in one transaction: committed when `use` resolves, rolled back when it throws. A call on the
   * engine itself from inside a loan throws CATALOG_CONFLICT where it would wait for that loan: a write inside a write
   * loan, `close` inside any, and whatever needs a connection when the caller's loans hold them all.
   */
  lend<Result>(intent: Intent, use: (connection: Executor) => Promise<Result>, options?: LendOptions): Promise<Result>;
  /**
   * Keeps the engine's own writers waiting while `use` works on the file in another way; `lend`, which `use` is handed,
   * lends the writer for one transaction at a time.
   */
  suspendWrites<Result>(use: (lend: LendWriter) => Promise<Result>, options?: CallOptions): Promise<Result>;
  stats(): EngineStats;
  /** What was measured of the calls since the engine was opened; asks nothing of the database. */
  callLog(): CallLogFigures;
  /** Waits for what was accepted, then closes. Idempotent, and never hangs. */
  close(): Promise<void>;
}

/** What every call on a closed engine throws. */
export const closedError = () => new DatabaseError('CATALOG_CLOSED', 'the database is closed');

/** For work that reads the file by other means than the engine's connections. @throws {DatabaseError} CATALOG_CLOSED */
export function assertOpen(engine: Pick<Engine, 'stats'>): void {
  if (engine.stats().state !== 'open') throw closedError();
}

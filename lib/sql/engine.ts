/**
 * The narrow contract between domain code and a database engine. An engine runs procedures, each by itself or several in
 * the transaction of a callback, and closes; it knows nothing of clients or files. Every engine passes the suite in test/engine-conformance.ts.
 * What only some engines can do, `supports` and `file` tell.
 *
 * Writes that share a commit stand or fall alone. How an engine undoes one of them is its own business: a savepoint around
 * each call is always right. The SQLite engine runs a group without savepoints first, because there a statement that fails
 * leaves its transaction usable; the contract does not ask for that, and the suite cannot tell.
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

/** Whatever runs procedures: an engine, or the connection of a transaction. */
export interface Executor {
  /**
   * Runs a procedure in a transaction of its own; inside a transaction of several calls, in a savepoint.
   * @throws {DatabaseError} what the procedure threw, or what the engine met; nothing was changed then, except that
   *   CATALOG_INDETERMINATE says that this is not known
   */
  run<Input, Output>(procedure: Procedure<Input, Output>, input: Input, options?: CallOptions): Promise<Output>;
}

/** How a transaction over several calls is run. */
export interface TransactionSettings extends CallOptions {
  /** Milliseconds after which it is rolled back and its connection taken away. Default: the engine's. */
  readonly deadlineMs?: number | undefined;
  /**
   * true suspends foreign keys until the transaction ends, as schema changes and repairs need; only where the engine
   * `supports` that. Default false.
   */
  readonly suspendForeignKeys?: boolean | undefined;
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
  /** Milliseconds that the connection which is out longest has been out, for a batch, a group or a transaction; 0 when none is. */
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

/** How the before-commit hook fared; no call fails because of it. */
export interface BeforeCommitFigures {
  readonly failures: number;
  /** The message of the last failure. */
  readonly lastError: string | null;
}

/** What an engine reports about itself. */
export interface EngineStats {
  readonly state: 'open' | 'closing' | 'closed';
  readonly readers: ConnectionFigures;
  readonly writers: ConnectionFigures;
  readonly reads: WorkFigures;
  readonly writes: WorkFigures;
  /** Transactions over several calls: open now, begun ever, and rolled back at their deadline. */
  readonly transactions: { readonly active: number; readonly granted: number; readonly expired: number };
  readonly beforeCommit: BeforeCommitFigures;
  /** Of all connections, those that are gone included. */
  readonly statements: StatementFigures;
}

/** The files of a database, as the file system knows them. */
export interface FileFigures {
  /** Device and inode; null when there is no file at the path. */
  readonly identity: string | null;
  /** 0 when there is no such file. */
  readonly databaseBytes: number;
  /** Bytes of the write-ahead log; 0 when there is none. */
  readonly walBytes: number;
  /** Names of those that others than the owner may read or write, with their mode. */
  readonly open: readonly string[];
  /** Why the file may have a second log, and the way out; null where it has one name. */
  readonly secondName: { readonly message: string; readonly hint: string } | null;
}

/** Runs one transaction on the writer that is held. */
export type WriterTransaction = <Result>(use: (connection: Executor) => Promise<Result>) => Promise<Result>;

/**
 * The port of an engine whose database is a file of this machine: whoever is concerned with the file asks here. An engine
 * on a server has none.
 */
export interface DatabaseFile {
  /** Absolute. */
  readonly path: string;
  /** Looks at the files without opening any of them. @throws what the file system throws; a missing file is no error */
  figures(): Promise<FileFigures>;
  /** Bytes that this user may still write to the file system that holds the file. @throws what the file system throws */
  freeBytes(): Promise<number>;
  /**
   * Keeps the engine's own writers waiting while `use` works on the file by other means; `use` gets a function that runs
   * one transaction after the other on the writer.
   * @throws what `use` throws; {DatabaseError} as a writing transaction does
   */
  holdWriter<Result>(use: (transaction: WriterTransaction) => Promise<Result>, options?: CallOptions): Promise<Result>;
}

/** What an engine can do beyond the contract; callers ask before they rely on it. */
export interface EngineSupports {
  /** Rows have a number of their own, and a change tells that of the last row inserted (`lastInsertRowid`). */
  readonly rowids: boolean;
  /** A transaction can suspend foreign keys (`suspendForeignKeys`). */
  readonly suspendedForeignKeys: boolean;
  /** A procedure named at opening ends every transaction that wrote (the before-commit hook). */
  readonly beforeCommit: boolean;
}

/** A database engine, open and ready. */
export interface Engine extends Executor, AsyncDisposable {
  readonly dialect: Dialect;
  readonly supports: EngineSupports;
  /** The database as a file; undefined where it is none of this machine. */
  readonly file: DatabaseFile | undefined;
  /**
   * Runs `use` with one connection in one transaction: committed when `use` resolves, rolled back when it throws. A call
   * on the engine itself from inside throws CATALOG_CONFLICT where it would wait for that transaction: a write inside a
   * writing one, `close` inside any, and whatever needs a connection when the caller's transactions hold them all.
   */
  transaction<Result>(
    intent: Intent,
    use: (connection: Executor) => Promise<Result>,
    options?: TransactionSettings,
  ): Promise<Result>;
  stats(): EngineStats;
  /** What was measured of the calls since the engine was opened; asks nothing of the database. */
  callLog(): CallLogFigures;
  /** Waits for what was accepted, then closes. Idempotent, and never hangs. */
  close(): Promise<void>;
}

/** The file of an engine. @throws {DatabaseError} CATALOG_IO for an engine whose database is no file of this machine */
export function fileOf({ file }: { readonly file: DatabaseFile | undefined }): DatabaseFile {
  if (file !== undefined) return file;
  throw new DatabaseError('CATALOG_IO', 'the database is not a file of this machine', {
    hint: 'Use the tools of the database server.',
  });
}

/** What every call on a closed engine throws. */
export const closedError = () => new DatabaseError('CATALOG_CLOSED', 'the database is closed');

/** For work that reads the file by other means than the engine's connections. @throws {DatabaseError} CATALOG_CLOSED */
export function assertOpen(engine: Pick<Engine, 'stats'>): void {
  if (engine.stats().state !== 'open') throw closedError();
}

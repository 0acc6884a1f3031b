/**
 * The narrow contract between domain code and a database engine. An engine runs procedures, one at a time or several in
 * the transaction of a callback, and closes; it knows nothing about clients or files. Every engine passes the suite in
 * test/engine-conformance.ts. `supports` and `file` tell what only some engines can do.
 *
 * Writes that share a commit succeed or fail alone. How an engine undoes one of them is up to the engine: a savepoint
 * around each call is always correct. The SQLite engine first runs a group without savepoints, because a failed
 * statement leaves a SQLite transaction usable; the contract does not require that, and the suite cannot tell.
 */
import { DatabaseError } from '../errors.ts';
import type { CallLogFigures } from './call-log.ts';
import type { Dialect } from './dialect.ts';
import type { Intent, Procedure } from './procedure.ts';

/** Options of calls that can wait. */
export interface CallOptions {
  /** Stops waiting; a call that has begun completes, so that its outcome is always known. */
  readonly signal?: AbortSignal | undefined;
}

/** Runs procedures: an engine, or the connection of a transaction. */
export interface Executor {
  /**
   * Runs a procedure in its own transaction or, inside a transaction of several calls, in a savepoint.
   * @throws {DatabaseError} what the procedure threw, or an error of the engine; nothing was changed, except that after
   *   CATALOG_INDETERMINATE nobody knows
   */
  run<Input, Output>(procedure: Procedure<Input, Output>, input: Input, options?: CallOptions): Promise<Output>;
}

/** Options of a transaction over several calls. */
export interface TransactionSettings extends CallOptions {
  /** Milliseconds after which it is rolled back and loses its connection. Default: the engine's. */
  readonly deadlineMs?: number | undefined;
  /**
   * true suspends foreign keys until the transaction ends, as schema changes and repairs need; only where the engine
   * `supports` that. Default false.
   */
  readonly suspendForeignKeys?: boolean | undefined;
}

/** Figures of one kind of call since the engine was opened; times in milliseconds. */
export interface WorkFigures {
  /** Calls that were accepted. */
  readonly calls: number;
  /** Messages that carried them: batches of reads, commits of writes. */
  readonly rounds: number;
  /** The most calls in one message. */
  readonly largestRound: number;
  /** Calls waiting now. */
  readonly waiting: number;
  /** The most that ever waited. */
  readonly maxWaiting: number;
  /** Calls that gave up: they timed out, or their signal fired. */
  readonly expired: number;
  /** Calls refused because of a full queue. */
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
  /** Connections opened since the engine was opened. */
  readonly created: number;
  /** Connections that died and were, or will be, replaced. */
  readonly lost: number;
  /**
   * Milliseconds that the longest busy connection has been in use, for a batch, a group or a transaction; 0 if none is.
   */
  readonly longestMs: number;
  /** Milliseconds that the longest running request has taken, which nothing can interrupt; 0 if none is. */
  readonly requestMs: number;
}

/** Statements that were executed. */
export interface StatementFigures {
  /** Found in the cache of prepared statements. */
  readonly found: number;
  /** Prepared first, which costs several times as much as running them. */
  readonly prepared: number;
}

/** Figures of the before-commit hook; no call fails because of it. */
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
  /** Transactions over several calls: open now, begun in all, and rolled back at their deadline. */
  readonly transactions: { readonly active: number; readonly granted: number; readonly expired: number };
  readonly beforeCommit: BeforeCommitFigures;
  /** Of all connections, including closed ones. */
  readonly statements: StatementFigures;
}

/** The files of a database in the file system. */
export interface FileFigures {
  /** Device and inode; null if there is no file at the path. */
  readonly identity: string | null;
  /** 0 if there is no such file. */
  readonly databaseBytes: number;
  /** Bytes of the write-ahead log; 0 without one. */
  readonly walBytes: number;
  /** Files that users other than the owner may read or write, with their mode. */
  readonly open: readonly string[];
  /** Why the file may have a second log, with advice; null if it has one name. */
  readonly secondName: { readonly message: string; readonly hint: string } | null;
}

/** Runs one transaction on the held writer. */
export type WriterTransaction = <Result>(use: (connection: Executor) => Promise<Result>) => Promise<Result>;

/** Access to the database file of an engine that stores its data on this machine. An engine on a server has none. */
export interface DatabaseFile {
  /** Absolute. */
  readonly path: string;
  /** Inspects the files without opening any of them. @throws errors of the file system; a missing file is no error */
  figures(): Promise<FileFigures>;
  /** Bytes that this user can still write to the file's file system. @throws errors of the file system */
  freeBytes(): Promise<number>;
  /**
   * Keeps the engine's writers waiting while `use` works on the file by other means; `use` receives a function that
   * runs transactions on the writer, one after the other.
   * @throws what `use` throws; {DatabaseError} as a writing transaction does
   */
  holdWriter<Result>(use: (transaction: WriterTransaction) => Promise<Result>, options?: CallOptions): Promise<Result>;
}

/** Optional abilities of an engine; callers check before they rely on them. */
export interface EngineSupports {
  /** Rows are numbered, and a change reports the number of the last inserted row (`lastInsertRowid`). */
  readonly rowids: boolean;
  /** A transaction can suspend foreign keys (`suspendForeignKeys`). */
  readonly suspendedForeignKeys: boolean;
  /** A procedure named at opening runs at the end of every transaction that wrote (the before-commit hook). */
  readonly beforeCommit: boolean;
}

/** A database engine, open and ready. */
export interface Engine extends Executor, AsyncDisposable {
  readonly dialect: Dialect;
  readonly supports: EngineSupports;
  /** The database file; undefined if it is not on this machine. */
  readonly file: DatabaseFile | undefined;
  /**
   * Runs `use` with one connection in one transaction: committed when `use` resolves, rolled back when it throws.
   * Inside, a call on the engine itself throws CATALOG_CONFLICT if it would wait for that transaction: a write inside a
   * writing one, `close` inside any, and any call if the caller's transactions hold all connections.
   */
  transaction<Result>(
    intent: Intent,
    use: (connection: Executor) => Promise<Result>,
    options?: TransactionSettings,
  ): Promise<Result>;
  stats(): EngineStats;
  /** The measurements of calls since the engine was opened, without asking the database. */
  callLog(): CallLogFigures;
  /** Waits for accepted calls, then closes. Idempotent; never hangs. */
  close(): Promise<void>;
}

/** The file of an engine. @throws {DatabaseError} CATALOG_IO if the engine's database is not a file of this machine */
export function fileOf({ file }: { readonly file: DatabaseFile | undefined }): DatabaseFile {
  if (file !== undefined) return file;
  throw new DatabaseError('CATALOG_IO', 'the database is not a file of this machine', {
    hint: 'Use the tools of the database server.',
  });
}

/** The error of every call on a closed engine. */
export const closedError = () => new DatabaseError('CATALOG_CLOSED', 'the database is closed');

/** For work that reads the file without the engine's connections. @throws {DatabaseError} CATALOG_CLOSED */
export function assertOpen(engine: Pick<Engine, 'stats'>): void {
  if (engine.stats().state !== 'open') throw closedError();
}

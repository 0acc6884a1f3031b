/**
 * The messages between a connection's thread and its owner. One request runs at a time, so messages carry no numbers;
 * results are sent as data, errors as `WireError`.
 */
import type { WireError } from '../errors.ts';
import type { Intent } from '../sql/procedure.ts';

/** A procedure by name, with its input. */
export type Call = readonly [name: string, input: unknown];

/** The outcome of a call. */
export type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: WireError };

export type Request =
  /** Reads that share one snapshot. */
  | { readonly kind: 'batch'; readonly calls: readonly Call[] }
  /** Writes that share one commit. */
  | { readonly kind: 'group'; readonly calls: readonly Call[] }
  /** A transaction over several calls: begin, each call, end. */
  | { readonly kind: 'begin'; readonly intent: Intent; readonly suspendForeignKeys: boolean }
  | { readonly kind: 'call'; readonly call: Call }
  | { readonly kind: 'end'; readonly commit: boolean }
  | { readonly kind: 'close' };

export interface Response {
  readonly outcomes: readonly Outcome[];
  /** The connection is no longer reliable and must be replaced. */
  readonly broken: boolean;
  /** Why the before-commit hook failed; the changes of the calls are stored anyway. */
  readonly beforeCommitFailure: WireError | null;
}

/** The first message of a thread: it is ready, or why it failed to start. */
export interface Opened {
  readonly error: WireError | null;
}

/** Everything that a thread needs to open its connection; plain data. */
export interface ConnectionSettings {
  readonly database: string;
  readonly readOnly: boolean;
  readonly durability: 'full' | 'normal';
  readonly busyTimeoutMs: number;
  readonly allowRollbackJournal: boolean;
  /**
   * Read the file as immutable, without locks, while nobody writes it: SQLite then creates no file beside it. The
   * connection runs in a separate process, and `readOnly` is set. Default false.
   */
  readonly immutable?: boolean | undefined;
  /** Modules whose exported procedures the thread can run, as URLs. */
  readonly procedureModules: readonly string[];
  /** Node.js flags of the thread; none by default. */
  readonly threadArgv?: readonly string[] | undefined;
  /** More modules, loaded when a call names a procedure that none of the others exports. */
  readonly lateProcedureModules?: readonly string[] | undefined;
  /** The procedure that inspects the file first and throws if it must not be touched; without it nothing is checked. */
  readonly preflight?: Call | undefined;
  /** The writing procedure that runs, with null, at the end of every transaction that wrote; none by default. */
  readonly beforeCommit?: string | undefined;
}

/** What a connection and its owner share. A process shares nothing: it has its own, and sends its counts. */
export interface ConnectionBuffers {
  /** One Int32 that holds a {@link PHASE}, written by the thread and read after its death. */
  readonly phase: SharedArrayBuffer;
  /** Float64s in which the thread counts its statements: {@link FOUND} and {@link PREPARED}. */
  readonly counts: SharedArrayBuffer;
}

/** What the thread of a connection starts with. Its first message says what to open: {@link ConnectionSettings}. */
export interface ThreadData extends ConnectionBuffers {
  /** URLs of modules that it imports while it waits for that message. */
  readonly modules: readonly string[];
}

/** Indexes of the counts of statements found in the cache, and of statements prepared. */
export const FOUND = 0;
export const PREPARED = 1;
export const STATEMENT_COUNTS = 2;

/** Buffers for a connection that is about to start. */
export const connectionBuffers = (): ConnectionBuffers => ({
  phase: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
  counts: new SharedArrayBuffer(STATEMENT_COUNTS * Float64Array.BYTES_PER_ELEMENT),
});

/** The phase of the running request; tells whether a dead thread may have committed. */
export const PHASE = { begun: 0, committing: 1 } as const;

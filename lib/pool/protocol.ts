/**
 * What a connection's thread and its owner say to each other. One request is under way at a time, so messages carry no
 * numbers; results travel as data, errors as `WireError`.
 */
import type { WireError } from '../errors.ts';
import type { Intent } from '../sql/procedure.ts';

/** A procedure by name, with its input. */
export type Call = readonly [name: string, input: unknown];

/** What became of a call. */
export type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: WireError };

export type Request =
  /** Reads that share one snapshot. */
  | { readonly kind: 'batch'; readonly calls: readonly Call[] }
  /** Writes that share one commit. */
  | { readonly kind: 'group'; readonly calls: readonly Call[] }
  /** A transaction over several calls: begin, then the calls one by one, then end. */
  | { readonly kind: 'begin'; readonly intent: Intent; readonly suspendForeignKeys: boolean }
  | { readonly kind: 'call'; readonly call: Call }
  | { readonly kind: 'end'; readonly commit: boolean }
  | { readonly kind: 'close' };

export interface Response {
  readonly outcomes: readonly Outcome[];
  /** The connection may no longer be trusted and must be replaced. */
  readonly broken: boolean;
  /** Why the before-commit hook failed; what the calls changed is stored all the same. */
  readonly beforeCommitFailure: WireError | null;
}

/** The first message of a thread: it is ready, or why it never will be. */
export interface Opened {
  readonly error: WireError | null;
}

/** Everything a thread needs to open its connection; plain data. */
export interface ConnectionSettings {
  readonly database: string;
  readonly readOnly: boolean;
  readonly durability: 'full' | 'normal';
  readonly busyTimeoutMs: number;
  readonly allowRollbackJournal: boolean;
  /**
   * Read the file as one that nobody writes, while it is one: SQLite makes no file beside it then. The connection lives in
   * a process of its own, and `readOnly` is set. Default false.
   */
  readonly immutable?: boolean | undefined;
  /** Modules whose exported procedures the thread can run, as URLs. */
  readonly procedureModules: readonly string[];
  /** Flags of Node.js the thread is started with; none if left out. */
  readonly threadArgv?: readonly string[] | undefined;
  /** Further ones, loaded when a procedure is called that none of those exports. */
  readonly lateProcedureModules?: readonly string[] | undefined;
  /** The procedure that inspects the file first and throws if it must not be touched; without it nothing is checked. */
  readonly preflight?: Call | undefined;
  /** The writing procedure that ends every transaction which wrote, run with null; none if left out. */
  readonly beforeCommit?: string | undefined;
}

/** What a connection and its owner share. A process shares nothing: it has its own, and sends its counts. */
export interface ConnectionBuffers {
  /** One Int32 that holds a {@link PHASE}, written by the thread and read when it has died. */
  readonly phase: SharedArrayBuffer;
  /** Float64s that the thread counts its statements in: {@link FOUND} and {@link PREPARED}. */
  readonly counts: SharedArrayBuffer;
}

/** What the thread of a connection starts with. Its first message says what to open: {@link ConnectionSettings}. */
export interface ThreadData extends ConnectionBuffers {
  /** URLs of modules that it imports while it waits for that message. */
  readonly modules: readonly string[];
}

/** Places of the counts of statements that were found prepared, and that had to be. */
export const FOUND = 0;
export const PREPARED = 1;
export const STATEMENT_COUNTS = 2;

/** Buffers for a connection that is about to start. */
export const connectionBuffers = (): ConnectionBuffers => ({
  phase: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
  counts: new SharedArrayBuffer(STATEMENT_COUNTS * Float64Array.BYTES_PER_ELEMENT),
});

/** How far the request under way has come; tells whether a dead thread can have committed. */
export const PHASE = { begun: 0, committing: 1 } as const;

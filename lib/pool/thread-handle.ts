/**
 * The owner's side of a connection's thread: one request at a time, and a definite outcome for the calls of a thread
 * that died. An idle thread does not keep the process alive; a busy one does.
 */
import { DatabaseError, InvariantError, reviveError, ValidationError, type WireError } from '../errors.ts';
import { invariant } from '../runtime/invariant.ts';
import { closedError, type StatementFigures } from '../sql/engine.ts';
import { type ConnectionWorker, startProcess } from './connection-process.ts';
import { exitWithout } from './process-exit.ts';
import {
  type ConnectionSettings,
  FOUND,
  type Opened,
  PHASE,
  PREPARED,
  type Request,
  type Response,
} from './protocol.ts';
import { takeThread } from './spare-thread.ts';

interface Waiting {
  /** Calls to be answered. */
  readonly calls: number;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: unknown) => void;
}

/** Messages of a thread besides answers. */
export interface ThreadEvents {
  /** The connection died or is no longer reliable. */
  onLost(): void;
  /** The before-commit hook failed. */
  onBeforeCommitFailed(error: WireError): void;
}

/** One connection on one thread. */
export class ThreadHandle {
  readonly #worker: ConnectionWorker;
  readonly #phase: Int32Array;
  readonly #counts: Float64Array;
  readonly #exited: Promise<void>;
  readonly #events: ThreadEvents;
  #waiting: Waiting | undefined;
  #crash: unknown;
  #usable = false;
  #killed = false;
  /** Whether the running request may commit, and when it was sent. */
  #writes = false;
  #sentAt = 0;

  private constructor(settings: ConnectionSettings, events: ThreadEvents) {
    const { worker, phase, counts } = settings.immutable ? startProcess() : takeThread(settings.threadArgv);
    this.#worker = worker;
    this.#phase = new Int32Array(phase);
    this.#counts = new Float64Array(counts);
    this.#events = events;
    this.#worker.on('error', (error: unknown) => {
      this.#crash = error;
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#lose();
        this.#rejectWaiting();
        resolve();
      });
    });
  }

  /**
   * Starts a thread and opens its connection.
   * @throws the error of opening; the thread has ended or will end itself
   */
  static async open(settings: ConnectionSettings, events: ThreadEvents): Promise<ThreadHandle> {
    const handle = new ThreadHandle(settings, events);
    const message = new Promise<Opened>((resolve) => handle.#worker.once('message', resolve));
    handle.#tell(settings);
    const opened = await Promise.race([message, handle.#exited]);
    if (opened === undefined) throw openingLost(handle.#crash, settings);
    if (opened.error !== null) {
      handle.#worker.postMessage({ kind: 'close' } satisfies Request);
      throw openingFailed(reviveError(opened.error));
    }
    handle.#usable = true;
    handle.#worker.on('message', (response: Response) => handle.#answer(response));
    handle.#worker.unref();
    return handle;
  }

  /** Tells the connection what to open. @throws what cannot be sent, which is in the options */
  #tell(settings: ConnectionSettings): void {
    try {
      this.#worker.postMessage(settings);
    } catch (error) {
      void this.#worker.terminate();
      throw error;
    }
  }

  /** Statements it has executed, also after its end. */
  get statements(): StatementFigures {
    return { found: this.#counts[FOUND] ?? 0, prepared: this.#counts[PREPARED] ?? 0 };
  }

  /** Milliseconds that the running request has taken; 0 if none is. */
  get requestMs(): number {
    return this.#waiting === undefined ? 0 : performance.now() - this.#sentAt;
  }

  /** False once the thread has ended or its connection is unreliable. */
  get usable(): boolean {
    return this.#usable;
  }

  /**
   * Sends a request and waits for the answer.
   * @throws {DatabaseError} CATALOG_IO (retryable) if the thread died before it could commit, CATALOG_INDETERMINATE if
   *   it may have committed
   * @throws {ValidationError} if the request cannot be sent
   * @throws {InvariantError} if another request is running, or a call has no answer
   */
  request(request: Request): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (!this.#usable) throw this.#rolledBack();
      invariant(this.#waiting === undefined, 'a connection has one request at a time', 'another is running');
      Atomics.store(this.#phase, 0, PHASE.begun);
      this.#post(request);
      this.#sentAt = performance.now();
      this.#writes = request.kind === 'group' || request.kind === 'end';
      this.#worker.ref();
      this.#waiting = { calls: 'calls' in request ? request.calls.length : 1, resolve, reject };
    });
  }

  #post(request: Request): void {
    try {
      this.#worker.postMessage(request);
    } catch (cause) {
      const received = 'a value that cannot be sent to a thread';
      throw new ValidationError(
        { field: 'input', received, accepted: 'values that structuredClone accepts' },
        { cause },
      );
    }
  }

  #answer(response: Response): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#worker.unref();
    if (response.broken) this.#lose();
    if (response.beforeCommitFailure !== null) this.#events.onBeforeCommitFailed(response.beforeCommitFailure);
    if (waiting !== undefined) this.#settle(waiting, response);
  }

  #settle({ calls, resolve, reject }: Waiting, response: Response): void {
    try {
      const { length: answers } = response.outcomes;
      invariant(answers === calls, 'each call of a request has one answer', `${calls} calls have ${answers}`);
      resolve(response);
    } catch (error) {
      this.#lose();
      reject(error);
    }
  }

  #lose(): void {
    if (this.#usable) this.#events.onLost();
    this.#usable = false;
  }

  #rejectWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(this.#lostError());
  }

  #lostError(): DatabaseError {
    if (Atomics.load(this.#phase, 0) !== PHASE.committing) return this.#rolledBack();
    const message = 'the connection’s thread ended during a commit';
    return new DatabaseError('CATALOG_INDETERMINATE', message, { cause: this.#crash });
  }

  #rolledBack(): DatabaseError {
    return new DatabaseError('CATALOG_IO', 'the connection’s thread ended; its changes were rolled back', {
      cause: this.#crash,
      retryable: true,
      hint: 'Repeat the call; a new connection replaces the old one.',
    });
  }

  /** Lets the thread finish, close its connection and end. */
  async close(): Promise<void> {
    this.#usable = false;
    if (!this.#killed) {
      this.#worker.ref();
      this.#worker.postMessage({ kind: 'close' } satisfies Request);
    }
    await this.#exited;
  }

  /**
   * Ends the thread now, after its current statement, if that ever ends. Its calls are rejected at once, with `reason`
   * if nothing can have been stored.
   */
  async kill(reason = closedError()): Promise<void> {
    this.#usable = false;
    this.#killed = true;
    const ended = this.#worker.terminate();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) {
      exitWithout(this.#exited);
      this.#worker.unref();
      waiting.reject(this.#writes ? givenUp() : reason);
    }
    await ended;
  }
}

// The statement may still return, and nobody knows how far the thread gets before it ends.
const givenUp = () =>
  new DatabaseError('CATALOG_INDETERMINATE', 'the database was closed during a statement that did not end');

/** Errors from outside, such as forbidden addons, are not errors of this library. */
function openingFailed(error: Error): Error {
  if (error instanceof DatabaseError || error instanceof InvariantError) return error;
  return new DatabaseError('CATALOG_IO', `could not open a connection: ${error.message}`, { cause: error });
}

function openingLost(cause: unknown, { threadArgv = [] }: ConnectionSettings): DatabaseError {
  const message = 'the thread of a connection ended before it opened the database';
  const hint = 'The cause says why; check what the option threadArgv makes the thread load.';
  return new DatabaseError('CATALOG_IO', message, threadArgv.length === 0 ? { cause } : { cause, hint });
}

/**
 * The owner's side of a connection's thread: one request at a time, and a plain answer to what a thread held when it
 * died. An idle thread does not keep the process alive; one that works does.
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
  /** Calls that are to be answered. */
  readonly calls: number;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: unknown) => void;
}

/** What a thread tells its owner besides the answers. */
export interface ThreadEvents {
  /** The connection died, or can no longer be trusted. */
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
  /** Whether the request under way may commit, and when it was sent. */
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
   * @throws whatever kept it from opening; the thread has ended, or will by itself, then
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

  /** Statements it has executed, dead or alive. */
  get statements(): StatementFigures {
    return { found: this.#counts[FOUND] ?? 0, prepared: this.#counts[PREPARED] ?? 0 };
  }

  /** Milliseconds that the request under way has taken; 0 when none is. */
  get requestMs(): number {
    return this.#waiting === undefined ? 0 : performance.now() - this.#sentAt;
  }

  /** False once the thread has ended, or its connection can no longer be trusted. */
  get usable(): boolean {
    return this.#usable;
  }

  /**
   * Sends a request and waits for the answer.
   * @throws {DatabaseError} CATALOG_IO (retryable) when the thread died before it could commit, CATALOG_INDETERMINATE
   *   when it may have committed
   * @throws {ValidationError} when the request cannot be sent
   * @throws {InvariantError} when another request is under way, or not each call is answered
   */
  request(request: Request): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (!this.#usable) throw this.#rolledBack();
      invariant(this.#waiting === undefined, 'a connection has one request at a time', 'another is under way');
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
      throw new ValidationError({ field: 'input', received, accepted: 'what structuredClone takes' }, { cause });
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
    const message = 'the connection’s thread ended while a commit was under way';
    return new DatabaseError('CATALOG_INDETERMINATE', message, { cause: this.#crash });
  }

  #rolledBack(): DatabaseError {
    return new DatabaseError('CATALOG_IO', 'the connection’s thread ended; what it held was rolled back', {
      cause: this.#crash,
      retryable: true,
      hint: 'Make the call again; a new connection takes its place.',
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
   * Ends the thread now. A statement that it is inside ends first, if it ever does; what it holds is rejected at once, with
   * `reason` where nothing can have been stored.
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

// The statement may yet return, and nobody can say how far the thread then comes before it is ended.
const givenUp = () =>
  new DatabaseError(
    'CATALOG_INDETERMINATE',
    'the database was closed while a statement was under way that did not end',
  );

/** Errors of the surroundings, such as addons that are not allowed, are none of the library's own. */
function openingFailed(error: Error): Error {
  if (error instanceof DatabaseError || error instanceof InvariantError) return error;
  return new DatabaseError('CATALOG_IO', `no connection could be opened: ${error.message}`, { cause: error });
}

function openingLost(cause: unknown, { threadArgv = [] }: ConnectionSettings): DatabaseError {
  const message = 'the thread of a connection ended before it had opened the database';
  const hint = 'The cause says why; check what the option threadArgv has the thread load.';
  return new DatabaseError('CATALOG_IO', message, threadArgv.length === 0 ? { cause } : { cause, hint });
}

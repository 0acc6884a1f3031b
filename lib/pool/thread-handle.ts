/**
 * The owner's side of a connection's thread: one request at a time, and a plain answer to what a thread held when it
 * died. An idle thread does not keep the process alive; one that works does.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { DatabaseError, reviveError } from '../errors.ts';
import {
  type ConnectionSettings,
  type Opened,
  PHASE,
  type Request,
  type Response,
  type ThreadData,
} from './protocol.ts';

// Sources run as .ts, the published package as .js.
const THREAD_URL = new URL(`./connection-thread${extname(import.meta.url)}`, import.meta.url);

interface Waiting {
  readonly resolve: (response: Response) => void;
  readonly reject: (error: unknown) => void;
}

/** One connection on one thread. */
export class ThreadHandle {
  readonly #worker: Worker;
  readonly #phase: Int32Array;
  readonly #exited: Promise<void>;
  #waiting: Waiting | undefined;
  #crash: unknown;
  /** Why the connection could not be opened. */
  failure: unknown;
  /** False once the thread has ended, failed to open, or reported itself broken. */
  usable = true;

  private constructor(settings: ConnectionSettings, onLost: () => void) {
    const phase = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    this.#phase = new Int32Array(phase);
    const workerData: ThreadData = { settings, phase };
    this.#worker = new Worker(THREAD_URL, { workerData, name: 'catalog-connection' });
    this.#worker.on('error', (error) => {
      this.#crash = error;
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        if (this.usable) onLost();
        this.usable = false;
        this.#rejectWaiting();
        resolve();
      });
    });
  }

  /** Starts a thread; never rejects: a connection that could not be opened says why in `failure`. */
  static async open(settings: ConnectionSettings, onLost: () => void): Promise<ThreadHandle> {
    const handle = new ThreadHandle(settings, onLost);
    const opened = await handle.#firstMessage();
    if (opened !== null) {
      handle.failure = opened;
      handle.usable = false;
    }
    handle.#worker.on('message', (response: Response) => handle.#answer(response));
    handle.#worker.unref();
    return handle;
  }

  async #firstMessage(): Promise<unknown> {
    const message = new Promise<Opened>((resolve) => this.#worker.once('message', resolve));
    const opened = await Promise.race([message, this.#exited]);
    if (opened === undefined) return this.#lostError();
    return opened.error === null ? null : reviveError(opened.error);
  }

  /**
   * Sends a request and waits for the answer.
   * @throws {DatabaseError} CATALOG_IO (retryable) when the thread died before it could commit, CATALOG_INDETERMINATE
   *   when it may have committed
   * @throws {DOMException} DataCloneError when the request cannot be sent
   */
  request(request: Request): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (!this.usable) {
        reject(this.#lostError());
        return;
      }
      if (this.#waiting !== undefined) throw new TypeError('a connection takes one request at a time');
      Atomics.store(this.#phase, 0, PHASE.begun);
      this.#worker.postMessage(request);
      this.#worker.ref();
      this.#waiting = { resolve, reject };
    });
  }

  #answer(response: Response): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#worker.unref();
    if (response.broken) this.usable = false;
    waiting?.resolve(response);
  }

  #rejectWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(this.#lostError());
  }

  #lostError(): DatabaseError {
    if (Atomics.load(this.#phase, 0) === PHASE.committing) {
      const message = 'the connection’s thread ended while a commit was under way';
      return new DatabaseError('CATALOG_INDETERMINATE', message, { cause: this.#crash });
    }
    return new DatabaseError('CATALOG_IO', 'the connection’s thread ended; what it held was rolled back', {
      cause: this.#crash,
      retryable: true,
      hint: 'Make the call again; a new connection takes its place.',
    });
  }

  /** Lets the thread finish, close its connection and end. */
  async close(): Promise<void> {
    this.usable = false;
    this.#worker.ref();
    this.#worker.postMessage({ kind: 'close' } satisfies Request);
    await this.#exited;
  }

  /** Ends the thread now; what it holds is rejected. A statement that is running natively ends first. */
  async kill(): Promise<void> {
    this.usable = false;
    await this.#worker.terminate();
  }
}

/**
 * The owner's end of a connection in a separate process, with the interface of `Worker` that thread-handle.ts uses.
 * Only for connections that never write: if the process died, nobody could see how far a commit had got.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { fileURLToPath } from 'node:url';
import { DatabaseError } from '../errors.ts';
import { ownEnvironment } from '../runtime/environment.ts';
import { scriptUrl } from '../runtime/scripts.ts';
import { AS_PROCESS, type ProcessMessage } from './connection-port.ts';
import { type ConnectionBuffers, connectionBuffers } from './protocol.ts';

/** The part of a thread or process that the owner of a connection uses. */
export interface ConnectionWorker extends EventEmitter {
  postMessage(message: unknown): void;
  ref(): void;
  unref(): void;
  terminate(): Promise<unknown>;
}

const SCRIPT = fileURLToPath(scriptUrl('pool/connection-thread'));
const FLAGS = ['--no-warnings']; // none of the application's

class ConnectionProcess extends EventEmitter implements ConnectionWorker {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(counts: SharedArrayBuffer) {
    super();
    const figures = new Float64Array(counts);
    this.#child = started();
    this.#child.on('message', ({ message, counts: counted }: ProcessMessage) => {
      figures.set(counted);
      this.emit('message', message);
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    this.#child.on('error', (error) => {
      this.emit('error', error);
      if (this.#child.pid === undefined) resolve(); // it never started, so it will not end
    });
    this.#child.once('exit', resolve);
    void promise.then(() => this.emit('exit'));
  }

  postMessage(message: unknown): void {
    // A value that cannot be sent throws; the 'exit' event reports the end of the process.
    this.#child.send(message as object, () => undefined);
  }

  ref(): void {
    this.#child.ref();
    this.#child.channel?.ref();
  }

  unref(): void {
    this.#child.unref();
    this.#child.channel?.unref();
  }

  async terminate(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** @throws {DatabaseError} CATALOG_IO if no process may be started */
function started(): ChildProcess {
  try {
    return fork(SCRIPT, [AS_PROCESS], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: FLAGS,
      env: ownEnvironment(),
    });
  } catch (cause) {
    throw new DatabaseError('CATALOG_IO', 'could not start the process that reads the database', {
      cause,
      hint: "Reading from a folder that cannot be written needs a process: see the cause, or use Node.js's --allow-child-process.",
    });
  }
}

/** A thread or process of a connection that waits for its settings, and what it shares with its owner. */
export interface StartedConnection extends ConnectionBuffers {
  readonly worker: ConnectionWorker;
}

/** Starts the process of a connection. @throws {DatabaseError} CATALOG_IO */
export function startProcess(): StartedConnection {
  const buffers = connectionBuffers();
  return { ...buffers, worker: new ConnectionProcess(buffers.counts) };
}

/**
 * Calls a script in a process of its own, which can be given up: one order, one answer, both as data that the structured
 * clone algorithm takes. SQLite cannot be interrupted here, and a thread that is inside a statement cannot be ended; a
 * process can. The other side is in process-answer.ts.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { DatabaseError } from '../errors.ts';
import { adviceOn } from './child-process.ts';
import { ownEnvironment } from './environment.ts';

/** What a process is started with. */
export interface ProcessOrder {
  /** When it has to be done, in milliseconds since the epoch: it ends itself then, also where its caller has died. */
  readonly endsAt: number;
  /** The process that waits for the answer. */
  readonly caller: number;
  readonly order: unknown;
}

/** What a process sends: any number of notes, then its answer. */
export type ProcessMessage = { readonly note: unknown } | { readonly answer: unknown };

export interface CallRules {
  /** Milliseconds from the start of the process to its answer. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** What is thrown past the deadline. */
  readonly late: () => Error;
  readonly onNote?: (note: unknown) => void;
}

const GRACE_MS = 5_000; // the caller, if it lives, is first

const notStarted = (cause: unknown) =>
  new DatabaseError('CATALOG_IO', 'no process could be started', { cause, ...adviceOn(cause) });

function start(script: URL): ChildProcess {
  try {
    return fork(script, [], {
      execArgv: ['--no-warnings'],
      serialization: 'advanced',
      stdio: 'ignore',
      env: ownEnvironment(),
    });
  } catch (error) {
    throw notStarted(error);
  }
}

/**
 * The answer of a script to an order.
 * @throws what `late` makes past the deadline; the reason of the signal; {DatabaseError} CATALOG_IO when no process can be
 *   started, or it ends without an answer. It is ended in each case
 */
export async function callProcess(script: URL, order: unknown, rules: CallRules): Promise<unknown> {
  const { deadlineMs, signal, late, onNote } = rules;
  signal?.throwIfAborted();
  const child = start(script);
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const timer = setTimeout(() => reject(late()), deadlineMs);
  const giveUp = () => reject(signal?.reason);
  signal?.addEventListener('abort', giveUp, { once: true });
  child.on('message', (message: ProcessMessage) => {
    if ('answer' in message) resolve(message.answer);
    else onNote?.(message.note);
  });
  child.on('error', (error) => reject(notStarted(error)));
  child.on('exit', (code, by) => {
    const message = `a process ended before it had answered (${by ?? `exit code ${code}`})`;
    reject(new DatabaseError('CATALOG_IO', message));
  });
  const sent: ProcessOrder = { endsAt: Date.now() + deadlineMs + GRACE_MS, caller: process.pid, order };
  child.send(sent, () => undefined); // what keeps it from being sent is told by the events above
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
    child.kill('SIGKILL');
  }
}

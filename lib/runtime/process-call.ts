/**
 * Calls a script in a separate process that can be killed: one order, one answer, both as data for the structured clone
 * algorithm. Nothing can interrupt SQLite or end a thread that is inside a statement, but a process can be killed.
 * process-answer.ts is the other side.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { DatabaseError } from '../errors.ts';
import { adviceOn } from './child-process.ts';
import { ownEnvironment } from './environment.ts';

/** The input of a process. */
export interface ProcessOrder {
  /** Deadline in milliseconds since the epoch: the process then ends itself, even if its caller has died. */
  readonly endsAt: number;
  /** The process that waits for the answer. */
  readonly caller: number;
  readonly order: unknown;
}

/** The messages of a process: any number of notes, then its answer. */
export type ProcessMessage = { readonly note: unknown } | { readonly answer: unknown };

export interface CallRules {
  /** Milliseconds from the start of the process to its answer. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Makes the error thrown after the deadline. */
  readonly late: () => Error;
  readonly onNote?: (note: unknown) => void;
}

const GRACE_MS = 5_000; // a living caller comes first

const notStarted = (cause: unknown) =>
  new DatabaseError('CATALOG_IO', 'could not start a process', { cause, ...adviceOn(cause) });

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
 * @throws the error made by `late` after the deadline; the reason of the signal; {DatabaseError} CATALOG_IO if the
 *   process cannot start or ends without an answer. The process has ended in each case
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
    const message = `a process ended before it answered (${by ?? `exit code ${code}`})`;
    reject(new DatabaseError('CATALOG_IO', message));
  });
  const sent: ProcessOrder = { endsAt: Date.now() + deadlineMs + GRACE_MS, caller: process.pid, order };
  child.send(sent, () => undefined); // the events above report why it could not be sent
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
    child.kill('SIGKILL');
  }
}

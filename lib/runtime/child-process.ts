/**
 * Runs a script of the library in a separate process with a deadline, for work that may never end and that nothing can
 * interrupt in a thread. The process inherits neither the flags of the application nor NODE_OPTIONS. It receives its
 * order as JSON in its first argument and prints lines of JSON; the last line is its answer.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DatabaseError } from '../errors.ts';
import { ownEnvironment } from './environment.ts';
import { scriptUrl } from './scripts.ts';

/** The work of one process. */
export interface ChildOrder {
  /** The module that does it: its path in `lib/` without extension. */
  readonly script: string;
  /** The order for the module; plain data. */
  readonly order: unknown;
  /** Milliseconds the process may take before it is killed. */
  readonly deadlineMs: number;
  /** The error of a process that was killed at its deadline. */
  readonly late: () => DatabaseError;
  /** The error message if the answer is missing for another reason. */
  readonly failed: string;
  /** Kills the process when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Receives each line, including the answer; throwing kills the process. */
  readonly onLine?: ((line: object) => void) | undefined;
}

const MAX_TIMER_MS = 2 ** 31 - 1; // the longest delay of setTimeout; a longer one fires at once
const MAX_STDERR = 2_000; // characters of output in the cause of an error

/** A parsed line of the script; undefined if it is not JSON, such as a line that was cut off when the process ended. */
function lineOf(text: string): object | undefined {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === 'object' && line !== null ? line : undefined;
  } catch {
    return undefined;
  }
}

/** How a started process ended. */
interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Waits until a process and its output have ended. */
function ended(child: ChildProcess): Promise<Ending> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

/** Kills a process and stops reading its output: a child of it that holds the pipe would keep the output open. */
function end(child: ChildProcess | undefined): void {
  child?.kill('SIGKILL');
  child?.stdout?.destroy();
  child?.stderr?.destroy();
}

const EXHAUSTED = new Set(['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE']);
const NO_PROGRAM = new Set(['ENOENT', 'EACCES', 'EPERM', 'ENOEXEC']);

/** Advice for a process that could not be started. */
export function adviceOn(cause: unknown): { readonly hint?: string; readonly retryable?: boolean } {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'ERR_ACCESS_DENIED') {
    const flag = '--allow-child-process';
    return { hint: `The permission model of Node.js forbids processes: start the application with ${flag}.` };
  }
  if (EXHAUSTED.has(code)) {
    const hint = 'The machine has no free memory, process or file descriptor: free some, then repeat the call.';
    return { hint, retryable: true };
  }
  if (NO_PROGRAM.has(code))
    return { hint: `Node.js cannot be started any more: check whether ${process.execPath} still exists.` };
  return {};
}

const endedEarly = ({ code, signal }: Ending, stderr: string) =>
  new Error(
    `the process ended with ${signal ?? `exit code ${code}`} and gave no answer: ${stderr.trim() || 'no output'}`,
  );

/**
 * Runs a script to its end and returns its answer.
 * @throws the error made by `late` after the deadline; the reason of the signal; what `onLine` threw. The process has
 *   ended by then
 * @throws {DatabaseError} CATALOG_IO with the message `failed` if it cannot start or ends without an answer
 */
export async function runChild(work: ChildOrder): Promise<object> {
  const { signal, failed } = work;
  signal?.throwIfAborted();
  let stop: { readonly reason: unknown } | undefined;
  let child: ChildProcess | undefined;
  const kill = (reason: unknown) => {
    stop ??= { reason };
    end(child);
  };
  const onAbort = () => kill(signal?.reason);
  const timer = setTimeout(() => kill(work.late()), Math.min(work.deadlineMs, MAX_TIMER_MS));
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    child = start(work);
    const { answer, ending, stderr } = await listen(child, work, kill);
    if (stop === undefined && (answer === undefined || ending.code !== 0)) throw endedEarly(ending, stderr);
    if (stop === undefined && answer !== undefined) return answer;
  } catch (cause) {
    if (stop === undefined) throw new DatabaseError('CATALOG_IO', failed, { cause, ...adviceOn(cause) });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
  throw stop?.reason;
}

function start({ script, order }: ChildOrder): ChildProcess {
  const args = ['--no-warnings', fileURLToPath(scriptUrl(script)), JSON.stringify(order)];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true, env: ownEnvironment() });
}

/** Reads the output of a process until it ends. */
async function listen(child: ChildProcess, { onLine }: ChildOrder, kill: (reason: unknown) => void) {
  const whenEnded = ended(child);
  let answer: object | undefined;
  let stderr = '';
  // Without free descriptors there are no pipes; the error follows.
  if (child.stdout) {
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = child.killed ? undefined : lineOf(text);
      if (line === undefined) return;
      answer = line;
      try {
        onLine?.(line);
      } catch (error) {
        kill(error);
      }
    });
  }
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-MAX_STDERR);
  });
  const ending = await whenEnded;
  return { answer, ending, stderr };
}

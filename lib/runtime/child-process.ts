/**
 * Runs a script of the library in a process of its own, with a deadline: the work may take for ever and cannot be
 * interrupted in a thread. The process inherits neither the flags of the application nor NODE_OPTIONS. It gets its order as
 * JSON in its first argument and prints lines of JSON; the last one is its answer.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DatabaseError } from '../errors.ts';
import { ownEnvironment } from './environment.ts';
import { scriptUrl } from './scripts.ts';

/** A piece of work for a process. */
export interface ChildOrder {
  /** The module that carries it out, named by its path in `lib/` without extension. */
  readonly script: string;
  /** What the module is told; plain data. */
  readonly order: unknown;
  /** Milliseconds the process may take; past them it is killed. */
  readonly deadlineMs: number;
  /** The error of a process that was killed at its deadline. */
  readonly late: () => DatabaseError;
  /** The message of the error when there is no answer for another reason. */
  readonly failed: string;
  /** Kills the process when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Hears each line, the answer included; what it throws kills the process. */
  readonly onLine?: ((line: object) => void) | undefined;
}

const MAX_TIMER_MS = 2 ** 31 - 1; // the longest delay of setTimeout; a longer one would be none at all
const MAX_STDERR = 2_000; // characters that the cause of an error keeps

/** A line of the script; nothing for a text that is not JSON, such as a line that the end of the process cut off. */
function lineOf(text: string): object | undefined {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === 'object' && line !== null ? line : undefined;
  } catch {
    return undefined;
  }
}

/** How a process ended, where no error of starting it came first. */
interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Waits for the end of a process and of its output. */
function ended(child: ChildProcess): Promise<Ending> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

/** Ends a process, and the waiting for its output, which another process that has the pipe would make last. */
function end(child: ChildProcess | undefined): void {
  child?.kill('SIGKILL');
  child?.stdout?.destroy();
  child?.stderr?.destroy();
}

const EXHAUSTED = new Set(['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE']);
const NO_PROGRAM = new Set(['ENOENT', 'EACCES', 'EPERM', 'ENOEXEC']);

/** What to do about a process that could not be started. */
export function adviceOn(cause: unknown): { readonly hint?: string; readonly retryable?: boolean } {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'ERR_ACCESS_DENIED') {
    const flag = '--allow-child-process';
    return { hint: `The permission model of Node.js forbids processes: start the application with ${flag}.` };
  }
  if (EXHAUSTED.has(code)) {
    const hint = 'The machine has no memory, process or open file left: free some, and make the call again.';
    return { hint, retryable: true };
  }
  if (NO_PROGRAM.has(code))
    return { hint: `Node.js cannot be started any more: see whether ${process.execPath} is there.` };
  return {};
}

const endedEarly = ({ code, signal }: Ending, stderr: string) =>
  new Error(`the process ended by ${signal ?? `exit code ${code}`} without an answer: ${stderr.trim() || 'no output'}`);

/**
 * Runs a script to its end and returns its answer.
 * @throws what `late` makes, past the deadline; the reason of the signal; what `onLine` threw. The process has ended then
 * @throws {DatabaseError} CATALOG_IO with the message `failed` when it cannot be started or ends without an answer
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

/** Reads what a process prints until it has ended. */
async function listen(child: ChildProcess, { onLine }: ChildOrder, kill: (reason: unknown) => void) {
  const whenEnded = ended(child);
  let answer: object | undefined;
  let stderr = '';
  // There are no pipes when no descriptor is left; the error follows.
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

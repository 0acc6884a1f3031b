/**
 * The only place that starts worker threads. A thread runs the library's code and nothing else: it inherits neither the
 * flags of the application nor NODE_OPTIONS.
 */

import { Worker } from 'node:worker_threads';
import { DatabaseError, ValidationError } from '../errors.ts';
import { ownEnvironment } from './environment.ts';
import { scriptUrl } from './scripts.ts';
import { codeOf } from './thrown.ts';

/** The input of a thread. */
export interface ThreadStart {
  /** The name shown by debuggers and heap snapshots. */
  readonly name: string;
  /** The thread's `workerData`. */
  readonly data: unknown;
  /** Node.js flags from the option `threadArgv`. Default none. */
  readonly threadArgv?: readonly string[] | undefined;
}

/**
 * Starts a thread on a module of the library, given its path in `lib/` without extension.
 * @throws {ValidationError} for flags that Node.js does not allow for threads
 * @throws {DatabaseError} CATALOG_IO if the thread cannot start
 */
export function startThread(script: string, { name, data, threadArgv = [] }: ThreadStart): Worker {
  try {
    return new Worker(scriptUrl(script), {
      name,
      workerData: data,
      execArgv: [...threadArgv],
      env: ownEnvironment(),
    });
  } catch (cause) {
    throw notStarted(name, threadArgv, cause);
  }
}

/** Replaces Node.js's error if the machine or the flags caused it. */
function notStarted(name: string, threadArgv: readonly string[], cause: unknown): unknown {
  const message = `could not start the thread ${name}`;
  switch (codeOf(cause)) {
    case 'ERR_WORKER_INVALID_EXEC_ARGV': {
      const received = JSON.stringify(threadArgv);
      const accepted = "Node.js flags that threads can have, such as ['--import', 'tsx']";
      return new ValidationError({ field: 'threadArgv', received, accepted }, { cause });
    }
    case 'ERR_ACCESS_DENIED': {
      const hint = 'The permission model of Node.js forbids threads: start the application with --allow-worker.';
      return new DatabaseError('CATALOG_IO', message, { cause, hint });
    }
    case 'ERR_WORKER_INIT_FAILED': {
      const hint = 'The machine has no free memory, thread or file descriptor: free some, then repeat the call.';
      return new DatabaseError('CATALOG_IO', message, { cause, hint, retryable: true });
    }
    default:
      return cause;
  }
}

/**
 * The one place that starts a worker thread. A thread of the library runs the library's code and nothing else: it inherits
 * neither the flags that the application was started with nor NODE_OPTIONS.
 */

import { Worker } from 'node:worker_threads';
import { DatabaseError, ValidationError } from '../errors.ts';
import { ownEnvironment } from './environment.ts';
import { scriptUrl } from './scripts.ts';
import { codeOf } from './thrown.ts';

/** What a thread is started with. */
export interface ThreadStart {
  /** What a debugger and a heap snapshot call it. */
  readonly name: string;
  /** What the thread reads as `workerData`. */
  readonly data: unknown;
  /** Flags of Node.js, from the option `threadArgv`. Default none. */
  readonly threadArgv?: readonly string[] | undefined;
}

/**
 * Starts a thread on a module of the library, named by its path in `lib/` without extension.
 * @throws {ValidationError} for flags that Node.js does not take for a thread
 * @throws {DatabaseError} CATALOG_IO when the thread cannot be started
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

/** What is thrown in the place of Node.js's own error, where that is about the machine or the flags. */
function notStarted(name: string, threadArgv: readonly string[], cause: unknown): unknown {
  const message = `the thread ${name} could not be started`;
  switch (codeOf(cause)) {
    case 'ERR_WORKER_INVALID_EXEC_ARGV': {
      const received = JSON.stringify(threadArgv);
      const accepted = "flags of Node.js that a thread can have, such as ['--import', 'tsx']";
      return new ValidationError({ field: 'threadArgv', received, accepted }, { cause });
    }
    case 'ERR_ACCESS_DENIED': {
      const hint = 'The permission model of Node.js forbids threads: start the application with --allow-worker.';
      return new DatabaseError('CATALOG_IO', message, { cause, hint });
    }
    case 'ERR_WORKER_INIT_FAILED': {
      const hint = 'The machine has no memory, thread or open file left: free some, and make the call again.';
      return new DatabaseError('CATALOG_IO', message, { cause, hint, retryable: true });
    }
    default:
      return cause;
  }
}

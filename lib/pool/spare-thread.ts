/**
 * Starts threads for connections ahead, before the file is known. Starting a thread takes as long as loading the
 * library, so `DatabaseManager.open` does both at once.
 */
import { startThread } from '../runtime/thread.ts';
import type { StartedConnection } from './connection-process.ts';
import { connectionBuffers, type ThreadData } from './protocol.ts';

interface Spare extends StartedConnection {
  /** The flags that it was started with, as one text. */
  readonly flags: string;
}

const spares = new Set<Spare>();

const flagsOf = (threadArgv: readonly string[] = []) => JSON.stringify([...threadArgv]);

function start(threadArgv: readonly string[] | undefined, modules: readonly string[]): StartedConnection {
  const data: ThreadData = { modules, ...connectionBuffers() };
  return { ...data, worker: startThread('pool/connection-thread', { name: 'catalog-connection', data, threadArgv }) };
}

/** Ends the thread if nobody has taken it. */
interface SpareThread {
  discard(): void;
}

const NONE: SpareThread = { discard: () => undefined };

const areFlags = (value: unknown): value is readonly string[] | undefined =>
  value === undefined || (Array.isArray(value) && value.every((flag) => typeof flag === 'string'));

/**
 * Starts a thread that waits to be taken. Never throws: whoever opens a connection gets the error if the thread cannot
 * start or Node.js refuses the flags.
 */
export function startSpareThread(threadArgv: unknown, modules: readonly string[]): SpareThread {
  if (!areFlags(threadArgv)) return NONE;
  try {
    const flags = flagsOf(threadArgv); // first: if it throws, no thread may be left
    const spare = { ...start(threadArgv, modules), flags };
    spares.add(spare);
    const forget = () => spares.delete(spare);
    spare.worker.once('error', forget);
    spare.worker.once('exit', forget);
    return {
      discard: () => {
        if (forget()) void spare.worker.terminate();
      },
    };
  } catch {
    return NONE;
  }
}

/** A thread for a connection: the one started ahead with these flags, or a new one. @throws as `startThread` */
export function takeThread(threadArgv: readonly string[] | undefined): StartedConnection {
  const flags = flagsOf(threadArgv);
  for (const spare of spares) {
    if (spare.flags !== flags) continue;
    spares.delete(spare);
    return spare;
  }
  return start(threadArgv, []);
}

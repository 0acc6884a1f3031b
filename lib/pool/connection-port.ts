/**
 * The connection's end of the channel to its owner, in a thread or in a separate process (connection-process.ts is the
 * owner's end for a process).
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { takeUris } from '../runtime/sqlite-uris.ts';
import {
  type ConnectionBuffers,
  type ConnectionSettings,
  connectionBuffers,
  type Request,
  type ThreadData,
} from './protocol.ts';

/** The connection's end of the channel. */
interface ConnectionPort {
  postMessage(message: unknown): void;
  on(event: string, listener: (request: Request) => void): unknown;
  /** Lets the thread or process end. */
  close(): void;
}

/** The messages of a process: it shares no memory with its owner, so each message carries its statement counts. */
export interface ProcessMessage {
  readonly message: unknown;
  readonly counts: readonly number[];
}

/** The argument that marks a connection process: other processes with a channel may import this module too. */
export const AS_PROCESS = 'connection';

/** What a thread or process has when it knows what to open. */
interface OpenPort extends ConnectionBuffers {
  readonly port: ConnectionPort;
  readonly settings: ConnectionSettings;
}

const firstMessage = (sender: MessagePort | NodeJS.Process) =>
  new Promise<ConnectionSettings>((resolve) => sender.once('message', resolve as never));

async function portOfThread(port: MessagePort): Promise<OpenPort> {
  const { modules, phase, counts } = workerData as ThreadData;
  for (const url of modules) import(url).catch(() => undefined); // whoever needs it meets the reason
  const settings = await firstMessage(port);
  port.ref(); // a port that nobody listens to would let the thread end
  return { port, settings, phase, counts };
}

/** The port of this thread or process, and its owner's first message. */
export async function openPort(): Promise<OpenPort> {
  if (parentPort !== null) return portOfThread(parentPort);
  if (process.argv[2] !== AS_PROCESS)
    throw new TypeError('connection-thread.ts runs as a worker thread only, or as the process of a connection');
  takeUris();
  // The terminal sends them to every process; the owner decides when this one ends.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
  process.once('disconnect', () => process.exit()); // the owner has died
  const settings = await firstMessage(process);
  const { phase, counts } = connectionBuffers();
  const figures = new Float64Array(counts);
  const port: ConnectionPort = {
    postMessage(message) {
      // Like a thread: no Buffer, and an error here for values that cannot be sent.
      const sent: ProcessMessage = { message: structuredClone(message), counts: [...figures] };
      process.send?.(sent);
    },
    on: (event, listener) => process.on(event, listener),
    close: () => process.disconnect(),
  };
  return { port, settings, phase, counts };
}

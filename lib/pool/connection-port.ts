/**
 * The channel between a connection and its owner, as the connection sees it: that of a thread, or that of a process of
 * its own (connection-process.ts is the owner's end of the latter).
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

/** The end of the channel that the connection holds. */
export interface ConnectionPort {
  postMessage(message: unknown): void;
  on(event: string, listener: (request: Request) => void): unknown;
  /** Lets the thread or process end. */
  close(): void;
}

/** What a process sends: it shares no memory with its owner, so the counts of its statements come with each message. */
export interface ProcessMessage {
  readonly message: unknown;
  readonly counts: readonly number[];
}

/** The argument of a process that is one: its module may be imported by any other, with a channel of its own. */
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

/** The port of this thread or process, and what its owner says to begin with. */
export async function openPort(): Promise<OpenPort> {
  if (parentPort !== null) return portOfThread(parentPort);
  if (process.argv[2] !== AS_PROCESS)
    throw new TypeError('connection-thread.ts runs as a worker thread only, or as the process of a connection');
  takeUris();
  // They are sent to everybody at the terminal; the owner decides when this process ends.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
  process.once('disconnect', () => process.exit()); // the owner has died
  const settings = await firstMessage(process);
  const { phase, counts } = connectionBuffers();
  const figures = new Float64Array(counts);
  const port: ConnectionPort = {
    postMessage(message) {
      // As a thread would have it: no Buffer, and an error here for what cannot be sent.
      const sent: ProcessMessage = { message: structuredClone(message), counts: [...figures] };
      process.send?.(sent);
    },
    on: (event, listener) => process.on(event, listener),
    close: () => process.disconnect(),
  };
  return { port, settings, phase, counts };
}

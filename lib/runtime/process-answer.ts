/** The side of process-call.ts that works: takes one order, answers it, and outlives neither its deadline nor its caller. */
import { Worker } from 'node:worker_threads';
import type { ProcessMessage, ProcessOrder } from './process-call.ts';

// A thread of its own, because a statement that never ends keeps the main thread from everything else.
const WATCH = `const { workerData: { endsAt, caller } } = require('node:worker_threads');
setInterval(() => {
  if (Date.now() > endsAt || process.ppid !== caller) process.kill(process.pid, 'SIGKILL');
}, 500);`;

const send = (message: ProcessMessage, sent = () => {}) => process.send?.(message, undefined, undefined, sent);

/** Has the order of this process carried out; what `carryOut` throws is its own to put into the answer. */
export function answerOrder(
  carryOut: (order: unknown, note: (note: unknown) => void) => Promise<unknown> | unknown,
): void {
  process.once('message', async ({ endsAt, caller, order }: ProcessOrder) => {
    new Worker(WATCH, { eval: true, workerData: { endsAt, caller } }).unref();
    const answer = await carryOut(order, (note) => send({ note }));
    send({ answer }, () => process.disconnect());
  });
}

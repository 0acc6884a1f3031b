/** The callee of process-call.ts: takes one order, answers it, and ends at its deadline or with its caller. */
import { Worker } from 'node:worker_threads';
import type { ProcessMessage, ProcessOrder } from './process-call.ts';

// In a thread, because an endless statement blocks the main thread.
const WATCH = `const { workerData: { endsAt, caller } } = require('node:worker_threads');
setInterval(() => {
  if (Date.now() > endsAt || process.ppid !== caller) process.kill(process.pid, 'SIGKILL');
}, 500);`;

const send = (message: ProcessMessage, sent = () => {}) => process.send?.(message, undefined, undefined, sent);

/** Carries out the order of this process; `carryOut` puts its own errors into the answer. */
export function answerOrder(
  carryOut: (order: unknown, note: (note: unknown) => void) => Promise<unknown> | unknown,
): void {
  process.once('message', async ({ endsAt, caller, order }: ProcessOrder) => {
    new Worker(WATCH, { eval: true, workerData: { endsAt, caller } }).unref();
    const answer = await carryOut(order, (note) => send({ note }));
    send({ answer }, () => process.disconnect());
  });
}

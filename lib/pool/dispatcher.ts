/**
 * Sends waiting calls to connections: whatever waits when a connection becomes free travels as one message and is
 * answered by one. Over readers that is read batching, over the one writer group commit. There is no timer: an idle
 * engine sends a single call at once.
 */
import { DatabaseError, reviveError, ValidationError } from '../errors.ts';
import type { CallLog } from '../sql/call-log.ts';
import type { CallOptions, WorkFigures } from '../sql/engine.ts';
import type { Intent, Procedure } from '../sql/procedure.ts';
import type { ConnectionPool } from './connection-pool.ts';
import type { Outcome, Response } from './protocol.ts';
import type { ThreadHandle } from './thread-handle.ts';
import { type QueueBounds, type Ticket, WaitQueue } from './wait-queue.ts';

/** Calls in one message at most: a group's commit stays under 50 ms, and a batch's answer under a few. */
const MAX_ROUND = { batch: 256, group: 512 } as const;

const INTENT = { batch: 'read', group: 'write' } as const;
const QUEUE = { batch: 'reads', group: 'writes' } as const;

/** One stream of calls over one pool. */
export class Dispatcher {
  readonly #pool: ConnectionPool;
  readonly #kind: 'batch' | 'group';
  readonly #queue: WaitQueue;
  readonly #log: CallLog;
  readonly #underWay = new Set<Promise<void>>();
  #acquiring = false;
  #rounds = 0;
  #largestRound = 0;

  constructor(pool: ConnectionPool, kind: 'batch' | 'group', bounds: QueueBounds, log: CallLog) {
    this.#pool = pool;
    this.#kind = kind;
    this.#queue = new WaitQueue(bounds, log.waits[QUEUE[kind]]);
    this.#log = log;
  }

  /** Queues a call and resolves with what its procedure returned, decoded. */
  async run<Input, Output>(wanted: Procedure<Input, Output>, input: Input, options: CallOptions): Promise<Output> {
    const result = this.#queue.add([wanted.name, input], wanted.alone, options);
    this.#pump();
    try {
      return wanted.decode(await result);
    } catch (error) {
      this.#log.threw(error);
      throw error;
    }
  }

  figures(): WorkFigures {
    const { length: waiting, figures } = this.#queue;
    return { ...figures, waiting, rounds: this.#rounds, largestRound: this.#largestRound };
  }

  /** Resolves when nothing waits and nothing is under way. */
  async settled(): Promise<void> {
    while (this.#queue.length > 0 || this.#underWay.size > 0) {
      await Promise.all(this.#underWay);
      await new Promise(setImmediate);
    }
  }

  #pump(): void {
    if (this.#acquiring || this.#queue.length === 0) return;
    this.#acquiring = true;
    const round = this.#round();
    this.#underWay.add(round);
    void round.then(() => this.#underWay.delete(round));
  }

  async #round(): Promise<void> {
    let thread: ThreadHandle;
    try {
      thread = await this.#pool.acquire();
    } catch (error) {
      this.#acquiring = false;
      this.#acquireFailed(error);
      return;
    }
    this.#acquiring = false;
    const tickets = this.#queue.take(this.#share());
    if (this.#queue.length > 0) this.#pump();
    if (tickets.length > 0) await this.#send(thread, tickets);
    await this.#pool.release(thread);
    this.#pump();
  }

  // A wait that was too long ends in the queue, ticket by ticket; any other failure is everyone's.
  #acquireFailed(error: unknown): void {
    const onlyLate = error instanceof DatabaseError && error.code === 'CATALOG_TIMEOUT';
    if (!onlyLate) this.#queue.rejectAll(error);
    this.#pump();
  }

  #share(): number {
    const most = MAX_ROUND[this.#kind];
    return this.#kind === 'group' ? most : Math.min(most, Math.ceil(this.#queue.length / (1 + this.#pool.idle)));
  }

  async #send(thread: ThreadHandle, tickets: readonly Ticket[]): Promise<void> {
    this.#rounds += 1;
    this.#largestRound = Math.max(this.#largestRound, tickets.length);
    try {
      const calls = tickets.map(({ call }) => call);
      const response = await thread.request({ kind: this.#kind, calls });
      this.#log.rounds[this.#kind].observe(tickets.length);
      settle(tickets, response, INTENT[this.#kind], this.#log);
    } catch (error) {
      if (error instanceof ValidationError && tickets.length > 1) await this.#sendEach(thread, tickets);
      else for (const { reject } of tickets) reject(error);
    }
  }

  // One input that cannot be cloned must not fail its neighbours.
  async #sendEach(thread: ThreadHandle, tickets: readonly Ticket[]): Promise<void> {
    for (const ticket of tickets) await this.#send(thread, [ticket]);
  }
}

function settle(tickets: readonly Ticket[], { outcomes }: Response, intent: Intent, log: CallLog): void {
  const now = performance.now(); // once for all: asking costs more than counting
  for (const [position, { call, since, resolve, reject }] of tickets.entries()) {
    const outcome = outcomes[position] as Outcome;
    log.answered(call[0], intent, outcome.ok, now - since);
    if (outcome.ok) resolve(outcome.value);
    else reject(reviveError(outcome.error));
  }
}

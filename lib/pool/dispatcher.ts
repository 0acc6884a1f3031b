/**
 * Sends waiting calls to connections: whatever waits when a connection becomes free travels as one message and is
 * answered by one. Over readers that is read batching, over the one writer group commit. There is no timer: an idle
 * engine sends a single call at once.
 */
import { availableParallelism } from 'node:os';
import { DatabaseError, reviveError, ValidationError } from '../errors.ts';
import { invariant } from '../runtime/invariant.ts';
import type { CallLog } from '../sql/call-log.ts';
import type { CallOptions, WorkFigures } from '../sql/engine.ts';
import type { Procedure } from '../sql/procedure.ts';
import type { ConnectionPool } from './connection-pool.ts';
import type { Outcome } from './protocol.ts';
import type { ThreadHandle } from './thread-handle.ts';
import { type QueueBounds, type Ticket, WaitQueue } from './wait-queue.ts';

/** Calls in one message at most: a group's commit stays under 50 ms, and a batch's answer under a few. */
const MAX_ROUND = { batch: 256, group: 512 } as const;

const INTENT = { batch: 'read', group: 'write' } as const;
const QUEUE = { batch: 'reads', group: 'writes' } as const;

const PROCESSORS = availableParallelism();

/** A batch that is worth a message of its own: from twice as many on, calls are split among readers. */
const WORTH_SPLITTING = 4;

/** Milliseconds after which waiting reads take a further reader all the same: what is at work may take long. */
const PATIENCE_MS = 1;

/** Milliseconds from the first answers to the start of a reader: starting a thread holds up the main thread for five. */
const REST_AFTER_OPENING_MS = 50;

/** Milliseconds for which a stream counts as active after its last answers. */
const ACTIVE_MS = 5;

/** What became of a call: its outcome, or what befell the connection that held it. */
type Answer = Outcome | { readonly ok: false; readonly lost: unknown };

/** Whom a stream of calls takes into account. */
export interface Neighbours {
  /** As long as the stream's own pool has no connection open, an idle one of this pool serves brief calls. */
  readonly standIn?: ConnectionPool | undefined;
  /** A stream that gets a processor of its own while it is active. */
  readonly preferred?: Dispatcher | undefined;
}

/** One stream of calls over one pool. */
export class Dispatcher {
  readonly #pool: ConnectionPool;
  readonly #kind: 'batch' | 'group';
  readonly #queue: WaitQueue;
  readonly #log: CallLog;
  readonly #neighbours: Neighbours;
  readonly #underWay = new Set<Promise<void>>();
  #acquiring = false;
  #isStoodInFor = false;
  #atWork = 0;
  #patience: NodeJS.Timeout | undefined;
  #afterOpening: NodeJS.Timeout | undefined;
  #rounds = 0;
  #largestRound = 0;
  #lastAnswer = Number.NEGATIVE_INFINITY;

  constructor(
    pool: ConnectionPool,
    kind: 'batch' | 'group',
    bounds: QueueBounds,
    log: CallLog,
    neighbours: Neighbours = {},
  ) {
    this.#pool = pool;
    this.#kind = kind;
    this.#queue = new WaitQueue(bounds, log.waits[QUEUE[kind]]);
    this.#log = log;
    this.#neighbours = neighbours;
  }

  /** Queues a call and resolves with what its procedure returned, decoded. */
  async run<Input, Output>(wanted: Procedure<Input, Output>, input: Input, options: CallOptions): Promise<Output> {
    const result = this.#queue.add([wanted.name, input], wanted, options);
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

  /** Whether it has work, or had some a moment ago: those who were answered are likely to come back. */
  get isActive(): boolean {
    return this.#underWay.size > 0 || performance.now() - this.#lastAnswer < ACTIVE_MS;
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
    if (this.#isStoodInFor && this.#queue.startsBrief && !this.#pool.isOpen) return; // its turn comes at once
    if (this.#kind === 'batch' && this.#atWork >= this.#readersAtOnce) this.#bePatient();
    else this.#start();
  }

  // Together with the main thread, which has much to do only when answers come in, readers fill the processors; one more
  // would only take its share from the writer.
  get #readersAtOnce(): number {
    return Math.max(1, this.#neighbours.preferred?.isActive ? PROCESSORS - 1 : PROCESSORS);
  }

  #bePatient(): void {
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      if (!this.#acquiring && this.#queue.length > 0) this.#start();
    }, PATIENCE_MS);
  }

  #start(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#acquiring = true;
    const round = this.#round();
    this.#underWay.add(round);
    void round.then(() => this.#underWay.delete(round));
  }

  async #round(): Promise<void> {
    const pool = this.#poolNow();
    let thread: ThreadHandle;
    try {
      thread = await pool.acquire();
    } catch (error) {
      this.#acquiring = false;
      this.#acquireFailed(error);
      return;
    }
    this.#acquiring = false;
    if (pool !== this.#pool) this.#isStoodInFor = true;
    this.#atWork += 1;
    // What waits behind it may take long, and the writer has other work.
    const tickets = this.#queue.take(pool === this.#pool ? this.#share() : 1);
    this.#pump();
    const answers = await this.#send(thread, tickets);
    await pool.release(thread);
    if (pool !== this.#pool) this.#isStoodInFor = false;
    this.#atWork -= 1;
    this.#pump();
    this.#settleAll(tickets, answers);
    this.#pump();
  }

  // The one connection of a catalogue that was just opened answers its first reads; the first reader is opened after it.
  #poolNow(): ConnectionPool {
    const { standIn } = this.#neighbours;
    if (standIn === undefined || standIn.idle === 0 || this.#pool.isOpen || !this.#queue.startsBrief) return this.#pool;
    this.#afterOpening ??= setTimeout(() => {
      this.#afterOpening = undefined;
      this.#pool.openOneMore();
    }, REST_AFTER_OPENING_MS).unref();
    return standIn;
  }

  // A wait that was too long ends in the queue, ticket by ticket; any other failure is everyone's.
  #acquireFailed(error: unknown): void {
    const onlyLate = error instanceof DatabaseError && error.code === 'CATALOG_TIMEOUT';
    if (!onlyLate) this.#queue.rejectAll(error);
    this.#pump();
  }

  #share(): number {
    const most = MAX_ROUND[this.#kind];
    if (this.#kind === 'group') return most;
    const waiting = this.#queue.length;
    const helpers = Math.min(this.#readersAtOnce - this.#atWork, Math.floor(waiting / WORTH_SPLITTING) - 1);
    const idle = Math.max(0, Math.min(this.#pool.idle, helpers));
    if (idle < helpers) this.#pool.openOneMore();
    return Math.min(most, Math.ceil(waiting / (1 + idle)));
  }

  async #send(thread: ThreadHandle, tickets: readonly Ticket[]): Promise<readonly Answer[]> {
    if (tickets.length === 0) return []; // whoever waited gave up meanwhile
    this.#rounds += 1;
    this.#largestRound = Math.max(this.#largestRound, tickets.length);
    try {
      invariant(this.#kind === 'batch' || this.#atWork === 1, 'one group writes at a time', 'another is under way');
      const calls = tickets.map(({ call }) => call);
      const { outcomes } = await thread.request({ kind: this.#kind, calls });
      this.#log.rounds[this.#kind].observe(tickets.length);
      return outcomes;
    } catch (error) {
      if (error instanceof ValidationError && tickets.length > 1) return this.#sendEach(thread, tickets);
      return tickets.map(() => ({ ok: false, lost: error }));
    }
  }

  // One input that cannot be cloned must not fail its neighbours.
  async #sendEach(thread: ThreadHandle, tickets: readonly Ticket[]): Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    for (const ticket of tickets) answers.push(...(await this.#send(thread, [ticket])));
    return answers;
  }

  // A ticket that is settled twice is a defect of this library; the callers behind it must not wait for ever.
  #settleAll(tickets: readonly Ticket[], answers: readonly Answer[]): void {
    try {
      this.#settle(tickets, answers);
    } catch (error) {
      this.#log.threw(error);
      for (const ticket of tickets) if (!ticket.isSettled) ticket.reject(error);
    }
  }

  #settle(tickets: readonly Ticket[], answers: readonly Answer[]): void {
    const now = performance.now(); // once for all: asking costs more than counting
    this.#lastAnswer = now;
    for (const [position, ticket] of tickets.entries()) {
      const answer = answers[position] as Answer;
      if ('lost' in answer) {
        ticket.reject(answer.lost);
        continue;
      }
      this.#log.answered(ticket.call[0], INTENT[this.#kind], answer.ok, now - ticket.since);
      if (answer.ok) ticket.resolve(answer.value);
      else ticket.reject(reviveError(answer.error));
    }
  }
}

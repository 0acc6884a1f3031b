/**
 * Sends waiting calls to connections: all calls that wait when a connection becomes free go in one message and return
 * in one. For readers this is read batching, for the writer group commit. There is no timer: an idle engine sends a
 * single call at once.
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

/** Most calls in one message: a group then commits within 50 ms, and a batch answers within a few. */
const MAX_ROUND = { batch: 256, group: 512 } as const;

const INTENT = { batch: 'read', group: 'write' } as const;
const QUEUE = { batch: 'reads', group: 'writes' } as const;

const PROCESSORS = availableParallelism();

/** The smallest batch worth its own message: twice as many calls are split between readers. */
const WORTH_SPLITTING = 4;

/** Milliseconds after which waiting reads get another reader anyway, because the busy ones may take long. */
const PATIENCE_MS = 1;

/**
 * Milliseconds from the first answers to the start of a reader: starting a thread holds up the main thread for five.
 */
const REST_AFTER_OPENING_MS = 50;

/** Milliseconds that a stream counts as active after its last answers. */
const ACTIVE_MS = 5;

/** The result of a call: its outcome, or the failure of its connection. */
type Answer = Outcome | { readonly ok: false; readonly lost: unknown };

/** The other streams that a stream considers. */
export interface Neighbours {
  /** While the stream's own pool has no open connection, an idle one of this pool serves brief calls. */
  readonly standIn?: ConnectionPool | undefined;
  /** A stream that has its own processor while active. */
  readonly preferred?: Dispatcher | undefined;
}

/** A stream of calls to one pool. */
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

  /** Queues a call and resolves with the decoded result of its procedure. */
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

  /** Whether it has work, or had some a moment ago: callers that got an answer are likely to call again. */
  get isActive(): boolean {
    return this.#underWay.size > 0 || performance.now() - this.#lastAnswer < ACTIVE_MS;
  }

  /** Resolves when no call is waiting or running. */
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

  // With the main thread, which is busy only when answers arrive, these readers fill the processors; one more would
  // only slow the writer.
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
    // The calls behind it may take long, and the writer has other work.
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

  // The writer of a newly opened catalogue answers its first reads; the first reader opens later.
  #poolNow(): ConnectionPool {
    const { standIn } = this.#neighbours;
    if (standIn === undefined || standIn.idle === 0 || this.#pool.isOpen || !this.#queue.startsBrief) return this.#pool;
    this.#afterOpening ??= setTimeout(() => {
      this.#afterOpening = undefined;
      this.#pool.openOneMore();
    }, REST_AFTER_OPENING_MS).unref();
    return standIn;
  }

  // A timeout ends single tickets in the queue; any other failure ends all of them.
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
    if (tickets.length === 0) return []; // the callers gave up meanwhile
    this.#rounds += 1;
    this.#largestRound = Math.max(this.#largestRound, tickets.length);
    try {
      invariant(this.#kind === 'batch' || this.#atWork === 1, 'one group writes at a time', 'another is running');
      const calls = tickets.map(({ call }) => call);
      const { outcomes } = await thread.request({ kind: this.#kind, calls });
      this.#log.rounds[this.#kind].observe(tickets.length);
      return outcomes;
    } catch (error) {
      if (error instanceof ValidationError && tickets.length > 1) return this.#sendEach(thread, tickets);
      return tickets.map(() => ({ ok: false, lost: error }));
    }
  }

  // An input that cannot be cloned must not fail its neighbours.
  async #sendEach(thread: ThreadHandle, tickets: readonly Ticket[]): Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    for (const ticket of tickets) answers.push(...(await this.#send(thread, [ticket])));
    return answers;
  }

  // Settling a ticket twice is a defect of this library; the callers behind it must not wait for ever.
  #settleAll(tickets: readonly Ticket[], answers: readonly Answer[]): void {
    try {
      this.#settle(tickets, answers);
    } catch (error) {
      this.#log.threw(error);
      for (const ticket of tickets) if (!ticket.isSettled) ticket.reject(error);
    }
  }

  #settle(tickets: readonly Ticket[], answers: readonly Answer[]): void {
    const now = performance.now(); // once for all calls: reading the clock costs more than counting
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

/**
 * Sends waiting calls to connections: whatever waits when a connection becomes free travels as one message and is
 * answered by one. Over readers that is read batching, over the one writer group commit. There is no timer: an idle
 * engine sends a single call at once.
 */
import { availableParallelism } from 'node:os';
import { DatabaseError, reviveError, ValidationError } from '../errors.ts';
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

/**
 * Readers at work that are not asked for twice: with the main thread they fill the processors, and one more would only
 * take its share from the writer.
 */
const READERS_AT_ONCE = Math.max(1, availableParallelism() - 1);

/** Milliseconds after which waiting reads take a further reader all the same: what is at work may take long. */
const PATIENCE_MS = 1;

/** What became of a call: its outcome, or what befell the connection that held it. */
type Answer = Outcome | { readonly ok: false; readonly lost: unknown };

/** One stream of calls over one pool. */
export class Dispatcher {
  readonly #pool: ConnectionPool;
  readonly #kind: 'batch' | 'group';
  readonly #queue: WaitQueue;
  readonly #log: CallLog;
  readonly #standIn: ConnectionPool | undefined;
  readonly #underWay = new Set<Promise<void>>();
  #acquiring = false;
  #atWork = 0;
  #patience: NodeJS.Timeout | undefined;
  #rounds = 0;
  #largestRound = 0;

  /** As long as the pool has no connection open, an idle one of `standIn` serves in its place. */
  constructor(
    pool: ConnectionPool,
    kind: 'batch' | 'group',
    bounds: QueueBounds,
    log: CallLog,
    standIn?: ConnectionPool,
  ) {
    this.#pool = pool;
    this.#kind = kind;
    this.#queue = new WaitQueue(bounds, log.waits[QUEUE[kind]]);
    this.#log = log;
    this.#standIn = standIn;
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

  /** Resolves when nothing waits and nothing is under way. */
  async settled(): Promise<void> {
    while (this.#queue.length > 0 || this.#underWay.size > 0) {
      await Promise.all(this.#underWay);
      await new Promise(setImmediate);
    }
  }

  #pump(): void {
    if (this.#acquiring || this.#queue.length === 0) return;
    if (this.#kind === 'batch' && this.#atWork >= READERS_AT_ONCE) this.#bePatient();
    else this.#start();
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
    this.#atWork += 1;
    // What waits behind it may take long, and the writer has other work.
    const tickets = this.#queue.take(pool === this.#pool ? this.#share() : 1);
    this.#pump();
    const answers = await this.#send(thread, tickets);
    await pool.release(thread);
    this.#atWork -= 1;
    this.#pump();
    this.#settle(tickets, answers);
    this.#pump();
  }

  // The one connection of a catalogue that was just opened answers its first reads, while the first reader is opened.
  #poolNow(): ConnectionPool {
    const standIn = this.#standIn;
    if (standIn === undefined || standIn.idle === 0 || this.#pool.isOpen || !this.#queue.startsBrief) return this.#pool;
    this.#pool.openFirst();
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
    const others = Math.max(0, Math.min(this.#pool.idle, READERS_AT_ONCE - this.#atWork));
    return Math.min(most, Math.ceil(this.#queue.length / (1 + others)));
  }

  async #send(thread: ThreadHandle, tickets: readonly Ticket[]): Promise<readonly Answer[]> {
    if (tickets.length === 0) return []; // whoever waited gave up meanwhile
    this.#rounds += 1;
    this.#largestRound = Math.max(this.#largestRound, tickets.length);
    try {
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

  #settle(tickets: readonly Ticket[], answers: readonly Answer[]): void {
    const now = performance.now(); // once for all: asking costs more than counting
    for (const [position, { call, since, resolve, reject }] of tickets.entries()) {
      const answer = answers[position] as Answer;
      if ('lost' in answer) {
        reject(answer.lost);
        continue;
      }
      this.#log.answered(call[0], INTENT[this.#kind], answer.ok, now - since);
      if (answer.ok) resolve(answer.value);
      else reject(reviveError(answer.error));
    }
  }
}

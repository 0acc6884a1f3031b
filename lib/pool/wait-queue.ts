/**
 * A bounded queue of calls that wait for a connection, first come, first served. A call that waits too long, or whose
 * signal fires, leaves the queue without having done anything.
 */
import { DatabaseError } from '../errors.ts';
import { invariant } from '../runtime/invariant.ts';
import type { CallOptions } from '../sql/engine.ts';
import type { Histogram } from '../sql/histogram.ts';
import type { Procedure } from '../sql/procedure.ts';
import type { Call } from './protocol.ts';

/** The options of a queued call. */
type CallTraits = Pick<Procedure<never, unknown>, 'alone' | 'brief'>;

/** A call in the queue. It is settled once: with its answer, or with an error. */
export class Ticket {
  readonly call: Call;
  readonly alone: boolean;
  readonly brief: boolean;
  /** Time of queueing, in milliseconds. */
  readonly since = performance.now();
  readonly #resolve: (wire: unknown) => void;
  readonly #reject: (error: unknown) => void;
  #isSettled = false;

  constructor(
    call: Call,
    { alone, brief }: CallTraits,
    resolve: (wire: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.call = call;
    this.alone = alone;
    this.brief = brief;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** @throws {InvariantError} when it is settled already */
  resolve(wire: unknown): void {
    this.#settle();
    this.#resolve(wire);
  }

  /** @throws {InvariantError} when it is settled already */
  reject(error: unknown): void {
    this.#settle();
    this.#reject(error);
  }

  #settle(): void {
    invariant(!this.#isSettled, 'a call is settled once', 'it was settled again');
    this.#isSettled = true;
  }
}

export interface QueueBounds {
  /** How many calls may wait. */
  readonly limit: number;
  /** Milliseconds a call may wait. */
  readonly timeoutMs: number;
}

const NOTHING = () => undefined;

/** The bounded queue, with the figures that `stats()` reports. */
export class WaitQueue {
  readonly #bounds: QueueBounds;
  readonly #waits: Histogram | undefined;
  // A map, so that each of thousands of tickets can leave quickly; the value detaches the ticket from its signal.
  readonly #tickets = new Map<Ticket, () => void>();
  #timer: NodeJS.Timeout | undefined;
  readonly figures = { calls: 0, maxWaiting: 0, expired: 0, refused: 0, totalWaitMs: 0, maxWaitMs: 0 };

  /** `waits` receives how long each call waited, in milliseconds. */
  constructor(bounds: QueueBounds, waits?: Histogram) {
    this.#bounds = bounds;
    this.#waits = waits;
  }

  get length(): number {
    return this.#tickets.size;
  }

  /** Whether the next call is brief. */
  get startsBrief(): boolean {
    const [next] = this.#tickets.keys();
    return next?.brief === true;
  }

  /**
   * Queues a call; the promise settles with its result.
   * @throws {DatabaseError} CATALOG_POOL_EXHAUSTED if the queue is full, CATALOG_TIMEOUT if the call waited too long
   */
  add(call: Call, traits: CallTraits, { signal }: CallOptions): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#tickets.size >= this.#bounds.limit) {
      this.figures.refused += 1;
      const message = `${this.#bounds.limit} calls are already waiting`;
      return Promise.reject(new DatabaseError('CATALOG_POOL_EXHAUSTED', message));
    }
    return new Promise((resolve, reject) => {
      const ticket = new Ticket(call, traits, resolve, reject);
      this.#tickets.set(ticket, this.#listen(ticket, signal));
      this.figures.calls += 1;
      this.figures.maxWaiting = Math.max(this.figures.maxWaiting, this.#tickets.size);
      this.#watchOldest();
    });
  }

  /** Takes up to `most` calls, or a single call that must run alone. */
  take(most: number): Ticket[] {
    const taken: Ticket[] = [];
    for (const ticket of this.#tickets.keys()) {
      if (taken.length > 0 && (ticket.alone || taken[0]?.alone || taken.length >= most)) break;
      taken.push(ticket);
    }
    const now = performance.now();
    for (const ticket of taken) {
      const { since } = ticket;
      this.#forget(ticket);
      this.figures.totalWaitMs += now - since;
      this.figures.maxWaitMs = Math.max(this.figures.maxWaitMs, now - since);
      this.#waits?.observe(now - since);
    }
    return taken;
  }

  /** Rejects every waiting call. */
  rejectAll(error: unknown): void {
    for (const ticket of this.#tickets.keys()) {
      this.#forget(ticket);
      ticket.reject(error);
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Abandons the ticket when its signal fires; returns a function that detaches it. */
  #listen(ticket: Ticket, signal: AbortSignal | undefined): () => void {
    if (signal === undefined) return NOTHING;
    const onAbort = () => this.#giveUp(ticket, signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    return () => signal.removeEventListener('abort', onAbort);
  }

  #forget(ticket: Ticket): void {
    this.#tickets.get(ticket)?.();
    this.#tickets.delete(ticket);
  }

  #giveUp(ticket: Ticket, reason: unknown): void {
    this.#forget(ticket);
    this.figures.expired += 1;
    ticket.reject(reason);
  }

  // All calls have the same timeout, so the oldest expires first: one timer serves them all, and it moves only when it
  // fires.
  #watchOldest(): void {
    if (this.#timer !== undefined) return;
    const [oldest] = this.#tickets.keys();
    if (oldest === undefined) return;
    const left = oldest.since + this.#bounds.timeoutMs - performance.now();
    this.#timer = setTimeout(() => this.#expire(), Math.max(0, Math.ceil(left)));
    this.#timer.unref();
  }

  #expire(): void {
    this.#timer = undefined;
    const due = performance.now() - this.#bounds.timeoutMs;
    const message = `no connection became free within ${this.#bounds.timeoutMs} ms`;
    for (const ticket of this.#tickets.keys()) {
      if (ticket.since > due) break;
      this.#giveUp(ticket, new DatabaseError('CATALOG_TIMEOUT', message));
    }
    this.#watchOldest();
  }
}

/**
 * A bounded queue of calls that wait for a connection, first come, first served. Whoever waits too long, or gives up by
 * a signal, leaves the queue and nothing of its call has happened.
 */
import { DatabaseError } from '../errors.ts';
import type { CallOptions } from '../sql/engine.ts';
import type { Histogram } from '../sql/histogram.ts';
import type { Call } from './protocol.ts';

/** A call in the queue, and how to settle it. */
export interface Ticket {
  readonly call: Call;
  readonly alone: boolean;
  readonly brief: boolean;
  readonly since: number;
  readonly resolve: (wire: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly forget: () => void;
}

export interface QueueBounds {
  /** Calls that may wait at once. */
  readonly limit: number;
  /** Milliseconds a call may wait. */
  readonly timeoutMs: number;
}

/** The bounded queue, with the figures `stats()` reports. */
export class WaitQueue {
  readonly #bounds: QueueBounds;
  readonly #waits: Histogram | undefined;
  // A set, so that thousands that give up together leave at once each.
  readonly #tickets = new Set<Ticket>();
  #timer: NodeJS.Timeout | undefined;
  readonly figures = { calls: 0, maxWaiting: 0, expired: 0, refused: 0, totalWaitMs: 0, maxWaitMs: 0 };

  /** `waits` gets the milliseconds that each call has waited when it is taken. */
  constructor(bounds: QueueBounds, waits?: Histogram) {
    this.#bounds = bounds;
    this.#waits = waits;
  }

  get length(): number {
    return this.#tickets.size;
  }

  /** Whether the next call is one that takes no time. */
  get startsBrief(): boolean {
    const [next] = this.#tickets;
    return next?.brief === true;
  }

  /**
   * Queues a call; the promise settles with what it yields.
   * @throws {DatabaseError} CATALOG_POOL_EXHAUSTED when the queue is full, CATALOG_TIMEOUT when the wait was too long
   */
  add(call: Call, { alone, brief }: Pick<Ticket, 'alone' | 'brief'>, { signal }: CallOptions): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#tickets.size >= this.#bounds.limit) {
      this.figures.refused += 1;
      const message = `${this.#bounds.limit} calls are waiting already`;
      return Promise.reject(new DatabaseError('CATALOG_POOL_EXHAUSTED', message));
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#giveUp(ticket, signal?.reason); // the signal has let go of it by then
      const forget = () => signal?.removeEventListener('abort', onAbort);
      const ticket: Ticket = { call, alone, brief, since: performance.now(), resolve, reject, forget };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#tickets.add(ticket);
      this.figures.calls += 1;
      this.figures.maxWaiting = Math.max(this.figures.maxWaiting, this.#tickets.size);
      this.#watchOldest();
    });
  }

  /** Takes up to `most` calls; one that runs alone is taken alone. */
  take(most: number): Ticket[] {
    const taken: Ticket[] = [];
    for (const ticket of this.#tickets) {
      if (taken.length > 0 && (ticket.alone || taken[0]?.alone || taken.length >= most)) break;
      taken.push(ticket);
    }
    const now = performance.now();
    for (const ticket of taken) {
      const { since, forget } = ticket;
      this.#tickets.delete(ticket);
      forget();
      this.figures.totalWaitMs += now - since;
      this.figures.maxWaitMs = Math.max(this.figures.maxWaitMs, now - since);
      this.#waits?.observe(now - since);
    }
    return taken;
  }

  /** Rejects everything that waits. */
  rejectAll(error: unknown): void {
    for (const { forget, reject } of this.#tickets) {
      forget();
      reject(error);
    }
    this.#tickets.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #giveUp(ticket: Ticket, reason: unknown): void {
    this.#tickets.delete(ticket);
    this.figures.expired += 1;
    ticket.reject(reason);
  }

  // All calls may wait equally long, so the oldest is always the next to expire: one timer serves them all, and it is
  // only moved when it fires.
  #watchOldest(): void {
    if (this.#timer !== undefined) return;
    const [oldest] = this.#tickets;
    if (oldest === undefined) return;
    const left = oldest.since + this.#bounds.timeoutMs - performance.now();
    this.#timer = setTimeout(() => this.#expire(), Math.max(0, Math.ceil(left)));
    this.#timer.unref();
  }

  #expire(): void {
    this.#timer = undefined;
    const due = performance.now() - this.#bounds.timeoutMs;
    const message = `no connection became free within ${this.#bounds.timeoutMs} ms`;
    for (const ticket of this.#tickets) {
      if (ticket.since > due) break;
      ticket.forget();
      this.#giveUp(ticket, new DatabaseError('CATALOG_TIMEOUT', message));
    }
    this.#watchOldest();
  }
}

/**
 * The connections of one kind: all readers, or the one writer. generic-pool assigns them; this module handles its sharp
 * edges. generic-pool loops for ever if its factory rejects, so ours never does: a connection that could not be opened
 * is passed on with its error and discarded here.
 */
import { createPool, type Pool } from 'generic-pool';
import { DatabaseError } from '../errors.ts';
import { invariant } from '../runtime/invariant.ts';
import type { BeforeCommitFigures, ConnectionFigures, StatementFigures } from '../sql/engine.ts';
import type { ConnectionSettings } from './protocol.ts';
import { ThreadHandle } from './thread-handle.ts';

export interface PoolBounds {
  /** Maximum number of connections; they open on demand. */
  readonly size: number;
  /** Milliseconds to wait for one. */
  readonly acquireTimeoutMs: number;
  /** How many requests for a connection may wait. */
  readonly queueLimit: number;
}

/** Why a connection could not be opened; stands in for the connection. */
class FailedOpening {
  readonly reason: unknown;

  constructor(reason: unknown) {
    this.reason = reason;
  }
}

/** Adds up statement counts. */
export const addStatements = (one: StatementFigures, other: StatementFigures): StatementFigures => ({
  found: one.found + other.found,
  prepared: one.prepared + other.prepared,
});

/** A pool of connection threads. */
export class ConnectionPool {
  readonly #pool: Pool<ThreadHandle | FailedOpening>;
  readonly #threads = new Set<ThreadHandle>();
  /** When each busy connection was acquired, by the monotonic clock. */
  readonly #outSince = new Map<ThreadHandle, number>();
  readonly #bounds: PoolBounds;
  #opening: Promise<void> | undefined;
  #created = 0;
  #lost = 0;
  #retired: StatementFigures = { found: 0, prepared: 0 };
  #beforeCommit: BeforeCommitFigures = { failures: 0, lastError: null };
  #abandoned: DatabaseError | undefined;

  constructor(settings: ConnectionSettings, bounds: PoolBounds) {
    this.#bounds = bounds;
    this.#pool = createPool<ThreadHandle | FailedOpening>(
      {
        create: () => this.#open(settings),
        destroy: (opened) => this.#retire(opened),
        validate: async (opened) => opened instanceof FailedOpening || opened.usable,
      },
      {
        min: 0,
        max: bounds.size,
        // The most recently used reader still has its thread and pages in the processor's caches.
        fifo: false,
        testOnBorrow: true,
        acquireTimeoutMillis: bounds.acquireTimeoutMs,
        maxWaitingClients: bounds.queueLimit,
      },
    );
  }

  get size(): number {
    return this.#bounds.size;
  }

  get idle(): number {
    return this.#pool.available;
  }

  /** Whether it has a usable connection. */
  get isOpen(): boolean {
    for (const thread of this.#threads) if (thread.usable) return true;
    return false;
  }

  /** Opens one more connection in advance, if the limit allows and no other is opening. */
  openOneMore(): void {
    if (this.#pool.size === this.#bounds.size) return;
    this.#opening ??= this.acquire()
      .then((thread) => this.release(thread))
      // The next caller that needs one gets the error, if it persists.
      .catch(() => undefined)
      .finally(() => {
        this.#opening = undefined;
      });
  }

  /**
   * Waits for a connection; return it with `release`.
   * @throws {DatabaseError} CATALOG_TIMEOUT, CATALOG_POOL_EXHAUSTED, or the error of opening a connection
   * @throws {InvariantError} if the connection already has an owner; so a pool of one has one writer at a time
   */
  async acquire(): Promise<ThreadHandle> {
    const opened = await this.#pool.acquire().catch((error: Error) => {
      throw this.#acquireError(error);
    });
    if (opened instanceof ThreadHandle) {
      invariant(!this.#outSince.has(opened), 'a connection has one owner', 'it is already in use');
      invariant(
        this.#outSince.size < this.#bounds.size,
        'a pool lends no more connections than it has',
        'all are in use',
      );
      this.#outSince.set(opened, performance.now());
      return opened;
    }
    await this.#pool.destroy(opened);
    throw opened.reason;
  }

  /** Returns a connection; a broken one is replaced on the next demand. */
  async release(thread: ThreadHandle): Promise<void> {
    this.#outSince.delete(thread);
    if (!this.#pool.isBorrowedResource(thread)) return; // removed by abandon()
    if (thread.usable) await this.#pool.release(thread);
    else await this.#pool.destroy(thread);
  }

  figures(): ConnectionFigures {
    const usable = [...this.#threads].filter((thread) => thread.usable);
    const busy = usable.filter((thread) => this.#pool.isBorrowedResource(thread)).length;
    return {
      size: this.#bounds.size,
      open: usable.length,
      busy,
      idle: usable.length - busy,
      created: this.#created,
      lost: this.#lost,
      longestMs: this.#longestMs(),
      requestMs: Math.max(0, ...usable.map((thread) => thread.requestMs)),
    };
  }

  /** Statements of all its connections, including closed ones. */
  get statements(): StatementFigures {
    return [...this.#threads].reduce((sum, thread) => addStatements(sum, thread.statements), this.#retired);
  }

  #longestMs(): number {
    const oldest = Math.min(...this.#outSince.values());
    return Number.isFinite(oldest) ? performance.now() - oldest : 0;
  }

  get beforeCommit(): BeforeCommitFigures {
    return this.#beforeCommit;
  }

  /** Closes every connection, waiting for the busy ones. */
  async close(): Promise<void> {
    await this.#pool.drain();
    await this.#pool.clear();
  }

  /**
   * Ends every thread now, whatever it is doing, and opens no more: waiting requests are refused with `reason`. It does
   * not wait for the threads, because nothing can interrupt an endless native statement.
   */
  abandon(reason: DatabaseError): void {
    this.#abandoned = reason;
    for (const thread of this.#threads) {
      void thread.kill(reason);
      // Free its slot: generic-pool serves waiting requests only when it can open another connection.
      if (this.#pool.isBorrowedResource(thread)) void this.#pool.destroy(thread);
    }
  }

  async #open(settings: ConnectionSettings): Promise<ThreadHandle | FailedOpening> {
    try {
      if (this.#abandoned !== undefined) throw this.#abandoned;
      const thread = await ThreadHandle.open(settings, {
        onLost: () => {
          this.#lost += 1;
        },
        onBeforeCommitFailed: ({ message }) => {
          this.#beforeCommit = { failures: this.#beforeCommit.failures + 1, lastError: message };
        },
      });
      this.#threads.add(thread);
      this.#created += 1;
      if (this.#abandoned === undefined) return thread;
      await this.#retire(thread);
      throw this.#abandoned;
    } catch (reason) {
      return new FailedOpening(reason);
    }
  }

  async #retire(opened: ThreadHandle | FailedOpening): Promise<void> {
    if (opened instanceof FailedOpening) return;
    this.#outSince.delete(opened);
    await opened.close();
    if (this.#threads.delete(opened)) this.#retired = addStatements(this.#retired, opened.statements);
  }

  #acquireError(error: Error): DatabaseError {
    if (error.name === 'TimeoutError') {
      const message = `no connection became free within ${this.#bounds.acquireTimeoutMs} ms`;
      return new DatabaseError('CATALOG_TIMEOUT', message, { cause: error });
    }
    if (error.message === 'pool is draining and cannot accept work') {
      return new DatabaseError('CATALOG_CLOSED', 'the database is closed', { cause: error });
    }
    const message = `${this.#bounds.queueLimit} requests are already waiting for a connection`;
    return new DatabaseError('CATALOG_POOL_EXHAUSTED', message, { cause: error });
  }
}

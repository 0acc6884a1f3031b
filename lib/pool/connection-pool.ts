/**
 * The connections of one kind: all readers, or the one writer. generic-pool decides who gets which; this module keeps
 * its sharp edges away. A factory that rejects makes it spin for ever, so ours never does: a connection that could not
 * be opened is handed over with its failure, and thrown away here.
 */
import { createPool, type Pool } from 'generic-pool';
import { DatabaseError } from '../errors.ts';
import type { ConnectionFigures } from '../sql/engine.ts';
import type { ConnectionSettings } from './protocol.ts';
import { ThreadHandle } from './thread-handle.ts';

export interface PoolBounds {
  /** Connections at most; they are opened as they are needed. */
  readonly size: number;
  /** Milliseconds to wait for one. */
  readonly acquireTimeoutMs: number;
  /** Requests for a connection that may wait at once. */
  readonly queueLimit: number;
}

/** A pool of connection threads. */
export class ConnectionPool {
  readonly #pool: Pool<ThreadHandle>;
  readonly #threads = new Set<ThreadHandle>();
  readonly #bounds: PoolBounds;
  #created = 0;
  #lost = 0;

  constructor(settings: ConnectionSettings, bounds: PoolBounds) {
    this.#bounds = bounds;
    this.#pool = createPool<ThreadHandle>(
      {
        create: () => this.#open(settings),
        destroy: (thread) => this.#retire(thread),
        validate: (thread) => Promise.resolve(thread.usable || thread.failure !== undefined),
      },
      {
        min: 0,
        max: bounds.size,
        testOnBorrow: true,
        acquireTimeoutMillis: bounds.acquireTimeoutMs,
        maxWaitingClients: bounds.queueLimit,
      },
    );
  }

  get idle(): number {
    return this.#pool.available;
  }

  /**
   * Waits for a connection; it must be given back by `release`.
   * @throws {DatabaseError} CATALOG_TIMEOUT, CATALOG_POOL_EXHAUSTED, or why no connection can be opened
   */
  async acquire(): Promise<ThreadHandle> {
    const thread = await this.#pool.acquire().catch((error: Error) => {
      throw this.#acquireError(error);
    });
    if (thread.failure === undefined) return thread;
    await this.#pool.destroy(thread);
    throw thread.failure;
  }

  /** Gives a connection back; one that can no longer be used is replaced at the next need. */
  async release(thread: ThreadHandle): Promise<void> {
    if (thread.usable) await this.#pool.release(thread);
    else await this.#pool.destroy(thread);
  }

  figures(): ConnectionFigures {
    const { borrowed, available } = this.#pool;
    return {
      size: this.#bounds.size,
      open: [...this.#threads].filter(({ usable }) => usable).length,
      busy: borrowed,
      idle: available,
      created: this.#created,
      lost: this.#lost,
    };
  }

  /** Closes every connection, waiting for those that are out. */
  async close(): Promise<void> {
    await this.#pool.drain();
    await this.#pool.clear();
  }

  /** Ends every thread now, whatever it does. */
  async kill(): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => thread.kill()));
  }

  async #open(settings: ConnectionSettings): Promise<ThreadHandle> {
    const thread = await ThreadHandle.open(settings, () => {
      this.#lost += 1;
    });
    this.#created += 1;
    this.#threads.add(thread);
    return thread;
  }

  async #retire(thread: ThreadHandle): Promise<void> {
    await thread.close();
    this.#threads.delete(thread);
  }

  #acquireError(error: Error): DatabaseError {
    if (error.name === 'TimeoutError') {
      const message = `no connection became free within ${this.#bounds.acquireTimeoutMs} ms`;
      return new DatabaseError('CATALOG_TIMEOUT', message, { cause: error });
    }
    if (error.message === 'pool is draining and cannot accept work') {
      return new DatabaseError('CATALOG_CLOSED', 'the database is closed', { cause: error });
    }
    const message = `${this.#bounds.queueLimit} requests for a connection are waiting already`;
    return new DatabaseError('CATALOG_POOL_EXHAUSTED', message, { cause: error });
  }
}

/**
 * The open transactions over several calls: each gives a callback one connection, and its calls are sent one by one. At
 * its deadline a transaction is rolled back and its connection returns to the pool, whatever the callback is doing.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { ConflictError, DatabaseError } from '../errors.ts';
import type { CallOptions, Executor, TransactionSettings, WriterTransaction } from '../sql/engine.ts';
import type { Intent } from '../sql/procedure.ts';
import type { ConnectionPool } from './connection-pool.ts';
import type { ThreadHandle } from './thread-handle.ts';
import { TransactionConnection, type TransactionContext } from './transaction-connection.ts';

const DEADLINE_MS = 30_000; // a reader held longer lets the WAL grow without bound

/** A connection held by the running code, and those held around it. */
interface Held {
  readonly connection: TransactionConnection;
  readonly pool: ConnectionPool;
  readonly outer: Held | undefined;
}

const alreadyEnded = () =>
  new ConflictError('the transaction has ended', {
    hint: 'Make the call on the catalogue itself; it finds reservations made inside the transaction by their ids.',
  });

const selfWait = (what: string) =>
  new ConflictError(`${what} inside a transaction would wait for the transaction itself`, {
    hint: 'Use the connection that the callback receives.',
  });

const deadlinePassed = (ms: number) =>
  new DatabaseError('CATALOG_TIMEOUT', `the transaction did not finish within ${ms} ms and was rolled back`, {
    hint: 'Do less in one transaction, or raise timeoutMs.',
  });

/** Runs transactions over several calls, each on a connection of the pool of its intent. */
export class OpenTransactions {
  readonly #pools: Readonly<Record<Intent, ConnectionPool>>;
  readonly #current = new AsyncLocalStorage<Held>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #figures = { active: 0, granted: 0, expired: 0 };
  readonly #context: TransactionContext;

  constructor(pools: Readonly<Record<Intent, ConnectionPool>>, context: TransactionContext) {
    this.#pools = pools;
    this.#context = context;
  }

  figures(): { active: number; granted: number; expired: number } {
    return { ...this.#figures };
  }

  /** @throws {ConflictError} if transactions around the caller hold every connection that the work could use */
  assertNotWaitingForItself(what: string, intent: Intent): void {
    const pool = this.#pools[intent];
    if (this.#heldByCaller().filter((held) => held.pool === pool).length >= pool.size) throw selfWait(what);
  }

  /** @throws {ConflictError} if the caller is inside a transaction */
  assertOutside(what: string): void {
    if (this.#heldByCaller().length > 0) throw selfWait(what);
  }

  #heldByCaller(): readonly Held[] {
    const held: Held[] = [];
    for (let one = this.#current.getStore(); one !== undefined; one = one.outer) {
      if (one.connection.active) held.push(one);
    }
    return held;
  }

  /** Runs a callback in one transaction. */
  run<Result>(
    intent: Intent,
    use: (connection: Executor) => Promise<Result>,
    options: TransactionSettings,
  ): Promise<Result> {
    return this.#watched(this.#run(intent, use, options));
  }

  /** Holds a connection of a pool without a transaction, and runs transactions on it one after the other. */
  hold<Result>(
    intent: Intent,
    use: (transaction: WriterTransaction) => Promise<Result>,
    { signal }: CallOptions,
  ): Promise<Result> {
    return this.#watched(this.#hold(intent, use, signal));
  }

  #watched<Result>(work: Promise<Result>): Promise<Result> {
    const settled: Promise<unknown> = work.catch(() => undefined).finally(() => this.#underWay.delete(settled));
    this.#underWay.add(settled);
    return work;
  }

  async #hold<Result>(
    intent: Intent,
    use: (transaction: WriterTransaction) => Promise<Result>,
    signal: AbortSignal | undefined,
  ): Promise<Result> {
    const pool = this.#pools[intent];
    const thread = await this.#acquire(pool, signal);
    const connection = new TransactionConnection(thread, intent, this.#context);
    let last: Promise<unknown> = Promise.resolve();
    let open: TransactionConnection | undefined;
    const runNext = async <Value>(work: (connection: Executor) => Promise<Value>): Promise<Value> => {
      if (!connection.active) throw alreadyEnded();
      open = new TransactionConnection(thread, intent, this.#context);
      await open.begin(false);
      return this.#use(open, work, Number.POSITIVE_INFINITY);
    };
    const transaction: WriterTransaction = async (work) => {
      if (this.#heldByCaller().some((held) => held.connection === open)) throw selfWait('a transaction');
      const next = last.then(() => runNext(work));
      last = next.catch(() => undefined);
      return next;
    };
    try {
      return await this.#current.run({ connection, pool, outer: this.#current.getStore() }, () => use(transaction));
    } finally {
      connection.retire(alreadyEnded());
      await last; // a transaction that nobody awaits still has the connection
      await pool.release(thread);
    }
  }

  /** Resolves when no transaction is open. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #run<Result>(
    intent: Intent,
    use: (connection: Executor) => Promise<Result>,
    { signal, deadlineMs = DEADLINE_MS, suspendForeignKeys = false }: TransactionSettings,
  ): Promise<Result> {
    const start = performance.now();
    const thread = await this.#counted(this.#acquire(this.#pools[intent], signal));
    this.#context.log.waits.transactions.observe(performance.now() - start);
    this.#figures.active += 1;
    this.#figures.granted += 1;
    const connection = new TransactionConnection(thread, intent, this.#context);
    try {
      await this.#counted(connection.begin(suspendForeignKeys));
      return await this.#use(connection, use, deadlineMs);
    } finally {
      this.#figures.active -= 1;
      await this.#pools[intent].release(thread);
    }
  }

  /** Counts failures of the transaction itself; failures of its calls are counted with the calls. */
  async #counted<Value>(work: Promise<Value>): Promise<Value> {
    try {
      return await work;
    } catch (error) {
      this.#context.log.threw(error);
      throw error;
    }
  }

  async #acquire(pool: ConnectionPool, signal: AbortSignal | undefined): Promise<ThreadHandle> {
    signal?.throwIfAborted();
    const acquired = pool.acquire();
    if (signal === undefined) return acquired;
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    // A caller that gave up must not keep a connection that arrives later.
    const giveUp = (reason: unknown) => {
      acquired.then((thread) => pool.release(thread)).catch(() => undefined);
      throw reason;
    };
    return Promise.race([acquired, aborted])
      .catch(giveUp)
      .finally(() => signal.removeEventListener('abort', onAbort));
  }

  async #use<Result>(
    connection: TransactionConnection,
    use: (connection: Executor) => Promise<Result>,
    deadlineMs: number,
  ): Promise<Result> {
    const { log } = this.#context;
    const start = performance.now();
    const { promise: expired, reject } = Promise.withResolvers<never>();
    const error = deadlinePassed(deadlineMs);
    const timer = Number.isFinite(deadlineMs) ? setTimeout(() => reject(error), deadlineMs) : undefined;
    const held = { connection, pool: this.#pools[connection.intent], outer: this.#current.getStore() };
    const resultInTime = async () => {
      try {
        return await Promise.race([this.#current.run(held, () => use(connection)), expired]);
      } finally {
        clearTimeout(timer);
      }
    };
    try {
      const result = await resultInTime();
      await this.#counted(connection.end(true, alreadyEnded()));
      log.ended(connection.intent, true, performance.now() - start);
      return result;
    } catch (thrown) {
      if (thrown === error) {
        this.#figures.expired += 1;
        log.threw(error);
      }
      await connection.end(false, thrown === error ? error : alreadyEnded()).catch(() => undefined);
      log.ended(connection.intent, false, performance.now() - start);
      throw thrown;
    }
  }
}

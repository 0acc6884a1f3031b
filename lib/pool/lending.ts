/**
 * Lends a connection to a callback for one transaction whose statements travel one by one. The loan has a deadline:
 * when it passes, the transaction is rolled back and the connection goes back to the pool, whatever the callback does.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { ConflictError, DatabaseError } from '../errors.ts';
import type { CallOptions, Executor, LendOptions, WriterTransaction } from '../sql/engine.ts';
import type { Intent } from '../sql/procedure.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { type LendingContext, LentConnection } from './lent-connection.ts';
import type { ThreadHandle } from './thread-handle.ts';

const LOAN_DEADLINE_MS = 30_000; // a reader held longer lets the WAL grow without bound

/** A loan as the code that runs inside it sees it: what it holds, and what those around it hold. */
interface Held {
  readonly connection: LentConnection;
  readonly pool: ConnectionPool;
  readonly outer: Held | undefined;
}

const alreadyEnded = () =>
  new ConflictError('the transaction has ended', {
    hint: 'Make the call on the catalogue itself; it finds a reservation made inside by its id.',
  });

const selfWait = (what: string) =>
  new ConflictError(`${what} inside a transaction would wait for that transaction itself`, {
    hint: 'Use the connection that the callback was given.',
  });

const deadlinePassed = (ms: number) =>
  new DatabaseError('CATALOG_TIMEOUT', `the transaction did not end within ${ms} ms and was rolled back`, {
    hint: 'Do less in one transaction, or give it a longer timeoutMs.',
  });

/** Who may borrow from which pool. */
export class Lending {
  readonly #pools: Readonly<Record<Intent, ConnectionPool>>;
  readonly #current = new AsyncLocalStorage<Held>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #figures = { active: 0, granted: 0, expired: 0 };
  readonly #context: LendingContext;

  constructor(pools: Readonly<Record<Intent, ConnectionPool>>, context: LendingContext) {
    this.#pools = pools;
    this.#context = context;
  }

  figures(): { active: number; granted: number; expired: number } {
    return { ...this.#figures };
  }

  /** @throws {ConflictError} when every connection that such work could wait for is held by loans the caller is inside */
  assertNotWaitingForItself(what: string, intent: Intent): void {
    const pool = this.#pools[intent];
    if (this.#heldByCaller().filter((held) => held.pool === pool).length >= pool.size) throw selfWait(what);
  }

  /** @throws {ConflictError} when the caller is inside a loan */
  assertOutside(what: string): void {
    if (this.#heldByCaller().length > 0) throw selfWait(what);
  }

  #heldByCaller(): readonly Held[] {
    const held: Held[] = [];
    for (let loan = this.#current.getStore(); loan !== undefined; loan = loan.outer) {
      if (loan.connection.active) held.push(loan);
    }
    return held;
  }

  lend<Result>(intent: Intent, use: (connection: Executor) => Promise<Result>, options: LendOptions): Promise<Result> {
    return this.#watched(this.#lend(intent, use, options));
  }

  /** Holds a connection of a pool without a transaction, and lends it for one at a time. */
  holdBack<Result>(
    intent: Intent,
    use: (lend: WriterTransaction) => Promise<Result>,
    { signal }: CallOptions,
  ): Promise<Result> {
    return this.#watched(this.#holdBack(intent, use, signal));
  }

  #watched<Result>(loan: Promise<Result>): Promise<Result> {
    const settled: Promise<unknown> = loan.catch(() => undefined).finally(() => this.#underWay.delete(settled));
    this.#underWay.add(settled);
    return loan;
  }

  async #holdBack<Result>(
    intent: Intent,
    use: (lend: WriterTransaction) => Promise<Result>,
    signal: AbortSignal | undefined,
  ): Promise<Result> {
    const pool = this.#pools[intent];
    const thread = await this.#acquire(pool, signal);
    const connection = new LentConnection(thread, intent, this.#context);
    let last: Promise<unknown> = Promise.resolve();
    let lent: LentConnection | undefined;
    const lendNext = async <Lent>(work: (connection: Executor) => Promise<Lent>): Promise<Lent> => {
      if (!connection.active) throw alreadyEnded();
      lent = new LentConnection(thread, intent, this.#context);
      await lent.begin(false);
      return this.#use(lent, work, Number.POSITIVE_INFINITY);
    };
    const lend: WriterTransaction = async (work) => {
      if (this.#heldByCaller().some((held) => held.connection === lent)) throw selfWait('a transaction');
      const loan = last.then(() => lendNext(work));
      last = loan.catch(() => undefined);
      return loan;
    };
    try {
      return await this.#current.run({ connection, pool, outer: this.#current.getStore() }, () => use(lend));
    } finally {
      connection.retire(alreadyEnded());
      await last; // a transaction that was begun and not waited for still has the connection
      await pool.release(thread);
    }
  }

  /** Resolves when nothing is lent. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #lend<Result>(
    intent: Intent,
    use: (connection: Executor) => Promise<Result>,
    { signal, deadlineMs = LOAN_DEADLINE_MS, suspendForeignKeys = false }: LendOptions,
  ): Promise<Result> {
    const start = performance.now();
    const thread = await this.#counted(this.#acquire(this.#pools[intent], signal));
    this.#context.log.waits.transactions.observe(performance.now() - start);
    this.#figures.active += 1;
    this.#figures.granted += 1;
    const connection = new LentConnection(thread, intent, this.#context);
    try {
      await this.#counted(connection.begin(suspendForeignKeys));
      return await this.#use(connection, use, deadlineMs);
    } finally {
      this.#figures.active -= 1;
      await this.#pools[intent].release(thread);
    }
  }

  /** Counts the failure of what only the transaction itself waits for; those of its calls are counted with the calls. */
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
    // Whoever gave up must not keep the connection that arrives later.
    const giveUp = (reason: unknown) => {
      acquired.then((thread) => pool.release(thread)).catch(() => undefined);
      throw reason;
    };
    return Promise.race([acquired, aborted])
      .catch(giveUp)
      .finally(() => signal.removeEventListener('abort', onAbort));
  }

  async #use<Result>(
    connection: LentConnection,
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

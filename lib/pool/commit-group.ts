/**
 * Writes that share one commit. Each call succeeds or fails alone: whatever one of them does, the others end as if it
 * had not run.
 */
import { DatabaseError } from '../errors.ts';
import { BeforeCommit } from './before-commit.ts';
import type { Connection } from './connection.ts';
import { attempt, failed, indeterminate } from './outcome.ts';
import type { Call, Outcome } from './protocol.ts';
import { runInSavepoint } from './savepoint.ts';
import { classify, commitFailedCleanly } from './sqlite-errors.ts';

/** The indexes of the calls that still need an outcome. */
type Numbers = readonly number[];

/** Runs writes in one commit; the outcomes are final when this returns. */
export function runGroup(connection: Connection, calls: readonly Call[], beforeCommit = new BeforeCommit()): Outcome[] {
  const group = new Group(connection, calls, beforeCommit);
  group.settle(
    calls.map((_, number) => number),
    'bare',
  );
  return group.outcomes;
}

/**
 * One commit group. It first runs without savepoints, because a savepoint costs about a tenth of a save and a call that
 * fails before it writes needs no undoing. If a call fails after a write, the group is rolled back and runs again with
 * a savepoint for each call. If SQLite itself rolled everything back (disk full, I/O, memory), the call that caused it
 * keeps its error and every other call runs once more in its own transaction.
 */
class Group {
  readonly outcomes: Outcome[] = [];
  readonly #connection: Connection;
  readonly #calls: readonly Call[];
  readonly #beforeCommit: BeforeCommit;

  constructor(connection: Connection, calls: readonly Call[], beforeCommit: BeforeCommit) {
    this.#connection = connection;
    this.#calls = calls;
    this.#beforeCommit = beforeCommit;
  }

  settle(numbers: Numbers, mode: 'bare' | 'guarded'): void {
    try {
      this.#connection.beginImmediate();
    } catch (error) {
      this.#reject(numbers, error);
      return;
    }
    let wrote = false;
    for (const number of numbers) {
      const outcome = mode === 'bare' ? this.#runBare(number) : this.#runGuarded(number);
      this.outcomes[number] = outcome;
      if (!this.#connection.inTransaction) {
        this.#settleEach(numbers.filter((other) => other !== number));
        return;
      }
      if (mode === 'bare' && !outcome.ok && this.#connection.wrote) {
        this.#connection.rollback();
        this.settle(numbers, 'guarded');
        return;
      }
      wrote ||= this.#connection.wrote;
    }
    if (wrote) this.#beforeCommit.run(this.#connection);
    if (this.#connection.inTransaction) this.#commit(numbers);
    // SQLite rolled everything back in the before-commit hook, which now pauses: run the calls again without it.
    else this.settle(numbers, 'guarded');
  }

  #runBare(number: number): Outcome {
    return attempt(() => this.#connection.run(this.#call(number), 'write'));
  }

  #runGuarded(number: number): Outcome {
    return attempt(() => runInSavepoint(this.#connection, this.#call(number)));
  }

  #commit(numbers: Numbers): void {
    try {
      this.#connection.commit();
    } catch (error) {
      this.#commitFailed(numbers, error);
    }
  }

  #commitFailed(numbers: Numbers, error: unknown): void {
    const pending = numbers.filter((number) => this.outcomes[number]?.ok);
    if (!commitFailedCleanly(error)) {
      this.#connection.broken = true;
      this.#connection.rollback();
      this.#reject(pending, indeterminate(error));
      return;
    }
    this.#connection.rollback();
    if (pending.length === 1) this.#reject(pending, classify(error));
    else this.#settleEach(pending);
  }

  #settleEach(numbers: Numbers): void {
    for (const number of numbers) {
      if (this.#connection.broken) this.#reject([number], lostConnection());
      else this.settle([number], 'guarded');
    }
  }

  #reject(numbers: Numbers, error: unknown): void {
    for (const number of numbers) this.outcomes[number] = failed(error);
  }

  #call(number: number): Call {
    return this.#calls[number] as Call;
  }
}

const lostConnection = () =>
  new DatabaseError('CATALOG_IO', 'the commit of another call broke the connection; nothing of this call was stored', {
    retryable: true,
  });

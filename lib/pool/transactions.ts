/**
 * How calls share transactions on one connection. A batch of reads shares one snapshot. A group of writes shares one
 * commit and each call stands or falls alone: whatever one of them does, the others end as if it had not been there.
 */
import { ConflictError, DatabaseError, toWireError } from '../errors.ts';
import type { Intent } from '../sql/procedure.ts';
import type { Connection } from './connection.ts';
import type { Call, Outcome } from './protocol.ts';
import { runInSavepoint } from './savepoint.ts';
import { classify, commitFailedCleanly } from './sqlite-errors.ts';
import { Upkeep } from './upkeep.ts';

const succeeded = (value: unknown): Outcome => ({ ok: true, value });
const failed = (error: unknown): Outcome => ({ ok: false, error: toWireError(error) });

/** Runs reads on one snapshot; each call fails alone. */
export function runBatch(connection: Connection, calls: readonly Call[]): Outcome[] {
  connection.control('BEGIN');
  try {
    return calls.map((call) => attempt(() => connection.run(call, 'read')));
  } finally {
    // Nothing was written: ending by ROLLBACK costs the same and cannot fail halfway.
    connection.rollback();
  }
}

function attempt(work: () => unknown): Outcome {
  try {
    return succeeded(work());
  } catch (error) {
    return failed(error);
  }
}

/** The numbers of the calls of a group that still need their outcome. */
type Numbers = readonly number[];

/** Runs writes in one commit; the outcomes are true once this returns. */
export function runGroup(connection: Connection, calls: readonly Call[], upkeep = new Upkeep()): Outcome[] {
  const group = new Group(connection, calls, upkeep);
  group.settle(
    calls.map((_, number) => number),
    'bare',
  );
  return group.outcomes;
}

/**
 * One group on its way to its outcomes. It runs bare first, because a savepoint costs about a tenth of a save: a call that
 * fails before it has written needs no undoing. If one fails after a write, everything is rolled back and run again
 * with a savepoint for each. If SQLite itself rolled everything back (disk full, I/O, memory), the call that caused it
 * keeps its error and each other one is tried once more in a transaction of its own.
 */
class Group {
  readonly outcomes: Outcome[] = [];
  readonly #connection: Connection;
  readonly #calls: readonly Call[];
  readonly #upkeep: Upkeep;

  constructor(connection: Connection, calls: readonly Call[], upkeep = new Upkeep()) {
    this.#connection = connection;
    this.#calls = calls;
    this.#upkeep = upkeep;
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
    if (wrote) this.#upkeep.run(this.#connection);
    if (this.#connection.inTransaction) this.#commit(numbers);
    // SQLite rolled back everything together with the upkeep, which rests now: the calls are run again without it.
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

const indeterminate = (cause: unknown) =>
  new DatabaseError('CATALOG_INDETERMINATE', 'the commit failed half-way; it may be on the disk', { cause });

const lostConnection = () =>
  new DatabaseError('CATALOG_IO', 'a neighbour’s commit broke the connection; nothing of this call was stored', {
    retryable: true,
  });

/** A transaction whose calls arrive one by one, for a connection that is lent. */
export class Loan {
  readonly #connection: Connection;
  readonly #intent: Intent;
  readonly #suspendsForeignKeys: boolean;
  readonly #upkeep: Upkeep;
  #wrote = false;
  #lostBecause: unknown;

  /** @throws {DatabaseError} CATALOG_BUSY when another process keeps the write lock */
  constructor(connection: Connection, intent: Intent, suspendForeignKeys: boolean, upkeep = new Upkeep()) {
    this.#connection = connection;
    this.#intent = intent;
    this.#suspendsForeignKeys = suspendForeignKeys;
    this.#upkeep = upkeep;
    // Inside a transaction SQLite ignores this setting.
    if (suspendForeignKeys) connection.setForeignKeys(false);
    try {
      if (intent === 'write') connection.beginImmediate();
      else connection.control('BEGIN');
    } catch (error) {
      if (suspendForeignKeys) connection.setForeignKeys(true);
      throw error;
    }
  }

  run(call: Call): unknown {
    this.#assertAlive();
    try {
      return this.#intent === 'read' ? this.#connection.run(call, 'read') : this.#write(call);
    } catch (error) {
      if (!this.#connection.inTransaction) this.#lostBecause = error;
      throw error;
    }
  }

  #write(call: Call): unknown {
    try {
      return runInSavepoint(this.#connection, call);
    } finally {
      this.#wrote ||= this.#connection.wrote;
    }
  }

  /** Ends the transaction. @throws {DatabaseError} what the commit met, or why SQLite had rolled back already */
  end(commit: boolean): void {
    try {
      if (commit) this.#assertAlive();
      if (commit && this.#wrote) this.#upkeep.run(this.#connection);
      if (commit) this.#assertAlive();
      if (commit && this.#intent === 'write') this.#commit();
    } finally {
      this.#connection.rollback();
      if (this.#suspendsForeignKeys) this.#connection.setForeignKeys(true);
    }
  }

  #commit(): void {
    try {
      this.#connection.commit();
    } catch (error) {
      if (commitFailedCleanly(error)) throw classify(error);
      this.#connection.broken = true;
      throw indeterminate(error);
    }
  }

  #assertAlive(): void {
    if (this.#connection.inTransaction) return;
    throw new ConflictError('the transaction was rolled back by an earlier failure', {
      cause: this.#lostBecause,
      hint: 'Run the whole transaction again; nothing of it was stored.',
    });
  }
}

/**
 * Writes that share one commit. Each call succeeds or fails alone: whatever one of them does, the others end as if it
 * had not run.
 */
import { DatabaseError } from '../errors.ts';
import type { Settled } from '../sql/procedure.ts';
import { BeforeCommit } from './before-commit.ts';
import type { Connection } from './connection.ts';
import { attempt, failed, indeterminate } from './outcome.ts';
import type { Call, Outcome } from './protocol.ts';
import { runInSavepoint } from './savepoint.ts';
import { classify, commitFailedCleanly } from './sqlite-errors.ts';

/** `guarded`: each call in a savepoint. */
type Mode = 'bare' | 'guarded';

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
 * One group of writes, until each call has its outcome. It first runs without savepoints, because a savepoint costs
 * about a tenth of a save; calls that can run as one do so. A call that fails before it writes needs no rollback. If
 * one fails after a write, everything is rolled back and run again with a savepoint per call. If SQLite itself rolls
 * everything back (disk full, I/O, memory), the call that caused it keeps its error, and each other call is tried once
 * more in a separate transaction.
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

  settle(numbers: Numbers, mode: Mode): void {
    try {
      this.#connection.beginImmediate();
    } catch (error) {
      this.#reject(numbers, error);
      return;
    }
    let wrote = false;
    for (const run of mode === 'bare' ? this.#runs(numbers) : numbers.map((number) => [number])) {
      const failed = this.#perform(run, mode);
      if (this.#startsOver(numbers, { run, failed, mode })) return;
      wrote ||= this.#connection.wrote;
    }
    if (wrote) this.#beforeCommit.run(this.#connection);
    if (this.#connection.inTransaction) this.#commit(numbers);
    // SQLite rolled everything back in the before-commit hook, which now pauses: run the calls again without it.
    else this.settle(numbers, 'guarded');
  }

  /**
   * Runs the group again if a run rolled the others back, or could not be rolled back alone. Returns whether it did.
   */
  #startsOver(numbers: Numbers, { run, failed, mode }: { run: Numbers; failed: boolean; mode: Mode }): boolean {
    if (!this.#connection.inTransaction) {
      const culprit = run.length === 1 ? run[0] : undefined; // of several calls run as one, the culprit is unknown
      this.#settleEach(numbers.filter((number) => number !== culprit));
      return true;
    }
    const isUndone = mode === 'guarded' || (run.length === 1 && !this.#connection.wrote);
    if (!failed || isUndone) return false;
    this.#connection.rollback();
    this.settle(numbers, 'guarded');
    return true;
  }

  /** Splits the numbers, in order, into runs of calls that can run as one. */
  #runs(numbers: Numbers): number[][] {
    const runs: number[][] = [];
    let last: string | undefined;
    for (const number of numbers) {
      const [name] = this.#call(number);
      if (name === last) runs.at(-1)?.push(number);
      else runs.push([number]);
      last = this.#connection.runsTogether(name) ? name : undefined;
    }
    return runs;
  }

  /** Performs a run of calls and records their outcomes; returns whether it failed as a whole. */
  #perform(run: Numbers, mode: Mode): boolean {
    if (run.length > 1) return this.#performTogether(run);
    const [number = 0] = run;
    const call = this.#call(number);
    const outcome = attempt(() =>
      mode === 'bare' ? this.#connection.run(call, 'write') : runInSavepoint(this.#connection, call),
    );
    this.outcomes[number] = outcome;
    return !outcome.ok;
  }

  #performTogether(run: Numbers): boolean {
    const calls = run.map((number) => this.#call(number));
    const [[name] = ['', null]] = calls;
    const outcome = attempt(() =>
      this.#connection.runTogether(
        name,
        calls.map(([, input]) => input),
      ),
    );
    if (!outcome.ok) return true; // each call then runs by itself
    for (const [place, settled] of (outcome.value as readonly Settled<unknown>[]).entries()) {
      const number = run[place] as number;
      this.outcomes[number] = 'refused' in settled ? failed(settled.refused) : { ok: true, value: settled.value };
    }
    return false;
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

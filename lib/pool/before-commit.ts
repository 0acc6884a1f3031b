/**
 * The before-commit hook: a procedure that runs at the end of every transaction that wrote. It runs once for a commit
 * group, not once for each call, because updating an index for many rows together is cheaper. It never makes a write
 * fail: if it fails, its changes are undone, the transaction continues without it, and it pauses for a minute.
 */
import { toWireError, type WireError } from '../errors.ts';
import type { Connection } from './connection.ts';
import { runInSavepoint } from './savepoint.ts';

const REST_MS = 60_000; // a failure from a damaged page or a full disk would recur at each commit

/** Runs the procedure and records why it failed. */
export class BeforeCommit {
  readonly #procedure: string | undefined;
  #restsUntil = Number.NEGATIVE_INFINITY;
  #failure: WireError | undefined;

  constructor(procedure?: string) {
    this.#procedure = procedure;
  }

  /**
   * Runs the procedure inside the current transaction. Never throws; if SQLite rolled everything back, the connection
   * is in no transaction afterwards.
   */
  run(connection: Connection): void {
    if (this.#procedure === undefined || performance.now() < this.#restsUntil) return;
    try {
      runInSavepoint(connection, [this.#procedure, null]);
    } catch (error) {
      this.#restsUntil = performance.now() + REST_MS;
      this.#failure = toWireError(error);
    }
  }

  /** Why the procedure failed since the last call. */
  takeFailure(): WireError | null {
    const failure = this.#failure ?? null;
    this.#failure = undefined;
    return failure;
  }
}

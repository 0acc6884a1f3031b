/**
 * The before-commit hook: a procedure that ends every transaction which wrote. It runs once for a whole commit group, not
 * once for each call, because an index is cheaper to update for many rows together. No write fails because of it: when it
 * fails, its changes are undone, the transaction goes on without it, and it rests for a minute.
 */
import { toWireError, type WireError } from '../errors.ts';
import type { Connection } from './connection.ts';
import { runInSavepoint } from './savepoint.ts';

const REST_MS = 60_000; // what failed for a damaged page or a full disk would fail at each commit

/** Runs the procedure, and remembers why it failed. */
export class BeforeCommit {
  readonly #procedure: string | undefined;
  #restsUntil = Number.NEGATIVE_INFINITY;
  #failure: WireError | undefined;

  constructor(procedure?: string) {
    this.#procedure = procedure;
  }

  /**
   * Runs the procedure inside the transaction under way. Never throws; afterwards the connection may be in no
   * transaction, when SQLite rolled back everything.
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

  /** Why the procedure failed since this was asked last. */
  takeFailure(): WireError | null {
    const failure = this.#failure ?? null;
    this.#failure = undefined;
    return failure;
  }
}

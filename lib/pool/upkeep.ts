/**
 * The procedure that ends every transaction which wrote: once for a whole group, not once for each call, because what
 * it keeps (an index) is cheaper to bring up to date for many rows together. It serves what was written and is never
 * worth losing it for: when it fails, its changes are undone, the transaction goes on without it, and it rests a while.
 */
import { toWireError, type WireError } from '../errors.ts';
import type { Connection } from './connection.ts';
import { runInSavepoint } from './savepoint.ts';

const REST_MS = 60_000; // what failed for a damaged page or a full disk would fail at each commit

/** When the procedure runs, and how it fared. */
export class Upkeep {
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

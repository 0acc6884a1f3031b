/**
 * Limits the activity table: occasionally, as saves arrive, removes a batch of old rows. The batches are larger than
 * what arrives between them, so the table keeps its days without a timer.
 */

import type { Executor } from '../sql/engine.ts';
import { DAY_MS } from '../values/intervals.ts';
import { pruneActivity } from './series-procedures.ts';

const SAVES_BETWEEN = 1_024; // a fifth of a portion

/** Counts saves and removes old activity. */
export class ActivityRetention {
  readonly #executor: Executor;
  readonly #days: number;
  readonly #onError: (error: unknown) => void;
  #saves = 0;
  #due = 1; // the first save of a process checks at once

  constructor(executor: Executor, days: number, onError: (error: unknown) => void) {
    this.#executor = executor;
    this.#days = days;
    this.#onError = onError;
  }

  /** Called with the number of committed versions; never throws. */
  saved(versions: number): void {
    this.#saves += versions;
    if (this.#saves < this.#due) return;
    this.#due = this.#saves + SAVES_BETWEEN;
    const before = new Date(Date.now() - this.#days * DAY_MS).toISOString();
    this.#executor.run(pruneActivity, before).catch(this.#onError);
  }
}

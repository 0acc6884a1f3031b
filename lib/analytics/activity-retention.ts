/**
 * Keeps activity from growing for ever: now and then, as saves come in, a portion of what is too old is removed. The
 * portions are larger than what arrives between them, so the table stays within its days without a timer.
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
  #due = 1; // the first save of a process looks at once

  constructor(executor: Executor, days: number, onError: (error: unknown) => void) {
    this.#executor = executor;
    this.#days = days;
    this.#onError = onError;
  }

  /** To be called with the number of versions that were committed; never throws. */
  saved(versions: number): void {
    this.#saves += versions;
    if (this.#saves < this.#due) return;
    this.#due = this.#saves + SAVES_BETWEEN;
    const before = new Date(Date.now() - this.#days * DAY_MS).toISOString();
    this.#executor.run(pruneActivity, before).catch(this.#onError);
  }
}

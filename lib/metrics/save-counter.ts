/** Counts the committed saves of one catalogue object, for metrics. */
import type { Stored } from '../core/save-file.ts';
import type { SaveCounts } from './metric-facts.ts';

/** Receives each save after its commit. */
export class SaveCounter {
  readonly #counts = { stored: 0, unchanged: 0, bytes: 0, warnings: 0 };

  saved({ versions, unchanged, bytes, warnings }: Stored): void {
    this.#counts.stored += versions;
    this.#counts.unchanged += unchanged;
    this.#counts.bytes += bytes;
    this.#counts.warnings += warnings.length;
  }

  figures(): SaveCounts {
    return { ...this.#counts };
  }
}

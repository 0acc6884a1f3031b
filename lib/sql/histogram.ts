/**
 * A histogram as a plain row of counters: adding a value costs some 20 ns, which every call can bear. Whoever shows it
 * (Prometheus, a report) takes its figures when asked.
 */

/** A histogram at one instant. */
export interface HistogramFigures {
  /** Upper bounds of the buckets, each included, in rising order; above the last there is one more bucket. */
  readonly bounds: readonly number[];
  /** Values in each bucket: those above the bound before it. One more than there are bounds. */
  readonly counts: readonly number[];
  /** Every value together. */
  readonly sum: number;
}

/** Counts values by size. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket += 1;
    (this.#counts[bucket] as number) += 1;
    this.#sum += value;
  }

  figures(): HistogramFigures {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum };
  }
}

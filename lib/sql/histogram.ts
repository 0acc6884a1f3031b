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

/** How many values a histogram has, and what they say; null where there is none. */
export interface Distribution {
  readonly count: number;
  readonly average: number | null;
  /** The upper bound of the bucket the median lies in; null above the last. */
  readonly p50: number | null;
  /** The same of the value that 99 of a hundred do not exceed. */
  readonly p99: number | null;
}

/** What several histograms of the same bounds tell together. */
export function distribution(histograms: readonly HistogramFigures[]): Distribution {
  const bounds = histograms[0]?.bounds ?? [];
  const counts = Array.from({ length: bounds.length + 1 }, (_, bucket) =>
    histograms.reduce((total, histogram) => total + (histogram.counts[bucket] ?? 0), 0),
  );
  const count = counts.reduce((total, some) => total + some, 0);
  if (count === 0) return { count, average: null, p50: null, p99: null };
  const boundOf = (share: number) => {
    let left = Math.ceil(count * share);
    const bucket = counts.findIndex((some) => {
      left -= some;
      return left <= 0;
    });
    return bounds[bucket] ?? null;
  };
  const sum = histograms.reduce((total, histogram) => total + histogram.sum, 0);
  return { count, average: sum / count, p50: boundOf(0.5), p99: boundOf(0.99) };
}

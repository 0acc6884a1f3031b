/**
 * A histogram as a plain row of counters: adding a value costs about 20 ns, cheap enough for every call. Prometheus and
 * reports read the figures when asked.
 */

/** A snapshot of a histogram. */
export interface HistogramFigures {
  /** Inclusive upper bounds of the buckets, ascending; there is one more bucket above the last. */
  readonly bounds: readonly number[];
  /** Values in each bucket, above the bound before it. One more than there are bounds. */
  readonly counts: readonly number[];
  /** The sum of all values. */
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

/** Percentiles of a histogram; null without values. */
export interface Distribution {
  readonly count: number;
  readonly average: number | null;
  /** The upper bound of the median's bucket; null above the last. */
  readonly p50: number | null;
  /** The same for the 99th percentile. */
  readonly p99: number | null;
}

/** The percentiles of several histograms with the same bounds. */
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

/** The few statistics the report needs: no averages, because one stalled round would decide them. */

/** The median of some rounds, and the lowest and highest of them. */
export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** The value below which `share` (0 to 1) of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const summary = (values: readonly number[]): Summary => ({
  median: quantile(values, 0.5),
  low: Math.min(...values),
  high: Math.max(...values),
});

/** `ours` divided by `theirs`, round by round. */
export const ratios = (theirs: readonly number[], ours: readonly number[]): number[] =>
  theirs.map((figure, round) => figure / (ours[round] ?? Number.NaN));

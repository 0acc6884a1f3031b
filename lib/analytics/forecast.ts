/** A straight line through what was stored on each day, and when it reaches a limit. Ordinary least squares. */

/** A day's value; `day` counts days from any fixed one. */
export interface Point {
  readonly day: number;
  readonly value: number;
}

/** A fitted line `value = intercept + slope * day`. */
export interface Line {
  readonly slope: number;
  readonly intercept: number;
  /** The standard error of the slope, in its unit; null with fewer than three points. */
  readonly slopeError: number | null;
  /** The root of the mean squared distance of the points from the line. */
  readonly residual: number;
}

/** The line that fits best; null for fewer than two days, which no line can be drawn through. */
export function fitLine(points: readonly Point[]): Line | null {
  const n = points.length;
  if (n < 2) return null;
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / n;
  const meanDay = mean(points.map(({ day }) => day));
  const meanValue = mean(points.map(({ value }) => value));
  const spread = points.reduce((sum, { day }) => sum + (day - meanDay) ** 2, 0);
  const slope = points.reduce((sum, { day, value }) => sum + (day - meanDay) * (value - meanValue), 0) / spread;
  const intercept = meanValue - slope * meanDay;
  const squares = points.reduce((sum, { day, value }) => sum + (value - intercept - slope * day) ** 2, 0);
  return {
    slope,
    intercept,
    slopeError: n < 3 ? null : Math.sqrt(squares / (n - 2) / spread),
    residual: Math.sqrt(squares / n),
  };
}

/** Days from `today` until the line reaches `limit`; 0 when it has, null when it never will. */
export function daysUntil({ slope, intercept }: Line, limit: number, today: number): number | null {
  const present = intercept + slope * today;
  if (present >= limit) return 0;
  return slope <= 0 ? null : (limit - present) / slope;
}

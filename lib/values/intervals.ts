/** Durations in milliseconds, and the longest delay of a timer. */
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** The longest delay that setTimeout accepts. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

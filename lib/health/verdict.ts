/** The small words that the checks are written in: what was observed, and what is wrong with it. Pure. */

import { DatabaseError } from '../errors.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../values/intervals.ts';
import type { Known } from './facts.ts';
import { type HealthCheckName, type HealthCode, type HealthIssue, type HealthStatus, issueOf } from './report.ts';

/** What one check found; without a status and without issues it passed. */
export interface Verdict {
  readonly status?: 'unknown';
  readonly observed: number | string | null;
  readonly issues: readonly HealthIssue[];
}

export const pass = (observed: Verdict['observed']): Verdict => ({ observed, issues: [] });

export const UNKNOWN: Verdict = { status: 'unknown', observed: null, issues: [] };

export const found = (observed: Verdict['observed'], ...issues: readonly HealthIssue[]): Verdict => ({
  observed,
  issues,
});

export const warning = (code: HealthCode, message: string, hint: string): HealthIssue => ({
  code,
  severity: 'warn',
  message,
  hint,
});

export const failure = (code: HealthCode, message: string, hint: string): HealthIssue => ({
  code,
  severity: 'fail',
  message,
  hint,
});

/** Codes that say something of the connections, which are judged by themselves, and nothing of the question. */
const OF_THE_CONNECTIONS: ReadonlySet<string> = new Set([
  'CATALOG_CLOSED',
  'CATALOG_POOL_EXHAUSTED',
  'CATALOG_TIMEOUT',
  'CATALOG_CONFLICT',
]);

/** Whether a question failed for want of a connection. */
export const lacksConnection = (error: unknown): boolean =>
  error instanceof DatabaseError && OF_THE_CONNECTIONS.has(error.code);

/** Judges an answer; no answer is unknown, an error an issue of its own. Null is an answer that the schema lacks. */
export function judge<Value>(known: Known<Value>, answer: (value: NonNullable<Value>) => Verdict): Verdict {
  if ('value' in known) return known.value === null || known.value === undefined ? UNKNOWN : answer(known.value);
  if ('unanswered' in known || lacksConnection(known.error)) return UNKNOWN;
  return { ...UNKNOWN, issues: [issueOf(known.error)] };
}

/** A figure and its bound; null is no bound. */
export const exceeds = (figure: number, bound: number | null): boolean => bound !== null && figure > bound;

/** How a verdict stands in the report. */
export function statusOf({ status, issues }: Verdict): HealthStatus | 'unknown' {
  if (issues.some(({ severity }) => severity === 'fail')) return 'fail';
  return issues.length > 0 ? 'warn' : (status ?? 'pass');
}

export type Verdicts = Readonly<Record<HealthCheckName, Verdict>>;

const UNITS = [
  [DAY_MS, 'days'],
  [HOUR_MS, 'hours'],
  [MINUTE_MS, 'minutes'],
] as const;

/** A duration in words: the largest unit of which there are at least two. */
export function inWords(milliseconds: number): string {
  const [size, unit] = UNITS.find(([least]) => milliseconds >= 2 * least) ?? [1_000, 'seconds'];
  return `${Math.floor(milliseconds / size)} ${unit}`;
}

/** A part in words. */
export const percent = (part: number): string => `${Math.round(part * 1000) / 10} %`;

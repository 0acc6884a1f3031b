/** Verdicts of checks, and the rule that a missing answer is unknown. Pure. */
import { DatabaseError, type ErrorCode } from '../errors.ts';
import { DAY_MS, HOUR_MS } from '../values/intervals.ts';
import type { Answer } from './deadline.ts';
import { type HealthStatus, type Issue, issueOf, worst } from './issue.ts';

/** The observation and the issues of one check; without a status and issues it passed. */
export interface Verdict<Code extends string> {
  readonly status?: 'unknown';
  readonly observed: number | string | null;
  readonly issues: readonly Issue<Code>[];
}

export const UNKNOWN: Verdict<never> = { status: 'unknown', observed: null, issues: [] };

export const pass = (observed: number | string | null): Verdict<never> => ({ observed, issues: [] });

export const found = <Code extends string>(
  observed: number | string | null,
  ...issues: readonly Issue<Code>[]
): Verdict<Code> => ({ observed, issues });

/** Codes about connections, which have their own checks; they say nothing about the question. */
const OF_THE_CONNECTIONS: ReadonlySet<string> = new Set([
  'CATALOG_CLOSED',
  'CATALOG_POOL_EXHAUSTED',
  'CATALOG_TIMEOUT',
  'CATALOG_CONFLICT',
]);

/** Whether a question failed for lack of a connection. */
export const lacksConnection = (error: unknown): boolean =>
  error instanceof DatabaseError && OF_THE_CONNECTIONS.has(error.code);

/** Judges an answer. No answer, or null from an older schema, is unknown; an error is an issue. */
export function judged<Value, Code extends string = never>(
  answer: Answer<Value>,
  judge: (value: NonNullable<Value>) => Verdict<Code>,
): Verdict<Code | ErrorCode> {
  if ('value' in answer) {
    return answer.value === null || answer.value === undefined ? UNKNOWN : judge(answer.value);
  }
  if ('unanswered' in answer || lacksConnection(answer.error)) return UNKNOWN;
  return { ...UNKNOWN, issues: [issueOf(answer.error)] };
}

/** A figure and its threshold; null means no threshold. */
export const exceeds = (figure: number, threshold: number | null): boolean => threshold !== null && figure > threshold;

/** The status of a verdict in the report. */
export function statusOf({ status, issues }: Verdict<string>): HealthStatus | 'unknown' {
  return issues.length === 0 && status !== undefined ? status : worst(issues);
}

const MINUTE_MS = 60_000;
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

/** A fraction with four decimals. */
export const rounded = (part: number): number => Math.round(part * 10_000) / 10_000 + 0; // -0 is 0

/** A fraction as a percentage. */
export const percent = (part: number): string => `${Math.round(part * 1000) / 10} %`;

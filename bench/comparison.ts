/** What two libraries' rounds say about each other, figure by figure. Pure. */
import { type Summary, summary } from './statistics.ts';

/** The rounds of one figure, of both libraries in the same order: rounds of the same place ran next to each other. */
export interface PairedRounds {
  readonly suite: string;
  readonly name: string;
  readonly unit: string;
  readonly now: readonly number[];
  readonly beside: readonly number[];
}

/** One line of the comparison. */
export interface Comparison {
  readonly suite: string;
  readonly name: string;
  readonly unit: string;
  readonly now: Summary;
  readonly beside: Summary;
  /** How many times the other library's figure this one's is, round by round. */
  readonly ratio: Summary;
  /** `better` or `worse` where no round of one is as good as any of the other; null where some are, or it cannot be told. */
  readonly verdict: 'better' | 'worse' | null;
}

const LESS_IS_BETTER: ReadonlySet<string> = new Set(['us', 'ms', 's', 'MB']);
const MORE_IS_BETTER: ReadonlySet<string> = new Set(['/s']);
const LEAST_ROUNDS = 3; // two rounds of each lie apart by chance one time in three

// An event loop that was not late at all is 0 ms late in both: the same, and no division by zero.
const times = (now: number, beside: number) => (now === beside ? 1 : now / beside);

function verdictOf(unit: string, now: Summary, beside: Summary): Comparison['verdict'] {
  const [isLess, isMore] = [now.high < beside.low, now.low > beside.high];
  if ((LESS_IS_BETTER.has(unit) && isLess) || (MORE_IS_BETTER.has(unit) && isMore)) return 'better';
  if ((LESS_IS_BETTER.has(unit) && isMore) || (MORE_IS_BETTER.has(unit) && isLess)) return 'worse';
  return null;
}

/** Compares the rounds of one figure. @throws {RangeError} when one library has more rounds than the other */
export function compare({ suite, name, unit, now, beside }: PairedRounds): Comparison {
  if (now.length !== beside.length) {
    throw new RangeError(`${suite}: ${name} has ${now.length} rounds of one library and ${beside.length} of the other`);
  }
  const [ours, theirs] = [summary(now), summary(beside)];
  const ratio = summary(now.map((figure, round) => times(figure, beside[round] ?? Number.NaN)));
  const verdict = now.length < LEAST_ROUNDS ? null : verdictOf(unit, ours, theirs);
  return { suite, name, unit, now: ours, beside: theirs, ratio, verdict };
}

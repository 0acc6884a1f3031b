/** Compares the rounds of two libraries, figure by figure. Pure. */
import { type Summary, summary } from './statistics.ts';

/** The rounds of one figure for both libraries: rounds at the same place ran next to each other. */
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
  /** This library's figure divided by the other's, round by round. */
  readonly ratio: Summary;
  /** `better` or `worse` if every round of one beats every round of the other; null if not, or if unknown. */
  readonly verdict: 'better' | 'worse' | null;
}

const LESS_IS_BETTER: ReadonlySet<string> = new Set(['us', 'ms', 's', 'MB']);
const MORE_IS_BETTER: ReadonlySet<string> = new Set(['/s']);
const LEAST_ROUNDS = 3; // with two rounds each, all of one beat all of the other by chance one time in three

// If the event loop is 0 ms late in both, they are equal; this avoids a division by zero.
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

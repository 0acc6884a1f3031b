/**
 * Which versions of a file a retention policy keeps, and why: applies the rules of lib/values/retention.ts to each
 * file. Pure: no clock, no database.
 */
import { checkObject, isAbsent, refuse } from '../validation.ts';
import {
  applyRules,
  COUNTING_KEYS,
  type CountingKey,
  countsIn,
  hasCount,
  MAX_SPAN_MS,
  parseSpan,
  type Rules,
  reasonsIn,
  refuseEmpty,
  type Span,
} from '../values/retention.ts';

/**
 * Which versions to keep; a version stays if any rule keeps it. The counting rules go from the newest version to the
 * oldest and keep the newest of each hour, day, ISO week (from Monday), month or year that has any, up to their number;
 * if they find fewer, they also keep the oldest version. 0 turns a rule off, -1 keeps all, as in restic. Versions dated
 * in the future stay and count for no rule.
 */
export interface RetentionPolicy {
  /** The newest versions, this many. */
  readonly keepLast?: number | null | undefined;
  readonly keepHourly?: number | null | undefined;
  readonly keepDaily?: number | null | undefined;
  readonly keepWeekly?: number | null | undefined;
  readonly keepMonthly?: number | null | undefined;
  readonly keepYearly?: number | null | undefined;
  /**
   * Every version younger than this, measured from the file's newest version that is not in the future: milliseconds,
   * or restic's form, such as `1y5m7d2h` (years, months, days, hours).
   */
  readonly keepWithin?: number | string | null | undefined;
}

/** A checked policy for a procedure. */
export type CheckedPolicy = Rules;

/** The part of a version that a policy uses. */
export interface DatedVersion {
  readonly versionNumber: number;
  /** Milliseconds since 1970; null if the stored date is invalid. */
  readonly created: number | null;
  readonly isActive: boolean;
}

const POLICY_KEYS: ReadonlySet<string> = new Set<CountingKey | 'keepWithin'>([...COUNTING_KEYS, 'keepWithin']);

function checkWithin(value: unknown): Span | null {
  if (isAbsent(value)) return null;
  const accepted = `milliseconds, 0 to ${MAX_SPAN_MS}, or a text such as '1y5m7d2h' (years, months, days, hours)`;
  const isNumber = typeof value === 'number' && value >= 0 && value <= MAX_SPAN_MS;
  const span = isNumber ? { years: 0, months: 0, days: 0, milliseconds: value } : parseSpan(String(value));
  if (span === undefined || !['number', 'string'].includes(typeof value)) return refuse('keepWithin', value, accepted);
  return Object.values(span).every((amount) => amount === 0) ? null : span;
}

/**
 * The checked form of a policy.
 * @throws {ValidationError} for an unknown key, an unacceptable value, or a policy without rules
 */
export function checkPolicy(policy: RetentionPolicy): CheckedPolicy {
  const given = checkObject(policy, 'policy', POLICY_KEYS);
  const counts = countsIn(given);
  const within = checkWithin(given['keepWithin']);
  return within !== null || hasCount(counts) ? { counts, within } : refuseEmpty(POLICY_KEYS);
}

/** The reasons in a number from {@link applyPolicy}. */
export function reasonsOf(mask: number, { keepWithin }: RetentionPolicy): string[] {
  const span = typeof keepWithin === 'number' ? `${keepWithin} ms` : keepWithin;
  return reasonsIn(mask, { pinned: 'active', within: `within ${span}` });
}

/**
 * Why each version is kept, as a number for {@link reasonsOf}; 0 if it is not. The active version is always kept.
 * @param at milliseconds since 1970
 */
export const applyPolicy = (versions: readonly DatedVersion[], policy: CheckedPolicy, at: number): number[] =>
  applyRules(
    versions.map(({ versionNumber, created, isActive }) => ({
      instant: created,
      rank: versionNumber,
      pinned: isActive,
    })),
    policy,
    at,
  );

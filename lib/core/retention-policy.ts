/**
 * Which versions of one file a retention policy keeps, and why. The rules are those of restic's `forget`
 * (https://restic.readthedocs.io/en/stable/060_forget.html; ApplyPolicy in restic's snapshot_policy.go), applied to each
 * file by itself, in UTC. Pure: no clock, no database.
 */
import { ValidationError } from '../errors.ts';
import { checkInteger, checkObject, isAbsent, refuse } from '../validation.ts';

/**
 * Which versions to keep; one that any rule keeps stays. The rules that count go from the newest version to the oldest
 * and keep the newest of each hour, day, ISO week (from Monday), month or year that has any, so many times; where
 * fewer are found, the oldest version is kept as well. 0 is no rule, -1 keeps all, as in restic.
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
   * Every version less old than this, counted from the file's newest version that is not in the future: milliseconds,
   * or restic's form, such as `1y5m7d2h` (years, months, days, hours).
   */
  readonly keepWithin?: number | string | null | undefined;
}

/** A span of time by the calendar. */
interface Span {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly milliseconds: number;
}

/** A checked policy on its way into a procedure. */
export interface CheckedPolicy {
  /** In the order of {@link RULES}. */
  readonly counts: readonly number[];
  readonly within: Span | null;
}

/** What a policy needs to know of a version. */
export interface DatedVersion {
  readonly versionNumber: number;
  /** Milliseconds since 1970; null where the stored text is no date. */
  readonly created: number | null;
  readonly isActive: boolean;
}

const MS_PER_HOUR = 3_600_000;
const MS_PER_DAY = 24 * MS_PER_HOUR;
const DAYS_PER_WEEK = 7;
const MONDAY_OFFSET = 3; // 1 January 1970 was a Thursday
const MONTHS_PER_YEAR = 12;
const KEEP_ALL = -1;
const MAX_COUNT = 2 ** 31 - 1;
const MAX_SPAN_MS = 100_000 * 365 * MS_PER_DAY; // like five digits of years, within what a Date can hold

/** The rules that count: two versions of one bucket follow each other in time. */
const RULES: readonly { readonly key: keyof RetentionPolicy; readonly name: string; bucket(ms: number): unknown }[] = [
  { key: 'keepLast', name: 'last', bucket: () => Symbol('each its own') },
  { key: 'keepHourly', name: 'hourly', bucket: (ms) => Math.floor(ms / MS_PER_HOUR) },
  { key: 'keepDaily', name: 'daily', bucket: (ms) => Math.floor(ms / MS_PER_DAY) },
  {
    key: 'keepWeekly',
    name: 'weekly',
    bucket: (ms) => Math.floor((Math.floor(ms / MS_PER_DAY) + MONDAY_OFFSET) / DAYS_PER_WEEK),
  },
  {
    key: 'keepMonthly',
    name: 'monthly',
    bucket: (ms) => new Date(ms).getUTCFullYear() * MONTHS_PER_YEAR + new Date(ms).getUTCMonth(),
  },
  { key: 'keepYearly', name: 'yearly', bucket: (ms) => new Date(ms).getUTCFullYear() },
];

const POLICY_KEYS: ReadonlySet<string> = new Set([...RULES.map(({ key }) => key), 'keepWithin']);

// What is kept carries its reasons as the bits of one number, which is all that crosses the thread for each version.
const REASONS = ['active', 'no date', 'within', ...RULES.map(({ name }) => name), ...RULES.map(oldest)];
const ACTIVE = 1;
const UNDATED = 2;
const WITHIN = 4;
const FIRST_RULE = 3; // place in REASONS

function oldest({ name }: { readonly name: string }): string {
  return `oldest ${name}`;
}

const SPAN = /^(?:\d{1,5}[ymdh])+$/;

function parseSpan(text: string): Span | undefined {
  if (!SPAN.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+)([ymdh])/g)].map(([, amount, unit]) => [unit, Number(amount)] as const);
  const amounts = new Map(parts);
  if (amounts.size < parts.length) return undefined; // a unit given twice
  const of = (unit: string) => amounts.get(unit) ?? 0;
  return { years: of('y'), months: of('m'), days: of('d'), milliseconds: of('h') * MS_PER_HOUR };
}

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
 * @throws {ValidationError} for an unknown key, a value not accepted, or a policy without any rule
 */
export function checkPolicy(policy: RetentionPolicy): CheckedPolicy {
  const given = checkObject(policy, 'policy', POLICY_KEYS);
  const countOf = (key: string) => (isAbsent(given[key]) ? 0 : checkInteger(given[key], key, KEEP_ALL, MAX_COUNT));
  const counts = RULES.map(({ key }) => countOf(key));
  const within = checkWithin(given['keepWithin']);
  if (within !== null || counts.some((count) => count !== 0)) return { counts, within };
  const accepted = `at least one of ${[...POLICY_KEYS].join(', ')}`;
  throw new ValidationError({ field: 'policy', received: 'an empty policy', accepted });
}

/** The reasons behind a number that {@link applyPolicy} gave. */
export function reasonsOf(mask: number, { keepWithin }: RetentionPolicy): string[] {
  const found = REASONS.filter((_, bit) => (mask & (1 << bit)) !== 0);
  const span = typeof keepWithin === 'number' ? `${keepWithin} ms` : keepWithin;
  return found.map((reason) => (reason === 'within' ? `within ${span}` : reason));
}

/** Days, months and years are taken off at once and what overflows is carried, as Go's AddDate does. */
function spanBefore(instant: number, { years, months, days, milliseconds }: Span): number {
  const date = new Date(instant);
  date.setUTCFullYear(date.getUTCFullYear() - years, date.getUTCMonth() - months, date.getUTCDate() - days);
  return date.getTime() - milliseconds;
}

interface Ranked {
  readonly created: number;
  /** Place in the list that was given. */
  readonly place: number;
}

const isDated = (ranked: { created: number | null; place: number }): ranked is Ranked => ranked.created !== null;

function markWithin(ranked: readonly Ranked[], within: Span, at: number, masks: number[]): void {
  const newest = ranked.find(({ created }) => created <= at)?.created;
  const limit = newest === undefined ? Number.NEGATIVE_INFINITY : spanBefore(newest, within);
  for (const { created, place } of ranked) if (created > limit) mark(masks, place, WITHIN);
}

function markRule(ranked: readonly Ranked[], rule: number, count: number, masks: number[]): void {
  let left = count;
  let previous: unknown;
  for (const [rank, { created, place }] of ranked.entries()) {
    if (left === 0) return;
    const bucket = RULES[rule]?.bucket(created);
    const isNew = bucket !== previous;
    if (!isNew && rank < ranked.length - 1) continue;
    mark(masks, place, 1 << (FIRST_RULE + rule + (isNew ? 0 : RULES.length)));
    previous = bucket;
    left -= 1; // from -1 it never comes to 0
  }
}

const mark = (masks: number[], place: number, bits: number) => {
  masks[place] = (masks[place] ?? 0) | bits;
};

/**
 * Why each version is kept, as a number for {@link reasonsOf}; 0 where it is not. The active version always is, in
 * addition, and so is one whose date cannot be read; that one counts for no rule.
 * @param at milliseconds since 1970; versions after it do not count as the newest for `keepWithin`
 */
export function applyPolicy(
  versions: readonly DatedVersion[],
  { counts, within }: CheckedPolicy,
  at: number,
): number[] {
  const masks = versions.map(({ isActive, created }) => (isActive ? ACTIVE : 0) | (created === null ? UNDATED : 0));
  const numberOf = ({ place }: Ranked) => versions[place]?.versionNumber ?? 0;
  const ranked = versions
    .map(({ created }, place) => ({ created, place }))
    .filter(isDated)
    .sort((a, b) => b.created - a.created || numberOf(b) - numberOf(a));
  if (within !== null) markWithin(ranked, within, at, masks);
  for (const [rule, count] of counts.entries()) markRule(ranked, rule, count, masks);
  return masks;
}

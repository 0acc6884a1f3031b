/**
 * The rules of retention, for anything with a date: versions of a file, backups of a catalogue. They are those of
 * restic's `forget` (https://restic.readthedocs.io/en/stable/060_forget.html; ApplyPolicy in restic's
 * snapshot_policy.go), in UTC. One difference: items dated in the future stay and count for no rule; otherwise a clock
 * that ran ahead would make the rules remove everything made since. Pure: no clock, no database.
 */
import { ValidationError } from '../errors.ts';
import { checkInteger, isAbsent } from '../validation.ts';
import { DAY_MS, HOUR_MS } from './intervals.ts';

/** The part of an item that the rules use. */
export interface DatedItem {
  /** Milliseconds since 1970; null if the date is unreadable. */
  readonly instant: number | null;
  /** Of two items with the same time, the one with the higher rank is newer. */
  readonly rank: number;
  /** Whether it stays regardless of the rules. It still counts for them. */
  readonly pinned: boolean;
}

/** A span of time by the calendar. */
export interface Span {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly milliseconds: number;
}

/** Rules that were checked. */
export interface Rules {
  /** How many items each counting rule keeps; 0 turns the rule off, -1 keeps all. */
  readonly counts: readonly number[];
  /** The maximum age of kept items, relative to the newest item. */
  readonly within: Span | null;
}

const DAYS_PER_WEEK = 7;
const MONDAY_OFFSET = 3; // 1 January 1970 was a Thursday
const MONTHS_PER_YEAR = 12;
const KEEP_ALL = -1;

/** The highest count of a rule. */
export const MAX_COUNT = 2 ** 31 - 1;

/** The longest span: five digits of years, within the range of Date. */
export const MAX_SPAN_MS = 100_000 * 365 * DAY_MS;

/** The counting rules. Items of one bucket are adjacent once sorted by time. */
const COUNTING = [
  { key: 'keepLast', name: 'last', bucket: () => Symbol('each its own') },
  { key: 'keepHourly', name: 'hourly', bucket: (ms: number) => Math.floor(ms / HOUR_MS) },
  { key: 'keepDaily', name: 'daily', bucket: (ms: number) => Math.floor(ms / DAY_MS) },
  {
    key: 'keepWeekly',
    name: 'weekly',
    bucket: (ms: number) => Math.floor((Math.floor(ms / DAY_MS) + MONDAY_OFFSET) / DAYS_PER_WEEK),
  },
  {
    key: 'keepMonthly',
    name: 'monthly',
    bucket: (ms: number) => new Date(ms).getUTCFullYear() * MONTHS_PER_YEAR + new Date(ms).getUTCMonth(),
  },
  { key: 'keepYearly', name: 'yearly', bucket: (ms: number) => new Date(ms).getUTCFullYear() },
] as const;

/** The policy keys of the counting rules. */
export type CountingKey = (typeof COUNTING)[number]['key'];

export const COUNTING_KEYS: readonly CountingKey[] = COUNTING.map(({ key }) => key);

/** The counts of a policy whose keys were checked. @throws {ValidationError} for an unacceptable count */
export const countsIn = (given: Readonly<Record<string, unknown>>): number[] =>
  COUNTING_KEYS.map((key) => (isAbsent(given[key]) ? 0 : checkInteger(given[key], key, KEEP_ALL, MAX_COUNT)));

export const hasCount = (counts: readonly number[]): boolean => counts.some((count) => count !== 0);

/** @throws {ValidationError} always: the policy has no rule */
export function refuseEmpty(keys: Iterable<string>): never {
  const accepted = `at least one of ${[...keys].join(', ')}`;
  throw new ValidationError({ field: 'policy', received: 'an empty policy', accepted });
}

// The reasons of an item are the bits of one number, so that only a number per item crosses the thread.
const REASONS = [
  'pinned',
  'no date',
  'in the future',
  'within',
  ...COUNTING.map(({ name }) => name),
  ...COUNTING.map(({ name }) => `oldest ${name}`),
];
const PINNED = 1;
const UNDATED = 2;
const FUTURE = 4;
const WITHIN = 8;
const FIRST_RULE = 4; // place in REASONS

/** The reasons in a number from {@link applyRules}; the caller provides the words for two of them. */
export function reasonsIn(mask: number, words: { readonly pinned: string; readonly within?: string }): string[] {
  const own: Readonly<Record<string, string | undefined>> = words;
  return REASONS.filter((_, bit) => (mask & (1 << bit)) !== 0).map((reason) => own[reason] ?? reason);
}

const SPAN = /^(?:\d{1,5}[ymdh])+$/;

/** Reads a span such as `1y5m7d2h`: years, months, days, hours; undefined for anything else. */
export function parseSpan(text: string): Span | undefined {
  if (!SPAN.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+)([ymdh])/g)].map(([, amount, unit]) => [unit, Number(amount)] as const);
  const amounts = new Map(parts);
  if (amounts.size < parts.length) return undefined; // a unit given twice
  const of = (unit: string) => amounts.get(unit) ?? 0;
  return { years: of('y'), months: of('m'), days: of('d'), milliseconds: of('h') * HOUR_MS };
}

/** Subtracts days, months and years together and normalises the overflow, like Go's AddDate. */
function spanBefore(instant: number, { years, months, days, milliseconds }: Span): number {
  const date = new Date(instant);
  date.setUTCFullYear(date.getUTCFullYear() - years, date.getUTCMonth() - months, date.getUTCDate() - days);
  return date.getTime() - milliseconds;
}

interface Ranked {
  readonly instant: number;
  readonly rank: number;
  /** Index in the given list. */
  readonly place: number;
}

const mark = (masks: number[], place: number, bits: number) => {
  masks[place] = (masks[place] ?? 0) | bits;
};

function markWithin(ranked: readonly Ranked[], within: Span, masks: number[]): void {
  const [newest] = ranked;
  if (newest === undefined) return;
  const limit = spanBefore(newest.instant, within);
  for (const { instant, place } of ranked) if (instant > limit) mark(masks, place, WITHIN);
}

function markRule(ranked: readonly Ranked[], rule: number, count: number, masks: number[]): void {
  let left = count;
  let previous: unknown;
  for (const [place, item] of ranked.entries()) {
    if (left === 0) return;
    const bucket = COUNTING[rule]?.bucket(item.instant);
    const isNew = bucket !== previous;
    const isOldest = place === ranked.length - 1;
    if (!isNew && !isOldest) continue;
    mark(masks, item.place, 1 << (FIRST_RULE + rule + (isNew ? 0 : COUNTING.length)));
    previous = bucket;
    left -= 1; // counting down from -1 never reaches 0
  }
}

const isDated = <Item extends DatedItem>(item: Item): item is Item & Ranked => item.instant !== null;

/**
 * Why each item stays, as a number for {@link reasonsIn}; 0 if it goes. Items with an unreadable date, or one in the
 * future, stay and count for no rule.
 * @param at the current time in milliseconds since 1970
 */
export function applyRules(items: readonly DatedItem[], { counts, within }: Rules, at: number): number[] {
  const masks = items.map(({ pinned, instant }) => {
    const undated = instant === null ? UNDATED : 0;
    const future = instant !== null && instant > at ? FUTURE : 0;
    return (pinned ? PINNED : 0) | undated | future;
  });
  const ranked = items
    .map((item, place) => ({ ...item, place }))
    .filter(isDated)
    .filter(({ instant }) => instant <= at)
    .sort((a, b) => b.instant - a.instant || b.rank - a.rank);
  if (within !== null) markWithin(ranked, within, masks);
  for (const [rule, count] of counts.entries()) markRule(ranked, rule, count, masks);
  return masks;
}

/**
 * The rules of retention, for whatever has a date: versions of a file, backups of a catalogue. They are those of restic's
 * `forget` (https://restic.readthedocs.io/en/stable/060_forget.html; ApplyPolicy in restic's snapshot_policy.go), in UTC.
 * One thing differs: what is dated in the future stays and fills no rule, as a clock that ran ahead would otherwise let the
 * rules remove everything made since. Pure: no clock, no database.
 */
import { ValidationError } from '../errors.ts';
import { checkInteger, isAbsent } from '../validation.ts';
import { DAY_MS, HOUR_MS } from './intervals.ts';

/** What the rules need to know of an item. */
export interface DatedItem {
  /** Milliseconds since 1970; null where the date cannot be read. */
  readonly instant: number | null;
  /** Of two items of one instant, the one with the higher rank is the newer. */
  readonly rank: number;
  /** Whether it stays whatever the rules say. It counts for them all the same. */
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
  /** How many items each rule that counts may keep; 0 is no rule, -1 keeps all. */
  readonly counts: readonly number[];
  /** How much older than the newest item a kept one may be. */
  readonly within: Span | null;
}

const DAYS_PER_WEEK = 7;
const MONDAY_OFFSET = 3; // 1 January 1970 was a Thursday
const MONTHS_PER_YEAR = 12;
const KEEP_ALL = -1;

/** The most a rule can count to. */
export const MAX_COUNT = 2 ** 31 - 1;

/** The longest span: like five digits of years, within what a Date can hold. */
export const MAX_SPAN_MS = 100_000 * 365 * DAY_MS;

/** The rules that count. Two items in one bucket stand side by side once the items are sorted by time. */
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

/** The keys of the rules that count, as a policy has them. */
export type CountingKey = (typeof COUNTING)[number]['key'];

export const COUNTING_KEYS: readonly CountingKey[] = COUNTING.map(({ key }) => key);

/** The counts in a policy, whose keys were checked. @throws {ValidationError} for one that is not accepted */
export const countsIn = (given: Readonly<Record<string, unknown>>): number[] =>
  COUNTING_KEYS.map((key) => (isAbsent(given[key]) ? 0 : checkInteger(given[key], key, KEEP_ALL, MAX_COUNT)));

export const hasCount = (counts: readonly number[]): boolean => counts.some((count) => count !== 0);

/** @throws {ValidationError} always: the policy has none of the rules that it may have */
export function refuseEmpty(keys: Iterable<string>): never {
  const accepted = `at least one of ${[...keys].join(', ')}`;
  throw new ValidationError({ field: 'policy', received: 'an empty policy', accepted });
}

// The reasons of an item are the bits of one number, which is all that crosses the thread for each.
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

/** The reasons behind a number that {@link applyRules} gave, in the caller's words for the two that are the caller's. */
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

/** Days, months and years are taken off at once and what overflows is carried, as Go's AddDate does. */
function spanBefore(instant: number, { years, months, days, milliseconds }: Span): number {
  const date = new Date(instant);
  date.setUTCFullYear(date.getUTCFullYear() - years, date.getUTCMonth() - months, date.getUTCDate() - days);
  return date.getTime() - milliseconds;
}

interface Ranked {
  readonly instant: number;
  readonly rank: number;
  /** Place in the list that was given. */
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
    left -= 1; // from -1 it never comes to 0
  }
}

const isDated = <Item extends DatedItem>(item: Item): item is Item & Ranked => item.instant !== null;

/**
 * Why each item stays, as a number for {@link reasonsIn}; 0 where it does not. What has no readable date, or one in the
 * future, stays and counts for no rule.
 * @param at milliseconds since 1970; what is later is in the future
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

/**
 * The retention rules a second time, from restic's manual and not from our code: ISO texts and sets instead of one walk
 * over numbers. Knows spans of hours alone. What is dated in the future stays, and the rules do not see it.
 */
import type { RetentionPolicy } from '../lib/index.ts';

/** A version as the model sees it. */
export interface ModelDate {
  readonly iso: string;
  readonly isActive: boolean;
}

/** The ISO week of a day, by the Thursday of that week. */
function weekOf(iso: string): string {
  const day = new Date(`${iso.slice(0, 10)}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() + 4 - (day.getUTCDay() || 7));
  const year = day.getUTCFullYear();
  return `${year}-${Math.ceil(((day.getTime() - Date.UTC(year, 0, 1)) / 86_400_000 + 1) / 7)}`;
}

const PERIODS: readonly [keyof RetentionPolicy, name: string, period: (iso: string, place: number) => string][] = [
  ['keepLast', 'last', (_, place) => String(place)],
  ['keepHourly', 'hourly', (iso) => iso.slice(0, 13)],
  ['keepDaily', 'daily', (iso) => iso.slice(0, 10)],
  ['keepWeekly', 'weekly', weekOf],
  ['keepMonthly', 'monthly', (iso) => iso.slice(0, 7)],
  ['keepYearly', 'yearly', (iso) => iso.slice(0, 4)],
];

/** For each version, newest first, why it stays at an instant; none for one that goes. */
export function expectedReasons(policy: RetentionPolicy, newestFirst: readonly ModelDate[], at: string): string[][] {
  const present = newestFirst.findIndex(({ iso }) => iso <= at);
  const future = newestFirst.slice(0, present === -1 ? newestFirst.length : present);
  return [
    ...future.map(({ isActive }) => (isActive ? ['active', 'in the future'] : ['in the future'])),
    ...reasonsOfPresent(policy, newestFirst.slice(future.length)),
  ];
}

function reasonsOfPresent(policy: RetentionPolicy, newestFirst: readonly ModelDate[]): string[][] {
  const reasons = newestFirst.map(({ isActive }): string[] => (isActive ? ['active'] : []));
  const hours = Number.parseInt(String(policy.keepWithin ?? '0h'), 10);
  const limit = Date.parse(newestFirst[0]?.iso ?? '') - hours * 3_600_000;
  for (const [place, { iso }] of newestFirst.entries()) {
    if (hours > 0 && Date.parse(iso) > limit) reasons[place]?.push(`within ${policy.keepWithin}`);
  }
  const last = newestFirst.length - 1;
  const oldest: string[] = [];
  for (const [key, name, period] of PERIODS) {
    const wanted = policy[key] === -1 ? Number.POSITIVE_INFINITY : Number(policy[key] ?? 0);
    const periods = newestFirst.map(({ iso }, place) => period(iso, place));
    const firsts = [...new Set(periods)].slice(0, wanted).map((found) => periods.indexOf(found));
    for (const place of firsts) reasons[place]?.push(name);
    if (firsts.length < wanted && !firsts.includes(last)) oldest.push(`oldest ${name}`);
  }
  reasons[last]?.push(...oldest);
  return reasons;
}

/** Daily growth of the catalogue, and when it reaches a limit. Days are UTC, without gaps. */
import { DAY_MS } from '../values/intervals.ts';
import type { ClientTotals } from './client-totals.ts';
import { daysUntil, fitLine, type Line, type Point } from './forecast.ts';
import type { DaySizes, DayTotals } from './series-procedures.ts';

/** Totals at the end of a day; the database and its disk only if measured that day. */
export interface GrowthDay extends DayTotals {
  readonly databaseBytes: number | null;
  readonly freeDiskBytes: number | null;
}

/** When something will be full, by a straight line through the known days. Sizes in bytes. */
export interface Forecast {
  /** Null for the disk. */
  readonly clientId: string | null;
  /** Null for a client without a limit, and for the disk. */
  readonly limitBytes: number | null;
  /** Stored by the client now; free on the disk when last measured. */
  readonly presentBytes: number | null;
  /** What is added a day; null with fewer than two days. */
  readonly bytesPerDay: number | null;
  /** Standard error of `bytesPerDay`; null with fewer than three days. */
  readonly bytesPerDayError: number | null;
  /** The root of the mean squared distance of the days from the line. */
  readonly residualBytes: number | null;
  /** Number of days behind the line. */
  readonly days: number;
  /** Days from now; 0 if it is full, null if never or unknown. */
  readonly daysLeft: number | null;
  /** The UTC day it will be full, as `YYYY-MM-DD`. */
  readonly fullAt: string | null;
}

/** The UTC day `days` after a day; both as `YYYY-MM-DD`. */
export const addDays = (date: string, days: number): string =>
  new Date(Date.parse(date) + days * DAY_MS).toISOString().slice(0, 10);

/** Every UTC day from one to another, both included. */
export const eachDay = (from: string, to: string): string[] => {
  const count = Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS) + 1;
  return Array.from({ length: Math.max(0, count) }, (_, n) => addDays(from, n));
};

/** The totals of all clients at the end of each day; a client's last known ones hold until it changes. */
export function growthDays(
  days: readonly string[],
  changes: readonly (DayTotals & { readonly clientId: string })[],
  sizes: readonly DaySizes[],
): GrowthDay[] {
  const latest = new Map<string, DayTotals>();
  const measured = new Map(sizes.map((size) => [size.date, size]));
  let next = 0;
  return days.map((date) => {
    for (let change = changes[next]; change !== undefined && change.date <= date; change = changes[++next]) {
      latest.set(change.clientId, change);
    }
    const sum = (key: 'files' | 'bytes' | 'usedBytes') =>
      [...latest.values()].reduce((total, totals) => total + totals[key], 0);
    const { databaseBytes = null, freeDiskBytes = null } = measured.get(date) ?? {};
    return {
      date,
      files: sum('files'),
      bytes: sum('bytes'),
      usedBytes: sum('usedBytes'),
      databaseBytes,
      freeDiskBytes,
    };
  });
}

interface Target {
  readonly clientId: string | null;
  readonly limitBytes: number | null;
  readonly presentBytes: number | null;
}

/** A full store is full, whatever the line says. */
function daysToLimit(points: readonly Point[], line: Line | null, limit: number, today: string): number | null {
  const last = points.at(-1);
  if (last !== undefined && last.value >= limit) return 0;
  return line === null ? null : daysUntil(line, limit, Date.parse(today) / DAY_MS);
}

/** @param points the use by day; `limit` is in the same unit, null for none */
function forecast(target: Target, points: readonly Point[], limit: number | null, today: string): Forecast {
  const line = fitLine(points);
  const daysLeft = limit === null ? null : daysToLimit(points, line, limit, today);
  const isFar = daysLeft !== null && daysLeft > MAX_DAYS;
  return {
    ...target,
    bytesPerDay: line?.slope ?? null,
    bytesPerDayError: line?.slopeError ?? null,
    residualBytes: line?.residual ?? null,
    days: points.length,
    daysLeft: isFar ? null : daysLeft,
    fullAt: daysLeft === null || isFar ? null : addDays(today, Math.floor(daysLeft)),
  };
}

const MAX_DAYS = 36_500; // a hundred years: further away is never

const dayNumber = (date: string) => Date.parse(date) / DAY_MS;

/** When a client's quota will be full; `days` begin with the first day it stored anything. */
export function forecastQuota(client: ClientTotals, days: readonly DayTotals[], today: string): Forecast {
  const { clientId, quotaBytes, usedBytes } = client;
  const points = days.map(({ date, usedBytes: value }) => ({ day: dayNumber(date), value }));
  return forecast({ clientId, limitBytes: quotaBytes, presentBytes: usedBytes }, points, quotaBytes, today);
}

/** When the disk of the database will be full: when the line through its free bytes reaches 0. */
export function forecastDisk(sizes: readonly DaySizes[], today: string): Forecast {
  const points = sizes.map(({ date, freeDiskBytes }) => ({ day: dayNumber(date), value: -freeDiskBytes }));
  const target = { clientId: null, limitBytes: null, presentBytes: sizes.at(-1)?.freeDiskBytes ?? null };
  return forecast(target, points, 0, today);
}

/**
 * Dates: a `Date` or an ISO 8601 text in, `YYYY-MM-DDTHH:MM:SS.sssZ` out. Text without a time zone is UTC, so that a
 * call means the same instant on every machine.
 */
import { dateOf, refuse } from '../validation.ts';

/** Any accepted form of a date. */
export type DateInput = Date | string;

const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)(Z|[+-]\d{2}:?\d{2})?)?$/i;
export const CANONICAL: RegExp = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const ACCEPTED = 'a valid Date or an ISO 8601 text, years 0000 to 9999';

/** The stored form of an instant; undefined outside the accepted years. */
export function canonical(date: Date): string | undefined {
  const text = Number.isNaN(date.getTime()) ? '' : date.toISOString();
  return CANONICAL.test(text) ? text : undefined;
}

const daysInMonth = (year: number, month: number) => new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();

function parseIso(text: string): Date | undefined {
  const [, year, month, day, time = '00:00', zone = 'Z'] = ISO.exec(text) ?? [];
  if (year === undefined || month === undefined || day === undefined) return undefined;
  // Date.parse would turn 30 February into 1 or 2 March.
  if (Number(day) > daysInMonth(Number(year), Number(month))) return undefined;
  const offset = zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone.toUpperCase();
  return new Date(`${year}-${month}-${day}T${time.replace(',', '.')}${offset}`);
}

/** The stored form of a date. @throws {ValidationError} for an invalid date */
export function checkDate(value: unknown, field: string): string {
  if (typeof value === 'string' && CANONICAL.test(value) && canonical(new Date(value)) === value) return value;
  const date = typeof value === 'string' ? parseIso(value) : dateOf(value);
  return (date === undefined ? undefined : canonical(date)) ?? refuse(field, value, ACCEPTED);
}

/** An instant for file names that sort by time. */
export const timeName = (date: Date = new Date()): string => date.toISOString().replaceAll(/[-:.]/g, '');

/** The current time in the stored form. */
export const now = (): string => new Date().toISOString();

/** The UTC day of a stored date, as `YYYY-MM-DD`. */
export const dayOf = (date: string): string => date.slice(0, 10);

/** A stored date in the form of results; null if it is unreadable. */
export function dateOut(stored: unknown): string | null {
  if (typeof stored !== 'string') return null;
  if (CANONICAL.test(stored)) return stored;
  const date = parseIso(stored.replace('+00:00Z', 'Z'));
  return date === undefined ? null : (canonical(date) ?? null);
}

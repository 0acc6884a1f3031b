/**
 * Reads the dates that old servers wrote: naive local time, ISO 8601 with the `+00:00Z` of a formatting mistake,
 * slashes, seconds since 1970. A naive time is read in the given IANA zone; a time that a clock change repeated is the
 * first of the two, and a skipped time is read as if the clocks had not changed (PEP 495, fold=0).
 */
import { CANONICAL, canonical } from '../values/dates.ts';
import { DAY_MS, MINUTE_MS } from '../values/intervals.ts';

const NAIVE =
  /^(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d{2}(?::?\d{2})?Z?)?$/i;
const EPOCH = /^-?\d{9,13}(?:\.\d+)?$/;
const MILLISECONDS_FROM = 1e11; // more seconds would be after the year 5000
const SLOT_MS = 15 * MINUTE_MS; // offsets change at multiples of a quarter of an hour
const MAX_SLOTS = 200_000;

/** Milliseconds that turn UTC into a zone's local time. */
class Zone {
  readonly #format: Intl.DateTimeFormat;
  readonly #instants = new Map<number, number>();

  /** @throws {RangeError} for a name that is no zone */
  constructor(name: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
  }

  #offsetAt(instant: number): number {
    const parts = new Map(this.#format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
    const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
    const day = Date.UTC(part('year'), part('month') - 1, part('day'));
    const local = day + ((part('hour') * 60 + part('minute')) * 60 + part('second')) * 1_000;
    return local - Math.floor(instant / 1_000) * 1_000;
  }

  /** The instant of a local time that is given as if it were UTC. */
  instantOf(local: number): number {
    const slot = Math.floor(local / SLOT_MS);
    const known = this.#instants.get(slot);
    const shift = known ?? this.#shiftAt(slot * SLOT_MS);
    if (known === undefined) {
      if (this.#instants.size >= MAX_SLOTS) this.#instants.clear();
      this.#instants.set(slot, shift);
    }
    return local - shift;
  }

  // The offset of the day before comes first: it is right for the first of two repeated times and for skipped times.
  #shiftAt(local: number): number {
    const before = this.#offsetAt(local - DAY_MS);
    const after = this.#offsetAt(local + DAY_MS);
    if (before === after || this.#offsetAt(local - before) === before) return before;
    return this.#offsetAt(local - after) === after ? after : before;
  }
}

const offsetOf = (zone: string): number => {
  const [, sign, hours, minutes = '0'] = /^([+-])(\d{2}):?(\d{2})?/.exec(zone) ?? [];
  return sign === undefined ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * MINUTE_MS;
};

/** The parts of a date as if it were UTC; undefined for a date that does not exist. */
function localOf(parts: readonly (string | undefined)[]): number | undefined {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!isReal || hour > 23 || minute > 59 || second > 59) return undefined;
  const fraction = Number(`0.${parts[7] ?? '0'}`);
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1_000 + Math.floor(fraction * 1_000 + 1e-6);
}

/** Reads legacy dates of one zone. */
export class LegacyDates {
  readonly #zone: Zone;

  /** @throws {RangeError} for a name that is no zone */
  constructor(timeZone: string) {
    this.#zone = new Zone(timeZone);
  }

  /** The date as `YYYY-MM-DDTHH:MM:SS.sssZ`; null if unreadable. */
  read(stored: unknown): string | null {
    if (typeof stored === 'number') return this.read(String(stored));
    if (typeof stored !== 'string') return null;
    if (CANONICAL.test(stored)) return canonical(new Date(stored)) ?? null;
    const text = stored.trim();
    const instant = EPOCH.test(text) ? fromEpoch(Number(text)) : this.#fromParts(NAIVE.exec(text));
    return instant === undefined ? null : (canonical(new Date(instant)) ?? null);
  }

  #fromParts(parts: RegExpExecArray | null): number | undefined {
    const local = parts === null ? undefined : localOf(parts);
    if (local === undefined) return undefined;
    const zone = parts?.[8];
    return zone === undefined ? this.#zone.instantOf(local) : local - offsetOf(zone);
  }
}

const readers = new Map<string, LegacyDates>();

/** The cached reader of a zone, which remembers the zone's offsets. @throws {RangeError} for no zone */
export function legacyDatesOf(timeZone: string): LegacyDates {
  const reader = readers.get(timeZone) ?? new LegacyDates(timeZone);
  readers.set(timeZone, reader);
  return reader;
}

const fromEpoch = (value: number) => (Math.abs(value) >= MILLISECONDS_FROM ? value : value * 1_000);

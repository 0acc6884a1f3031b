/**
 * Checks the arguments of callers before anything is queued. An error names the field, what it received and what it
 * accepts; a valid value is returned in the one form the procedures expect. Messages never show the content of binary
 * values.
 */
import { types } from 'node:util';
import { distance } from 'fastest-levenshtein';
import { ValidationError } from './errors.ts';

const MAX_SHOWN = 60; // characters of a received text in a message

/** Whether a value is a Uint8Array of any realm: test runners have their own, for which `instanceof` is false. */
export const isBytes = (value: unknown): value is Uint8Array => types.isUint8Array(value);

/** A plain Date for a Date of any realm or class; undefined for anything else. */
export const dateOf = (value: unknown): Date | undefined =>
  types.isDate(value) ? new Date(Date.prototype.getTime.call(value)) : undefined;

/** The received value, as a message may show it. */
export function describe(value: unknown): string {
  if (isAbsent(value)) return String(value);
  if (isBytes(value)) return `${value.length} bytes`;
  if (typeof value === 'string') {
    return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
  }
  const date = dateOf(value);
  if (date !== undefined) return Number.isNaN(date.getTime()) ? 'an invalid Date' : date.toISOString();
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' ? 'an object' : `${typeof value} ${String(value)}`;
}

/** @throws {ValidationError} always: the value is not what is accepted */
export function refuse(field: string, value: unknown, accepted: string): never {
  throw new ValidationError({ field, received: describe(value), accepted });
}

/** Like {@link refuse}, but describes the received value in words. */
export function refuseAs(field: string, received: string, accepted: string): never {
  throw new ValidationError({ field, received, accepted });
}

/** Like {@link refuse}, for values that may be keys or bound values: shows neither text nor numbers. */
export function refuseSecret(field: string, value: unknown, accepted: string): never {
  const isShown = isAbsent(value) || typeof value === 'object' || typeof value === 'function';
  const text = typeof value === 'string' ? `a text of ${value.length} characters` : `a ${typeof value}`;
  throw new ValidationError({ field, received: isShown ? describe(value) : text, accepted });
}

/** Whether an optional value was left out; null counts as left out. */
export const isAbsent = (value: unknown): value is null | undefined => value === undefined || value === null;

const LEAST_PART = 3; // shorter parts say nothing: `id` is in half of all words

/**
 * Whether one name may be a misspelling of the other: at most a third of the letters differ, or one contains the other.
 */
function isNear(given: string, name: string, far: number): boolean {
  const [short, long] = given.length < name.length ? [given, name] : [name, given];
  return far * 3 <= long.length || (short.length >= LEAST_PART && long.includes(short));
}

/** The key a person probably meant. */
export function nearest(key: string, known: readonly string[]): string | undefined {
  const given = key.toLowerCase();
  const ranked = known.map((name) => ({ name, far: distance(given, name.toLowerCase()) }));
  return ranked.filter(({ name, far }) => isNear(given, name.toLowerCase(), far)).sort((a, b) => a.far - b.far)[0]
    ?.name;
}

/**
 * An object with known keys only. The `field` of an error is the key as the caller wrote it, with `prefix` in front for
 * nested objects.
 * @throws {ValidationError} when the value is no plain object, or has a key that is not known
 */
export function checkObject(
  value: unknown,
  field: string,
  known: ReadonlySet<string>,
  prefix = '',
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(field, value, 'an object');
  for (const key of keysOf(value)) {
    if (!known.has(key)) throw unknownKey(`${prefix}${key}`, key, [...known]);
  }
  return value as Record<string, unknown>;
}

/** The enumerable keys of an object, symbols as text. */
export function keysOf(value: object): string[] {
  const shown = (key: symbol) => Object.prototype.propertyIsEnumerable.call(value, key);
  const symbols = Object.getOwnPropertySymbols(value).filter(shown);
  return symbols.length === 0 ? Object.keys(value) : [...Object.keys(value), ...symbols.map(String)];
}

/** The error for a misspelt key, naming the nearest known one. */
function unknownKey(field: string, key: string, known: readonly string[]): ValidationError {
  const meant = nearest(key, known);
  const accepted = `one of ${known.join(', ')}`;
  return new ValidationError(
    { field, received: 'an unknown key', accepted },
    meant === undefined ? {} : { hint: `Did you mean ${meant}?` },
  );
}

export interface TextRules {
  readonly min?: number;
  /** Characters (code points). */
  readonly max: number;
  /** Whether the text may be a misplaced key: messages then show none of it. */
  readonly secret?: boolean;
}

// Counting code points is only needed where the cheaper count of UTF-16 units is over the limit.
const isLongerThan = (value: string, max: number) =>
  value.length > max && (value.length > 2 * max || [...value].length > max);

/** A well-formed text without NUL, which SQLite and file systems store unchanged. */
export function checkText(value: unknown, field: string, { min = 1, max, secret = false }: TextRules): string {
  const accepted = `a text of ${min} to ${max} characters without NUL`;
  const no = secret ? refuseSecret : refuse;
  if (typeof value !== 'string' || value.length < min || isLongerThan(value, max)) return no(field, value, accepted);
  if (value.includes('\0')) return refuseAs(field, 'a text with NUL', accepted);
  return value.isWellFormed() ? value : no(field, value, `${accepted} and without lone surrogates`);
}

/** A whole number within bounds. */
export function checkInteger(value: unknown, field: string, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value + 0; // -0 is 0
  return refuse(field, value, `a whole number from ${min} to ${max}`);
}

/** A finite number of at least `min`. */
export function checkNumber(value: unknown, field: string, min: number, max = Number.MAX_VALUE): number {
  if (typeof value === 'number' && value >= min && value <= max) return value + 0; // -0 is 0
  return refuse(
    field,
    value,
    max === Number.MAX_VALUE ? `a number of at least ${min}` : `a number from ${min} to ${max}`,
  );
}

/** true or false. */
export function checkBoolean(value: unknown, field: string): boolean {
  return typeof value === 'boolean' ? value : refuse(field, value, 'true or false');
}

/** A copy of bytes, so that the caller may overwrite the original. */
export function checkBytes(value: unknown, field: string, max: number): Uint8Array {
  const isGood = isBytes(value) && value.length >= 1 && value.length <= max;
  return isGood ? Uint8Array.from(value) : refuseSecret(field, value, `a Uint8Array of 1 to ${max} bytes`);
}

/** A check that lets null and undefined pass as null. */
export function optional<Value>(value: unknown, check: (given: unknown) => Value): Value | null {
  return isAbsent(value) ? null : check(value);
}

const CALL_KEYS = new Set(['signal']);

/** The options every call takes. @throws {ValidationError} for an unknown key or an invalid signal */
export function checkCallOptions(options: unknown): { readonly signal: AbortSignal | undefined } {
  if (options === undefined) return { signal: undefined };
  return { signal: checkSignal(checkObject(options, 'options', CALL_KEYS)['signal']) };
}

/** @throws {ValidationError} for a `signal` that is not an AbortSignal */
export function checkSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  return refuse('signal', value, 'an AbortSignal');
}

/** The progress listener; undefined without one. @throws {ValidationError} for a listener that is not a function */
export function checkListener<Listener>(value: unknown, field = 'onProgress'): Listener | undefined {
  if (isAbsent(value)) return undefined;
  return typeof value === 'function' ? (value as Listener) : refuse(field, value, 'a function');
}

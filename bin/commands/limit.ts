/** Parses limits: a size, a count, or no limit. Commander treats null as a missing value, so "no limit" has a name. */
import { InvalidArgumentError } from 'commander';
import { parseBytes } from '../format.ts';

export const NO_LIMIT = 'unlimited';

/** Bytes, or no limit. */
export type Limit = number | typeof NO_LIMIT;

/** How a size is typed, for the help. */
export const SIZE_HELP = 'bytes, or a size such as 10MiB; 10M and 10MB mean the same, 10 x 1024 x 1024 bytes';

/** How a limit is typed, for the help. */
export const LIMIT_HELP = `${SIZE_HELP}; or '${NO_LIMIT}'`;

/** Parses the value of an option. */
export function parseLimit(text: string): Limit {
  if (text.toLowerCase() === NO_LIMIT) return NO_LIMIT;
  const bytes = parseBytes(text);
  if (bytes === undefined) throw new InvalidArgumentError("Accepted: bytes, a size such as 500GiB, or 'unlimited'.");
  return bytes;
}

/** The limit in the library's form. */
export const limitBytes = (limit: Limit): number | null => (limit === NO_LIMIT ? null : limit);

/** Parses a whole number. */
export function parseWhole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Accepted: a whole number.');
  return Number(text);
}

const KEEP_ALL = -1;

/** Parses how many a retention rule keeps, into the library's form. */
export function parseCount(text: string): number {
  if (text.toLowerCase() === NO_LIMIT) return KEEP_ALL;
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("Accepted: a whole number, or 'unlimited'.");
  return Number(text);
}

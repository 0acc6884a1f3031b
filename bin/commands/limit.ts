/** Limits as people type them: a size or a count, or none. Commander takes a null for a value that was left out, so none has a name. */
import { InvalidArgumentError } from 'commander';
import { parseBytes } from '../format.ts';

export const NO_LIMIT = 'unlimited';

/** Bytes, or no limit. */
export type Limit = number | typeof NO_LIMIT;

/** How a size is typed, for the help. */
export const SIZE_HELP = 'bytes, or a size such as 10MiB; 10M and 10MB mean the same, 10 x 1024 x 1024 bytes';

/** How a limit is typed, for the help. */
export const LIMIT_HELP = `${SIZE_HELP}; or '${NO_LIMIT}'`;

/** Reads the value of an option. */
export function parseLimit(text: string): Limit {
  if (text.toLowerCase() === NO_LIMIT) return NO_LIMIT;
  const bytes = parseBytes(text);
  if (bytes === undefined) throw new InvalidArgumentError("Accepted: bytes, a size such as 500GiB, or 'unlimited'.");
  return bytes;
}

/** The limit as the library takes it. */
export const limitBytes = (limit: Limit): number | null => (limit === NO_LIMIT ? null : limit);

/** Reads a whole number of at least 0. */
export function parseWhole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Accepted: a whole number.');
  return Number(text);
}

const KEEP_ALL = -1;

/** Reads how many a rule of retention keeps, as the library takes it. */
export function parseCount(text: string): number {
  if (text.toLowerCase() === NO_LIMIT) return KEEP_ALL;
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("Accepted: a whole number, or 'unlimited'.");
  return Number(text);
}

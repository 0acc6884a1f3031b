/**
 * Split transfers: the old server wrote most transfers twice, first announced, then verified. This module decides which
 * two rows of a file are one transfer, and what a version can hold of a row, whose columns may hold anything.
 */

import { MAX_CRC } from '../values/file-input.ts';
import { DAY_MS } from '../values/intervals.ts';
import type { LegacyDates } from './dates.ts';

/** The stored facts of a transfer. */
export interface StoredTransfer {
  readonly pathName: unknown;
  readonly fileSize: unknown;
  readonly modificationDate: unknown;
  readonly crc: unknown;
  readonly verified: unknown;
}

/** The same in the form of a version: null for unknown or out-of-range values, dates in UTC. */
export interface Transfer {
  readonly pathName: unknown;
  readonly fileSize: number | null;
  readonly modificationDate: string | null;
  readonly crc: number | null;
  readonly verified: 0 | 1;
}

const wholeUpTo = (value: unknown, max: number): number | null =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max ? value : null;

/** What a version can hold of a row. */
export const transferOf = (stored: StoredTransfer, dates: LegacyDates): Transfer => ({
  pathName: stored.pathName,
  fileSize: wholeUpTo(stored.fileSize, Number.MAX_SAFE_INTEGER),
  modificationDate: dates.read(stored.modificationDate),
  crc: wholeUpTo(stored.crc, MAX_CRC),
  verified: typeof stored.verified === 'number' && stored.verified !== 0 ? 1 : 0,
});

/** Whether two values can be the same: an unknown value matches any. */
export const agree = (a: unknown, b: unknown): boolean => a === null || b === null || a === b;

const withinADay = (a: string | null, b: string | null) =>
  a === null || b === null || Math.abs(Date.parse(a) - Date.parse(b)) <= DAY_MS;

/** Whether two rows of one file, in the order of writing, are one transfer. */
export const areOneTransfer = (first: Transfer, second: Transfer): boolean =>
  first.verified === 0 &&
  second.verified === 1 &&
  first.pathName === second.pathName &&
  agree(first.fileSize, second.fileSize) &&
  agree(first.crc, second.crc) &&
  withinADay(first.modificationDate, second.modificationDate);

/**
 * Which sizes count: whole numbers of bytes from 0 to 2^53-1. Raw SQL and old servers can store anything in the column,
 * even infinity; an invalid size adds nothing to a total. Totals are exact up to 2^53-1 bytes (8 PiB) and rounded to
 * the nearest JavaScript number above.
 */

/** The size in a column, as SQL; 0 if invalid. Part of a migration: never edited. */
export const countedBytes = (column: string): string =>
  `(CASE WHEN typeof(${column}) = 'integer' AND ${column} BETWEEN 0 AND 9007199254740991 THEN ${column} ELSE 0 END)`;

const LOW_BITS = 22;
const LOW = 2 ** LOW_BITS;

/**
 * The sum of whole numbers, as SQL; 0 for no rows. SQLite's own sum() throws "integer overflow" past 2^63, and as REAL
 * it loses digits past 2^53; summed in two parts it is exact up to 2^63 and rounded beyond.
 */
export const sumOfWhole = (expression: string): string =>
  `coalesce(sum((${expression}) >> ${LOW_BITS}) * ${LOW} + sum((${expression}) & ${LOW - 1}), 0)`;

/** The fraction by which two ways of adding up a total above 2^53 may differ. */
const ROUNDING = 2 ** -50;

/** Whether two totals are equal within that precision. */
export function isSameTotal(one: number, other: number): boolean {
  if (one === other) return true;
  const larger = Math.max(Math.abs(one), Math.abs(other));
  return larger > Number.MAX_SAFE_INTEGER && Math.abs(one - other) <= larger * ROUNDING;
}

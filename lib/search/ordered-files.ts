/**
 * Finds the first files of a large result in order without reading all of it: walks along the index of the order if
 * enough files match, else lets SQLite sort. Both yield candidates; matcher.ts decides.
 */

import type { Dialect } from '../sql/dialect.ts';
import { one, rows, type Steps } from '../sql/procedure.ts';
import { empty, raw, type Sql, sql } from '../sql/template.ts';
import { idBytes } from '../values/ids.ts';
import { candidateColumns } from './candidates.ts';
import type { Candidate } from './matcher.ts';
import { type Conditions, exactFilters, hasFilters, nearFilters, withinDates } from './search-conditions.ts';
import type { SortKeys } from './search-filter.ts';

/** The selection of a result, and where to continue in it. */
export interface Selection {
  readonly conditions: Conditions;
  /** An exact query of the search index, or null. A query omits rows that are not indexed yet. */
  readonly match: string | null;
  readonly order: 'name' | 'size' | 'date';
  readonly descending: boolean;
  /** The keys of the previous page's last file; null at the beginning. */
  readonly after: SortKeys | null;
}

const KEYS = { name: 'f.FileName', size: 'f.FileSize', date: 'f.ModificationDate' } as const;
const ID = raw(`coalesce(f.ID, x'')`); // old servers left NULL keys behind

const NOT_WAITING = raw('f.rowid NOT IN (SELECT FileRow FROM search_todo)');

/** `FROM … WHERE …` of a selection, without dates and order. */
function source({ conditions, match }: Selection): Sql {
  if (match === null) return sql`FROM files f WHERE 1 = 1${nearFilters(conditions)}`;
  return sql`FROM search_index CROSS JOIN files f ON f.rowid = search_index.rowid
    WHERE search_index MATCH ${match} AND ${NOT_WAITING}${nearFilters(conditions)}`;
}

const idIn = (keys: SortKeys) => idBytes(String(keys[1] ?? ''));
const keysIn = (keys: SortKeys): Sql => sql`(${keys[0] ?? null}, ${idIn(keys)})`;

/** The condition for rows after the keys; null is last in both directions. */
function goesOn({ order, descending, after }: Selection): Sql {
  if (after === null) return empty;
  const [beyond, column] = [raw(descending ? '<' : '>'), raw(KEYS[order])];
  if (after[0] === null) return sql` AND ${column} IS NULL AND ${ID} ${beyond} ${idIn(after)}`;
  const later = sql`(${column}, ${ID}) ${beyond} ${keysIn(after)}`;
  return order === 'name' ? sql` AND ${later}` : sql` AND (${later} OR ${column} IS NULL)`;
}

function orderBy({ order, descending }: Selection): Sql {
  const direction = descending ? 'DESC' : 'ASC';
  const nullsLast = order === 'name' ? '' : `${KEYS[order]} IS NULL, `;
  // The plus keeps SQLite from walking along the index of the order if matches are rare.
  return raw(`ORDER BY ${nullsLast}+${KEYS[order]} ${direction}, ${ID.sql} ${direction}`);
}

/** The first `count` files of a selection, found by sorting all of it; returned in no order. */
export function* sortedFiles(selection: Selection, count: number, dialect: Dialect): Steps<Candidate[]> {
  return yield* rows<Candidate>(sql`SELECT ${candidateColumns(dialect)} FROM files f
    WHERE f.rowid IN (SELECT f.rowid ${source(selection)} AND ${withinDates(selection.conditions)}${goesOn(selection)} ${orderBy(selection)} LIMIT ${count})`);
}

/** The index to walk along; undefined if there is none for this order. */
function pathOf({ order, after, conditions }: Selection): Sql | undefined {
  if (order === 'name') return raw(conditions.oneClient ? 'idx_files_client_name' : 'idx_files_filename');
  return order === 'size' && after?.[0] !== null ? raw('idx_files_size') : undefined;
}

/**
 * The first `count` files of a selection that have a value for its order, found by walking along the index of that
 * order: rows that the search index has not found are skipped without reading the file. Undefined if there is no index
 * for this order.
 */
export function* walkedFiles(selection: Selection, count: number, dialect: Dialect): Steps<Candidate[] | undefined> {
  const path = pathOf(selection);
  if (path === undefined) return undefined;
  const { order, descending, match, conditions, after } = selection;
  const [column, beyond, direction] = [raw(KEYS[order]), raw(descending ? '<' : '>'), raw(descending ? 'DESC' : 'ASC')];
  const from = after === null ? empty : sql` AND (${column}, ${ID}) ${beyond} ${keysIn(after)}`;
  const found =
    match === null
      ? empty
      : sql` AND f.rowid IN (SELECT rowid FROM search_index WHERE search_index MATCH ${match}) AND ${NOT_WAITING}`;
  return yield* rows<Candidate>(sql`SELECT ${candidateColumns(dialect)} FROM files f INDEXED BY ${path}
    WHERE ${column} IS NOT NULL${found}${exactFilters(conditions)}${from}
    ORDER BY ${column} ${direction}, ${ID} ${direction} LIMIT ${count}`);
}

/** How many files a selection has, and how many have a date that only JavaScript can read. */
export interface SelectionFigures {
  readonly total: number;
  readonly oddDates: number;
}

// The stored form of this library's dates, which compare as text.
const digits = (count: number) => '[0-9]'.repeat(count);
const CANONICAL_DATE = `${digits(4)}-${digits(2)}-${digits(2)}T${digits(2)}:${digits(2)}:${digits(2)}.${digits(3)}Z`;

/** Counts a selection, ignoring the cursor; `oddDates` only if dates matter. */
export function* countFiles(selection: Selection, readsDates: boolean): Steps<SelectionFigures> {
  const { conditions } = selection;
  if (!readsDates) return { total: yield* countPlain(selection), oddDates: 0 };
  const isOdd = sql`f.ModificationDate IS NOT NULL AND f.ModificationDate NOT GLOB ${CANONICAL_DATE}`;
  const found = yield* one<SelectionFigures>(sql`SELECT coalesce(sum(${withinDates(conditions)}), 0) AS "total",
    coalesce(sum(${isOdd}), 0) AS "oddDates" ${source(selection)}`);
  return found ?? { total: 0, oddDates: 0 };
}

function* countPlain(selection: Selection): Steps<number> {
  // Every indexed row is a file: without other conditions the index alone can count.
  const from =
    selection.match !== null && !hasFilters(selection.conditions)
      ? sql`FROM search_index WHERE search_index MATCH ${selection.match}
          AND search_index.rowid NOT IN (SELECT FileRow FROM search_todo)`
      : source(selection);
  const found = yield* one<{ total: number }>(sql`SELECT count(*) AS "total" ${from}`);
  return found?.total ?? 0;
}

/** The highest row number of files: about how many files there are. */
export function* highestRow(): Steps<number> {
  const found = yield* one<{ highest: number | null }>(sql`SELECT max(rowid) AS "highest" FROM files`);
  return found?.highest ?? 0;
}

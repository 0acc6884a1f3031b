/**
 * Sources of candidate rows for a search, in batches of bounded size. Each source is complete (no match is missing) and
 * free of duplicates; none needs to be exact.
 */

import { type Dialect, perDialect } from '../sql/dialect.ts';
import { one, rows, type Steps } from '../sql/procedure.ts';
import { type Sql, sql } from '../sql/template.ts';
import type { Candidate } from './matcher.ts';
import { type Conditions, indexedFilters, nearFilters } from './search-conditions.ts';

/** The settings of every source. */
export interface Way {
  readonly conditions: Conditions;
  readonly dialect: Dialect;
  /** Rows in memory at once. */
  readonly stretch: number;
  /** Receives each batch of candidates. */
  readonly take: (candidates: readonly Candidate[]) => void;
}

/** The columns of a {@link Candidate}, of a table called `f`. */
export const candidateColumns = perDialect(
  (dialect) => sql`f.rowid, ${dialect.hex('f.ID')}, f.FileName, f.PathName, f.FileSize, f.ModificationDate`,
);

/** Runs a statement batch by batch, each after the last row of the previous one. */
function* stretches({ stretch, take }: Way, statement: (after: number) => Sql): Steps<void> {
  let after = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const found: Candidate[] = yield* rows<Candidate>(statement(after));
    take(found);
    const last = found.at(-1);
    if (found.length < stretch || last === undefined) return;
    [after] = last;
  }
}

/** Every file that passes the conditions, by a full table scan. */
export function* everyFile(way: Way): Steps<void> {
  const { dialect, conditions, stretch } = way;
  yield* stretches(
    way,
    (after) => sql`SELECT ${candidateColumns(dialect)} FROM files f NOT INDEXED
      WHERE f.rowid > ${after}${nearFilters(conditions)} ORDER BY f.rowid LIMIT ${stretch}`,
  );
}

/** Whether at most `most` rows pass the conditions that have an index. */
export function* areFew(conditions: Conditions, most: number): Steps<boolean> {
  const indexed = indexedFilters(conditions);
  if (indexed === undefined) return false;
  const found = yield* one(sql`SELECT 1 AS "more" FROM files f WHERE 1 = 1${indexed} LIMIT 1 OFFSET ${most}`);
  return found === undefined;
}

/** The few files that pass the conditions, through the indexes on them. */
export function* fewFiles({ conditions, dialect, take }: Way): Steps<void> {
  take(
    yield* rows<Candidate>(sql`SELECT ${candidateColumns(dialect)} FROM files f WHERE 1 = 1${nearFilters(conditions)}`),
  );
}

/** The files that are not in the search index yet. */
export function* waitingFiles(way: Way): Steps<void> {
  const { dialect, conditions, stretch } = way;
  yield* stretches(
    way,
    // A plain JOIN would scan the files and look each up in the list.
    (after) => sql`SELECT ${candidateColumns(dialect)} FROM search_todo t CROSS JOIN files f ON f.rowid = t.FileRow
      WHERE t.FileRow > ${after}${nearFilters(conditions)} ORDER BY t.FileRow LIMIT ${stretch}`,
  );
}

/** Rows that the search index finds, at most `most` and one. */
export function* indexedRows(query: string, most: number): Steps<number[]> {
  const found = yield* rows<readonly [row: number]>(sql`SELECT rowid FROM search_index
    WHERE search_index MATCH ${query} LIMIT ${most + 1}`);
  return found.map(([row]) => row);
}

const isNotWaiting = sql`NOT EXISTS (SELECT 1 FROM search_todo t WHERE t.FileRow = f.rowid)`;

/** The files of some rows, except those that are not indexed yet. */
export function* filesOfRows(found: readonly number[], { conditions, dialect, take }: Way): Steps<void> {
  take(
    yield* rows<Candidate>(sql`SELECT ${candidateColumns(dialect)}
      FROM json_each(${JSON.stringify(found)}) j CROSS JOIN files f ON f.rowid = j.value
      WHERE ${isNotWaiting}${nearFilters(conditions)}`),
  );
}

/** Every file that the search index finds, except those that are not indexed yet. */
export function* everyIndexedFile(query: string, way: Way): Steps<void> {
  let after = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const found: (readonly [row: number])[] = yield* rows<readonly [row: number]>(sql`SELECT rowid FROM search_index
      WHERE search_index MATCH ${query} AND rowid > ${after} ORDER BY rowid LIMIT ${way.stretch}`);
    const numbers = found.map(([row]) => row);
    yield* filesOfRows(numbers, way);
    const last = numbers.at(-1);
    if (numbers.length < way.stretch || last === undefined) return;
    after = last;
  }
}

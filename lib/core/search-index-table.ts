/**
 * The search index as an FTS5 table: the SQL that creates it, for the migration and for repair, and the detection of
 * damage.
 */

import { DatabaseError } from '../errors.ts';
import { hasCode } from '../runtime/thrown.ts';
import type { Dialect } from '../sql/dialect.ts';
import { one, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';

/**
 * Trigrams of names and paths that lib/search folds itself. The index stores no content, which the files have;
 * `detail=full` stores positions, so that it finds phrases without reading the files.
 */
export const SEARCH_INDEX_TABLE = `CREATE VIRTUAL TABLE search_index USING fts5(Name, Path, content='',
  contentless_delete=1, tokenize='trigram case_sensitive 1', detail=full)`;

/** Whether a correct statement failed because the index is damaged or gone. */
export const isIndexDamage = (error: unknown): error is DatabaseError =>
  error instanceof DatabaseError && ['CATALOG_CORRUPT', 'CATALOG_SQL'].includes(error.code);

/**
 * Whether a call ran out of memory. FTS5 trusts the figures of its index, so a damaged one may request more than any
 * machine has, and SQLite rolls the transaction back (https://sqlite.org/lang_transaction.html, 2.3): the call cannot
 * continue.
 */
export const isBeyondMemory = (error: unknown): error is DatabaseError =>
  error instanceof DatabaseError && hasCode(error.cause, 'SQLITE_NOMEM');

/** Queries the index for a word. @throws {DatabaseError} the error of reading the index */
export function* askIndex(): Steps<void> {
  yield* one(sql`SELECT rowid FROM search_index WHERE search_index MATCH '"any"' LIMIT 1`);
}

const TABLES = ['search_index', 'search_index_docsize', 'search_vocabulary'];

// Probes the first and the last row: an emptied index lacks both, and one that another program bypassed lacks the last.
const ENDS = ['min', 'max'] as const;

/** Why the index is unusable, in words; null if it is usable. Reads a few rows only. */
export function* indexProblem(dialect: Dialect): Steps<string | null> {
  for (const name of TABLES) {
    if ((yield* one(dialect.hasTable(name))) === undefined) return `its table ${name} is gone`;
  }
  try {
    yield* askIndex();
    for (const end of ENDS) {
      const lacking = yield* one(sql`SELECT 1 AS "lacking" FROM (SELECT ${raw(end)}(rowid) AS r FROM files) f
        WHERE f.r IS NOT NULL AND NOT EXISTS (SELECT 1 FROM search_index_docsize d WHERE d.id = f.r)
          AND NOT EXISTS (SELECT 1 FROM search_todo t WHERE t.FileRow = f.r)`);
      if (lacking !== undefined) return 'it lacks files that are not queued for it';
    }
    return null;
  } catch (error) {
    if (!isIndexDamage(error)) throw error;
    return `it cannot be read: ${error.message}`;
  }
}

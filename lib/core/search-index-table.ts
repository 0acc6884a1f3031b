/**
 * The search index as SQLite's own table (FTS5): the text that makes it, for the migration and for the repair that makes it
 * again; and how its damage shows.
 */

import { DatabaseError } from '../errors.ts';
import { hasCode } from '../runtime/thrown.ts';
import type { Dialect } from '../sql/dialect.ts';
import { one, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';

/**
 * Trigrams of names and paths that lib/search folds itself. No content is kept, since the files have it; `detail=full`
 * keeps positions, so that a phrase is found without a second look at the files.
 */
export const SEARCH_INDEX_TABLE = `CREATE VIRTUAL TABLE search_index USING fts5(Name, Path, content='',
  contentless_delete=1, tokenize='trigram case_sensitive 1', detail=full)`;

/** Whether a statement about the index failed because that is damaged or gone, if the statement itself is right. */
export const isIndexDamage = (error: unknown): error is DatabaseError =>
  error instanceof DatabaseError && ['CATALOG_CORRUPT', 'CATALOG_SQL'].includes(error.code);

/**
 * Whether a call needed more memory than there is. FTS5 believes the figures of its index, so a damaged one may claim more
 * than any machine has, and SQLite rolls back the transaction for it (https://sqlite.org/lang_transaction.html, 2.3):
 * nothing more can be done within the call.
 */
export const isBeyondMemory = (error: unknown): error is DatabaseError =>
  error instanceof DatabaseError && hasCode(error.cause, 'SQLITE_NOMEM');

/** Asks the index for a word. @throws {DatabaseError} what reading the index meets */
export function* askIndex(): Steps<void> {
  yield* one(sql`SELECT rowid FROM search_index WHERE search_index MATCH '"any"' LIMIT 1`);
}

const TABLES = ['search_index', 'search_index_docsize', 'search_vocabulary'];

// The first file and the last, by row: an index that was emptied lacks both, one that other programs wrote past the last.
const ENDS = ['min', 'max'] as const;

/** What keeps the index from being used, in words; null when nothing does. Looks at a few rows only. */
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
      if (lacking !== undefined) return 'it lacks files that nothing tells it of';
    }
    return null;
  } catch (error) {
    if (!isIndexDamage(error)) throw error;
    return `it cannot be read: ${error.message}`;
  }
}

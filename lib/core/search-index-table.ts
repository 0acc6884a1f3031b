/**
 * The text of the search index's table, for the migration that makes it and for the repair that makes it again; and how
 * its damage shows.
 */

import { DatabaseError } from '../errors.ts';
import { hasCode } from '../runtime/thrown.ts';

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

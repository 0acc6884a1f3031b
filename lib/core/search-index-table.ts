/** The text of the search index's table, for the migration that makes it and for the repair that makes it again. */

/**
 * Trigrams of names and paths that lib/search folds itself. No content is kept, since the files have it; `detail=full`
 * keeps positions, so that a phrase is found without a second look at the files.
 */
export const SEARCH_INDEX_TABLE = `CREATE VIRTUAL TABLE search_index USING fts5(Name, Path, content='',
  contentless_delete=1, tokenize='trigram case_sensitive 1', detail=full)`;

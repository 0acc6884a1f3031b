/**
 * Keeps the search index. Triggers note in `search_todo` which rows have changed; here those rows are taken into the
 * index, many at once, because a row of its own costs more than twice as much as one among 512. A search is exact
 * meanwhile: it looks at the rows that wait themselves. The statements are SQLite's own (FTS5).
 */

import { askIndex, isIndexDamage, SEARCH_INDEX_TABLE } from '../core/search-index-table.ts';
import { DatabaseError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { one, procedure, rows, run, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';
import { fold } from './fold.ts';

/** Rows that wait before a commit takes them in; each search looks at all that wait, 2 us a row. */
const BATCH = 512;
/** Rows indexed at once: more than a group of calls adds, so that a backlog shrinks, and 30 ms at most. */
const MAX_PORTION = 1_024;
/** Characters indexed at once: a thousand of the longest paths would hold a commit up for seconds. */
const MAX_CHARACTERS = 512 * 1_024;

/** Ends a name and a path in the index: no text holds it there, and each character begins a trigram because of it. */
export const END = '\u0001\u0001';

// biome-ignore lint/suspicious/noControlCharactersInRegex: those two have a meaning of their own in the index
const RESERVED = /[\u0000\u0001]/g;

/** A folded text as the index knows it. */
export const indexed = (folded: string): string => folded.replace(RESERVED, '\ufffd');

/** The folded form of a column; a value that is no text has none. */
export const foldedText = (value: unknown): string => (typeof value === 'string' ? fold(value) : '');

type Waiting = readonly [row: number, file: number | null, fileName: unknown, pathName: unknown];

function* takeIn([row, file, fileName, pathName]: Waiting): Steps<number> {
  if (file === null) {
    yield* run(sql`DELETE FROM search_index WHERE rowid = ${row}`);
    return 0;
  }
  const [name, path] = [indexed(foldedText(fileName)) + END, indexed(foldedText(pathName)) + END];
  yield* run(sql`INSERT OR REPLACE INTO search_index (rowid, Name, Path) VALUES (${row}, ${name}, ${path})`);
  return name.length + path.length;
}

function* takePortion(dialect: Dialect): Steps<void> {
  const waiting = yield* rows<Waiting>(sql`SELECT t.FileRow, f.rowid, f.FileName, f.PathName
    FROM search_todo t LEFT JOIN files f ON f.rowid = t.FileRow ORDER BY t.FileRow LIMIT ${dialect.unplanned(MAX_PORTION)}`);
  let characters = 0;
  let last: number | undefined;
  for (const entry of waiting) {
    characters += yield* takeIn(entry);
    last = entry[0];
    if (characters > MAX_CHARACTERS) break;
  }
  if (last === undefined) return;
  yield* run(sql`DELETE FROM search_todo WHERE FileRow <= ${last}`);
  // What FTS5 still holds in memory it would write during the commit, where a failure could not be undone any more.
  yield* run(sql`INSERT INTO search_index (search_index) VALUES ('flush')`);
}

function* isWaiting(least: number, dialect: Dialect): Steps<boolean> {
  const found = yield* one(sql`SELECT 1 AS "waiting" FROM search_todo LIMIT 1 OFFSET ${dialect.unplanned(least - 1)}`);
  return found !== undefined;
}

function* hasIndex(dialect: Dialect): Steps<boolean> {
  return (yield* one(dialect.hasTable('search_todo'))) !== undefined;
}

/** Runs before each commit: takes rows in once enough of them wait. */
export const keepIndex = procedure('search.keep', 'write', function* (_: null, dialect): Steps<void> {
  try {
    if (yield* isWaiting(BATCH, dialect)) yield* takePortion(dialect);
  } catch (error) {
    // A file on its way up from an older schema has no index yet.
    const isMissing = error instanceof DatabaseError && error.code === 'CATALOG_SQL' && !(yield* hasIndex(dialect));
    if (!isMissing) throw error;
  }
});

/** Whether more waits than a commit leaves waiting. */
export const hasBacklog = procedure(
  'search.hasBacklog',
  'read',
  function* (_: null, dialect): Steps<boolean> {
    return yield* isWaiting(BATCH, dialect);
  },
  { brief: true },
);

/** Indexes a portion of what waits; returns whether a backlog is left. */
export const catchUpIndex = procedure(
  'search.catchUp',
  'write',
  function* (_: null, dialect): Steps<boolean> {
    if (yield* isWaiting(1, dialect)) yield* takePortion(dialect);
    return yield* isWaiting(BATCH, dialect);
  },
  { alone: true },
);

/** How the search index stands. */
export interface IndexState {
  /** Rows it has not indexed yet; every search looks at each of them. */
  readonly waiting: number;
}

export const indexState = procedure('search.indexState', 'read', function* (_: null): Steps<IndexState> {
  const found = yield* one<IndexState>(sql`SELECT count(*) AS "waiting" FROM search_todo`);
  return { waiting: found?.waiting ?? 0 };
});

/** Whether the index can be relied on; what a schema without one has cannot be wrong. */
export const isIndexSound = procedure(
  'search.isSound',
  'write', // the statement that checks is an INSERT, though it changes nothing
  function* (_: null, dialect): Steps<boolean> {
    if (!(yield* hasIndex(dialect))) return true;
    try {
      yield* askIndex();
      yield* one(sql`SELECT term FROM search_vocabulary LIMIT 1`);
      // Reads the whole index, and throws where its parts contradict each other.
      yield* run(sql`INSERT INTO search_index (search_index) VALUES ('integrity-check')`);
      return true;
    } catch (error) {
      if (isIndexDamage(error)) return false;
      throw error;
    }
  },
  { alone: true },
);

/** Rebuilds the index, whatever state it is in, and notes every file for it; searches look at the files until then. */
export const renewIndex = procedure('search.renew', 'write', function* (_: null): Steps<void> {
  yield* run(sql`DROP TABLE IF EXISTS search_vocabulary`);
  yield* run(sql`DROP TABLE IF EXISTS search_index`);
  yield* run(raw(SEARCH_INDEX_TABLE));
  yield* run(sql`CREATE VIRTUAL TABLE search_vocabulary USING fts5vocab(search_index, row)`);
  yield* run(sql`INSERT INTO search_todo (FileRow) SELECT rowid FROM files
    WHERE rowid NOT IN (SELECT FileRow FROM search_todo)`);
});

/**
 * Maintains the search index. Triggers queue changed rows in `search_todo`; this module indexes them in batches,
 * because a single row costs more than twice as much as one of 512. Searches stay exact meanwhile, because they read
 * the queued rows themselves. The SQL is specific to SQLite (FTS5).
 */

import { askIndex, isIndexDamage, SEARCH_INDEX_TABLE } from '../core/search-index-table.ts';
import { DatabaseError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { one, procedure, rows, run, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';
import { fold } from './fold.ts';

/** Queued rows before a commit indexes them; each search reads all queued rows, at 2 us a row. */
const BATCH = 512;
/** Rows per batch: more than a commit group adds, so that a backlog shrinks, in at most 30 ms. */
const MAX_PORTION = 1_024;
/** Characters per batch: a thousand of the longest paths would delay a commit by seconds. */
const MAX_CHARACTERS = 512 * 1_024;

/**
 * Terminates names and paths in the index; no indexed text contains it, and it makes every character begin a trigram.
 */
export const END = '\u0001\u0001';

// biome-ignore lint/suspicious/noControlCharactersInRegex: those two have a meaning of their own in the index
const RESERVED = /[\u0000\u0001]/g;

/** A folded text in the form of the index. */
export const indexed = (folded: string): string => folded.replace(RESERVED, '\ufffd');

/** The folded form of a column; a value that is not text has none. */
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
  // Otherwise FTS5 would write its buffers during the commit, where a failure could not be undone.
  yield* run(sql`INSERT INTO search_index (search_index) VALUES ('flush')`);
}

function* isWaiting(least: number, dialect: Dialect): Steps<boolean> {
  const found = yield* one(sql`SELECT 1 AS "waiting" FROM search_todo LIMIT 1 OFFSET ${dialect.unplanned(least - 1)}`);
  return found !== undefined;
}

function* hasIndex(dialect: Dialect): Steps<boolean> {
  return (yield* one(dialect.hasTable('search_todo'))) !== undefined;
}

/** Runs before each commit: indexes queued rows once there are enough. */
export const keepIndex = procedure('search.keep', 'write', function* (_: null, dialect): Steps<void> {
  try {
    if (yield* isWaiting(BATCH, dialect)) yield* takePortion(dialect);
  } catch (error) {
    // During an upgrade from an older schema there is no index yet.
    const isMissing = error instanceof DatabaseError && error.code === 'CATALOG_SQL' && !(yield* hasIndex(dialect));
    if (!isMissing) throw error;
  }
});

/** Whether the queue is longer than a commit leaves it. */
export const hasBacklog = procedure(
  'search.hasBacklog',
  'read',
  function* (_: null, dialect): Steps<boolean> {
    return yield* isWaiting(BATCH, dialect);
  },
  { brief: true },
);

/** Indexes a batch of queued rows; returns whether a backlog is left. */
export const catchUpIndex = procedure(
  'search.catchUp',
  'write',
  function* (_: null, dialect): Steps<boolean> {
    if (yield* isWaiting(1, dialect)) yield* takePortion(dialect);
    return yield* isWaiting(BATCH, dialect);
  },
  { alone: true },
);

/** The state of the search index. */
export interface IndexState {
  /** Rows that are not indexed yet; every search reads them. */
  readonly waiting: number;
}

export const indexState = procedure('search.indexState', 'read', function* (_: null): Steps<IndexState> {
  const found = yield* one<IndexState>(sql`SELECT count(*) AS "waiting" FROM search_todo`);
  return { waiting: found?.waiting ?? 0 };
});

/** Whether the index is reliable; true for a schema without one. */
export const isIndexSound = procedure(
  'search.isSound',
  'write', // the statement that checks is an INSERT, though it changes nothing
  function* (_: null, dialect): Steps<boolean> {
    if (!(yield* hasIndex(dialect))) return true;
    try {
      yield* askIndex();
      yield* one(sql`SELECT term FROM search_vocabulary LIMIT 1`);
      // Reads the whole index, and throws if its parts contradict each other.
      yield* run(sql`INSERT INTO search_index (search_index) VALUES ('integrity-check')`);
      return true;
    } catch (error) {
      if (isIndexDamage(error)) return false;
      throw error;
    }
  },
  { alone: true },
);

/** Recreates the index, whatever its state, and queues every file for it; searches read the queued files. */
export const renewIndex = procedure('search.renew', 'write', function* (_: null): Steps<void> {
  yield* run(sql`DROP TABLE IF EXISTS search_vocabulary`);
  yield* run(sql`DROP TABLE IF EXISTS search_index`);
  yield* run(raw(SEARCH_INDEX_TABLE));
  yield* run(sql`CREATE VIRTUAL TABLE search_vocabulary USING fts5vocab(search_index, row)`);
  yield* run(sql`INSERT INTO search_todo (FileRow) SELECT rowid FROM files
    WHERE rowid NOT IN (SELECT FileRow FROM search_todo)`);
});

/**
 * Finding files. The plan is chosen by how few rows each way leads to; whichever it is, each candidate's own columns
 * decide, so that a result is exact whatever the index says beside what it leaves out: nothing, since rows it has not
 * taken in are looked at one by one. An index that cannot be read costs time, never a result.
 */
import sql from 'sql-template-tag';
import { type CatalogFile, type FileRow, fileColumns, toFile } from '../core/file-rows.ts';
import { DatabaseError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { procedure, row, type Steps } from '../sql/procedure.ts';
import {
  areFew,
  everyFile,
  everyIndexedFile,
  fewFiles,
  filesOfRows,
  indexedRows,
  type Way,
  waitingFiles,
} from './candidates.ts';
import { indexQuery } from './index-terms.ts';
import { type Match, MatchList } from './matching.ts';
import { type Conditions, conditionsOf } from './search-conditions.ts';
import type { SearchRequest, SortKeys } from './search-filter.ts';

/** The matches of a page, one more than asked for, and how many there are in all. */
export interface SearchFound {
  readonly files: readonly CatalogFile[];
  /** What each file is sorted by. */
  readonly keys: readonly SortKeys[];
  readonly total: number;
}

type SearchWire = Omit<SearchFound, 'files'> & { readonly files: readonly FileRow[] };

const UNREADABLE: ReadonlySet<string> = new Set(['CATALOG_CORRUPT', 'CATALOG_SQL']);

const isUnreadable = (error: unknown) => error instanceof DatabaseError && UNREADABLE.has(error.code);

/** Goes to the candidates through the index; false, and to none, where a walk through the files is better. */
function* throughIndex({ term, bounds: { few } }: SearchRequest, way: Way): Steps<boolean> {
  const query = yield* indexQuery(term);
  if (query === undefined) return false;
  if (query !== null) {
    const found = yield* indexedRows(query.candidates, few);
    if (found.length <= few) yield* filesOfRows(found, way);
    else yield* everyIndexedFile(query.exact ?? query.candidates, way);
  }
  yield* waitingFiles(way);
  return true;
}

/** Counts every match and keeps a page of them. */
function* lookAtEach(request: SearchRequest, conditions: Conditions, dialect: Dialect): Steps<MatchList> {
  let matches = new MatchList(request);
  const { stretch, few } = request.bounds;
  const way: Way = { conditions, dialect, stretch, take: (candidates) => matches.addFrom(candidates) };
  if (yield* areFew(conditions, few)) {
    yield* fewFiles(way);
    return matches;
  }
  if (request.term !== '') {
    try {
      if (yield* throughIndex(request, way)) return matches;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      matches = new MatchList(request);
    }
  }
  yield* everyFile(way);
  return matches;
}

function* filesOf(found: readonly Match[], dialect: Dialect): Steps<FileRow[]> {
  const files: FileRow[] = [];
  for (const match of found) {
    const file = yield* row<FileRow>(sql`SELECT ${fileColumns(dialect)} FROM files f WHERE f.rowid = ${match.row}`);
    if (file !== undefined) files.push(file);
  }
  return files;
}

export const searchFiles = procedure(
  'files.search',
  'read',
  function* (request: SearchRequest, dialect): Steps<SearchWire> {
    const conditions = yield* conditionsOf(request);
    if (conditions === null) return { files: [], keys: [], total: 0 };
    const matches = yield* lookAtEach(request, conditions, dialect);
    const first = matches.first();
    return { files: yield* filesOf(first, dialect), keys: first.map(({ keys }) => keys), total: matches.total };
  },
  { decode: (wire): SearchFound => ({ ...wire, files: wire.files.map(toFile) }), alone: true },
);

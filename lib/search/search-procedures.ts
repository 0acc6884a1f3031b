/**
 * Finds files. Chooses the plan with the fewest rows; each candidate's own columns then decide, so results are exact.
 * Rows that are not indexed yet are read one by one. An unreadable index costs time, never a result.
 */

import { type CatalogFile, type FileRow, fileColumns, toFile } from '../core/file-rows.ts';
import { askIndex } from '../core/search-index-table.ts';
import { DatabaseError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { one, procedure, row, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
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
import { type IndexQuery, indexQuery } from './index-terms.ts';
import { largeResult } from './large-results.ts';
import { type Match, MatchList } from './matcher.ts';
import type { SearchPlan } from './plans.ts';
import { type Conditions, conditionsOf } from './search-conditions.ts';
import type { SearchRequest, SortKeys } from './search-filter.ts';

/** The matches of a page, plus one more, and the total number. */
export interface SearchFound {
  readonly files: readonly CatalogFile[];
  /** The sort keys of each file. */
  readonly keys: readonly SortKeys[];
  readonly total: number;
  /** The plan that found them. */
  readonly plan: SearchPlan;
}

type SearchWire = Omit<SearchFound, 'files'> & { readonly files: readonly FileRow[] };

const MANY = 10; // times the few: most index rows that are read one by one rather than counted and sorted
const PLENTY = 25; // times the few: most files of a client or a range of sizes that are read instead of more index rows

/** The state of a search during planning. */
interface Search {
  readonly request: SearchRequest;
  readonly conditions: Conditions;
  readonly dialect: Dialect;
}

/** Reads each candidate of a source. */
function* lookAtEach(
  { request, conditions, dialect }: Search,
  plan: SearchPlan,
  go: (way: Way) => Steps<void>,
): Steps<MatchList> {
  const matches = new MatchList(request, plan);
  const take: Way['take'] = (candidates) => matches.addFrom(candidates);
  yield* go({ conditions, dialect, stretch: request.bounds.stretch, take });
  return matches;
}

/** Rows found by the index, if few enough to read each; undefined otherwise. */
function* leadingRows({ candidates, exact }: IndexQuery, few: number): Steps<number[] | undefined> {
  const found = yield* indexedRows(candidates, few);
  if (found.length <= few) return found;
  const more = yield* indexedRows(exact?.all ?? candidates, few * MANY);
  return more.length <= few * MANY ? more : undefined;
}

/** The matches found by the index; undefined if scanning the files is better. */
function* throughIndex(search: Search): Steps<MatchList | undefined> {
  const { request, conditions, dialect } = search;
  const { few } = request.bounds;
  const query = yield* indexQuery(request.term, request.extension);
  if (query === undefined) return undefined;
  if (query === null) return yield* lookAtEach(search, 'waiting files', waitingFiles);
  const found = yield* leadingRows(query, few);
  if (found !== undefined) {
    return yield* lookAtEach(search, query.kind, function* (way) {
      yield* filesOfRows(found, way);
      yield* waitingFiles(way);
    });
  }
  if (yield* areFew(conditions, few * PLENTY)) return yield* lookAtEach(search, 'few files', fewFiles);
  const exact = query.exact === null ? undefined : yield* largeResult(request, conditions, query.exact, dialect);
  if (exact !== undefined) return exact;
  return yield* lookAtEach(search, 'index walk', function* (way) {
    yield* everyIndexedFile(query.exact?.all ?? query.candidates, way);
    yield* waitingFiles(way);
  });
}

function* choosePlan(search: Search): Steps<MatchList> {
  const { request, conditions, dialect } = search;
  if (yield* areFew(conditions, request.bounds.few)) return yield* lookAtEach(search, 'few files', fewFiles);
  const isAboutNames = request.term !== '' || request.extension !== null;
  const found = isAboutNames ? yield* throughIndex(search) : yield* largeResult(request, conditions, null, dialect);
  return found ?? (yield* lookAtEach(search, 'scan', everyFile));
}

/** Every table and index that a plan may use besides the files. */
const USED_TABLES = ['search_todo', 'search_vocabulary'];
const USED_INDEXES = ['idx_files_filename', 'idx_files_client_name', 'idx_files_size'];

/** Whether an error means a damaged or missing index, not a mistake in a statement. */
function* isUnreadable(error: unknown, dialect: Dialect): Steps<boolean> {
  if (!(error instanceof DatabaseError)) return false;
  if (error.code === 'CATALOG_CORRUPT') return true;
  if (error.code !== 'CATALOG_SQL') return false;
  const used = [...USED_TABLES.map(dialect.hasTable), ...USED_INDEXES.map(dialect.hasIndex)];
  for (const lookUp of used) if ((yield* one(lookUp)) === undefined) return true;
  try {
    yield* askIndex();
    return false;
  } catch {
    return true;
  }
}

/** Counts every match and keeps a page of them. */
function* findMatches(search: Search): Steps<MatchList> {
  if (search.request.withoutIndex) return yield* lookAtEach(search, 'scan', everyFile);
  try {
    return yield* choosePlan(search);
  } catch (error) {
    if (!(yield* isUnreadable(error, search.dialect))) throw error;
    return yield* lookAtEach(search, 'scan', everyFile);
  }
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
    if (conditions === null) return { files: [], keys: [], total: 0, plan: 'no client' };
    const matches = yield* findMatches({ request, conditions, dialect });
    const first = matches.first();
    const { total, plan } = matches;
    return { files: yield* filesOf(first, dialect), keys: first.map(({ keys }) => keys), total, plan };
  },
  { decode: (wire): SearchFound => ({ ...wire, files: wire.files.map(toFile) }), alone: true },
);

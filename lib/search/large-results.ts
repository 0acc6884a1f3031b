/**
 * Pages of a result that is too large to read every file: SQLite counts it and finds its first files in order. Only for
 * conditions that the index and plain columns decide exactly; files that are not indexed yet are read and merged.
 */
import type { Dialect } from '../sql/dialect.ts';
import type { Steps } from '../sql/procedure.ts';
import { filesOfRows, indexedRows, type Way, waitingFiles } from './candidates.ts';
import type { ExactQuery } from './index-terms.ts';
import { type Candidate, keysOf, MatchList, matchOf } from './matcher.ts';
import { countFiles, highestRow, type Selection, sortedFiles, walkedFiles } from './ordered-files.ts';
import type { Conditions } from './search-conditions.ts';
import type { SearchRequest } from './search-filter.ts';

const WALKED = 10; // times the few: files that a walk may read before it has filled a page
const PASSED = 12; // rows that a walk skips in the time of sorting one match

/** A large result in progress. */
interface Result {
  readonly request: SearchRequest;
  readonly conditions: Conditions;
  readonly dialect: Dialect;
  readonly matches: MatchList;
}

/** Fills a page; undefined if dates of other forms must be read one by one. */
export function* largeResult(
  request: SearchRequest,
  conditions: Conditions,
  query: ExactQuery | null,
  dialect: Dialect,
): Steps<MatchList | undefined> {
  const { sort, bounds } = request;
  const ranks = sort === 'relevance' ? (query?.ranks ?? null) : null;
  const matches = new MatchList(request, ranks === null ? 'sort' : 'ranks');
  const result: Result = { request, conditions, dialect, matches };
  const match = query?.all ?? null;
  if (match !== null) {
    const take = (candidates: readonly Candidate[]) => matches.addFrom(candidates);
    yield* waitingFiles({ conditions, dialect, stretch: bounds.stretch, take });
  }
  const first: Selection = { ...selectionOf(result, match), after: sort === 'relevance' ? null : request.after };
  if (!(yield* areCounted(result, first))) return undefined;
  if (ranks === null) yield* firstInOrder(result, first, request.limit + 1);
  else yield* firstByRank(result, ranks);
  return matches;
}

/** Counts a selection unless its number is known; false if dates of other forms must be read one by one. */
function* areCounted({ request, matches }: Result, selection: Selection): Steps<boolean> {
  const { sort, dateFrom, dateTo, knownTotal } = request;
  const readsDates = sort === 'date' || dateFrom !== null || dateTo !== null;
  if (knownTotal !== null && !readsDates) {
    matches.total = knownTotal;
    return true;
  }
  const { total, oddDates } = yield* countFiles(selection, readsDates);
  matches.total += total;
  return oddDates === 0;
}

function selectionOf({ request, conditions }: Result, match: string | null): Selection {
  const { sort, descending } = request;
  return { conditions, match, order: sort === 'relevance' ? 'name' : sort, descending, after: null };
}

/** Whether walking along the order is cheaper than sorting all matches. */
function* isWalkCheaper(
  { request, conditions, matches: { total } }: Result,
  { match, order }: Selection,
): Steps<boolean> {
  const { limit, bounds } = request;
  if (conditions.oneClient && order === 'name') return true;
  const files = yield* highestRow();
  return match === null ? (limit + 1) * files <= total * bounds.few * WALKED : files <= total * PASSED;
}

/** Keeps the matches among some candidates; returns how many. */
function keepFrom({ request, matches }: Result, candidates: readonly Candidate[], rank: number | undefined): number {
  let kept = 0;
  for (const candidate of candidates) {
    const match = matchOf(request, candidate);
    if (match === undefined || (rank !== undefined && match.keys[0] !== rank)) continue;
    if (matches.keep(match)) kept += 1;
  }
  return kept;
}

/** Keeps up to `wanted` first matches of a selection; returns how many. */
function* firstInOrder(result: Result, selection: Selection, wanted: number, rank?: number): Steps<number> {
  const { dialect } = result;
  const isWalked = yield* isWalkCheaper(result, selection);
  const walked = isWalked ? yield* walkedFiles(selection, wanted, dialect) : undefined;
  if (walked !== undefined && rank === undefined) result.matches.plan = 'ordered walk';
  const kept = keepFrom(result, walked ?? [], rank);
  if (walked !== undefined && (walked.length >= wanted || selection.order === 'name')) return kept;
  // The walk does not reach files without a value for the order.
  const last = walked?.at(-1);
  const after = last === undefined ? selection.after : keysOf(selection.order, 0, last);
  const sorted = yield* sortedFiles({ ...selection, after }, wanted - (walked?.length ?? 0), dialect);
  return kept + keepFrom(result, sorted, rank);
}

/** Goes through the levels of relevance until the page is full; within a level, files are ordered by name. */
function* firstByRank(result: Result, ranks: readonly string[]): Steps<void> {
  const { after, descending, limit } = result.request;
  const begun = after === null ? null : Number(after[0]);
  const isAhead = (rank: number) => begun === null || (descending ? rank <= begun : rank >= begun);
  const ahead = [...ranks.entries()].filter(([rank]) => isAhead(rank));
  let wanted = limit + 1;
  for (const [rank, query] of descending ? ahead.reverse() : ahead) {
    const from = rank === begun ? (after?.slice(1) ?? null) : null;
    wanted -= yield* firstOfRank(result, { ...selectionOf(result, query), after: from }, wanted, rank);
    if (wanted <= 0) return;
  }
}

function* firstOfRank(result: Result, selection: Selection, wanted: number, rank: number): Steps<number> {
  const { conditions, dialect, request } = result;
  const { few, stretch } = request.bounds;
  const query = selection.match ?? '';
  const found = yield* indexedRows(query, few);
  if (found.length > few) return yield* firstInOrder(result, selection, wanted, rank);
  let kept = 0;
  const take = (candidates: readonly Candidate[]) => {
    kept += keepFrom(result, candidates, rank);
  };
  const way: Way = { conditions, dialect, stretch, take };
  yield* filesOfRows(found, way);
  return kept;
}

/**
 * A page of a result that is too large to look at each file: counted by SQLite, its first files found in order. Only
 * for what the index and plain columns decide exactly; what waits to be indexed is looked at and merged.
 */
import type { Dialect } from '../sql/dialect.ts';
import type { Steps } from '../sql/procedure.ts';
import { filesOfRows, indexedRows, type Way, waitingFiles } from './candidates.ts';
import type { ExactQuery } from './index-terms.ts';
import { type Candidate, keysOf, MatchList, matchOf } from './matching.ts';
import { countFiles, highestRow, type Selection, sortedFiles, walkedFiles } from './ordered-files.ts';
import type { Conditions } from './search-conditions.ts';
import type { SearchRequest } from './search-filter.ts';

const WALK = 10; // times the few: rows walked through before a sort is better

/** A large result under way. */
interface Result {
  readonly request: SearchRequest;
  readonly conditions: Conditions;
  readonly dialect: Dialect;
  readonly matches: MatchList;
}

/** Fills a page; undefined, where dates of other forms have to be read one by one. */
export function* largeResult(
  request: SearchRequest,
  conditions: Conditions,
  query: ExactQuery | null,
  dialect: Dialect,
): Steps<MatchList | undefined> {
  const { sort, dateFrom, dateTo, knownTotal, bounds } = request;
  const result: Result = { request, conditions, dialect, matches: new MatchList(request) };
  const { matches } = result;
  const match = query?.all ?? null;
  if (match !== null) {
    const take = (candidates: readonly Candidate[]) => matches.addFrom(candidates);
    yield* waitingFiles({ conditions, dialect, stretch: bounds.stretch, take });
  }
  const readsDates = sort === 'date' || dateFrom !== null || dateTo !== null;
  const first: Selection = { ...selectionOf(result, match), after: sort === 'relevance' ? null : request.after };
  if (knownTotal === null || readsDates) {
    const { total, oddDates } = yield* countFiles(first, readsDates);
    if (oddDates > 0) return undefined;
    matches.total += total;
  } else matches.total = knownTotal;
  if (sort === 'relevance' && query !== null) yield* firstByRank(result, query.ranks);
  else yield* firstInOrder(result, first, request.limit + 1, { mayWalk: yield* isDense(result) });
  return matches;
}

function selectionOf({ request, conditions }: Result, match: string | null): Selection {
  const { sort, descending } = request;
  return { conditions, match, order: sort === 'relevance' ? 'name' : sort, descending, after: null };
}

/** Whether a walk along the order meets enough matches. */
function* isDense({ request: { limit, sort, bounds }, conditions, matches: { total } }: Result): Steps<boolean> {
  if (total <= limit) return false;
  if (conditions.oneClient && sort === 'name') return true;
  return (limit + 1) * (yield* highestRow()) <= total * bounds.few * WALK;
}

interface Search {
  readonly mayWalk: boolean;
  /** The step of relevance that is wanted; all of them if left out. */
  readonly rank?: number;
}

/** Keeps the matches among some candidates; how many. */
function keepFrom({ request, matches }: Result, candidates: readonly Candidate[], rank: number | undefined): number {
  let kept = 0;
  for (const candidate of candidates) {
    const match = matchOf(request, candidate);
    if (match === undefined || (rank !== undefined && match.keys[0] !== rank)) continue;
    if (matches.keep(match)) kept += 1;
  }
  return kept;
}

/** Keeps the first matches of a selection, `wanted` of them if there are; how many. */
function* firstInOrder(result: Result, selection: Selection, wanted: number, { mayWalk, rank }: Search): Steps<number> {
  const { dialect } = result;
  const walk = mayWalk ? yield* walkAlong(result, selection, wanted, rank) : { kept: 0, rest: selection };
  if (walk.rest === null) return walk.kept;
  const sorted = yield* sortedFiles(walk.rest, wanted - walk.kept, dialect);
  return walk.kept + keepFrom(result, sorted, rank);
}

/** How far a walk came: what it kept, and what it left unseen. */
interface Walk {
  readonly kept: number;
  readonly rest: Selection | null;
}

function* walkAlong(
  { request, dialect, matches, conditions }: Result,
  selection: Selection,
  wanted: number,
  rank: number | undefined,
): Steps<Walk> {
  const { few, stretch } = request.bounds;
  const result = { request, dialect, matches, conditions };
  let rest = selection;
  let kept = 0;
  for (let walked = 0; walked <= few * WALK; walked += stretch) {
    const found: Candidate[] | undefined = yield* walkedFiles(rest, stretch, dialect);
    const last = found?.at(-1);
    if (found === undefined || last === undefined) return { kept, rest };
    kept += keepFrom(result, found, rank);
    rest = { ...rest, after: keysOf(rest.order, 0, last) };
    if (kept >= wanted) return { kept, rest: null };
  }
  return { kept, rest };
}

/** Goes from step to step of relevance until the page is full; within each, files are in the order of their names. */
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
  if (found.length > few) return yield* firstInOrder(result, selection, wanted, { mayWalk: true, rank });
  let kept = 0;
  const take = (candidates: readonly Candidate[]) => {
    kept += keepFrom(result, candidates, rank);
  };
  const way: Way = { conditions, dialect, stretch, take };
  yield* filesOfRows(found, way);
  return kept;
}

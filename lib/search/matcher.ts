/** Decides, row by row and finally, which files match a search and how they are ordered. */
import { dateOut } from '../values/dates.ts';
import { extensionOf } from '../values/file-category.ts';
import type { SearchPlan } from './plans.ts';
import type { SearchRequest, SearchSort, SortKeys } from './search-filter.ts';
import { foldedText } from './search-index.ts';

/** The columns that decide a match. */
export type Candidate = readonly [
  row: number,
  id: string | null,
  fileName: unknown,
  pathName: unknown,
  fileSize: unknown,
  modificationDate: unknown,
];

/** A matching file with its sort keys. */
export interface Match {
  readonly row: number;
  readonly keys: SortKeys;
}

/** How well a folded name and path match a term, lower is better; undefined if neither contains it. */
function rankOf(term: string, fileName: unknown, pathName: unknown): number | undefined {
  const name = foldedText(fileName);
  const at = name.indexOf(term);
  if (at === 0) return name.length === term.length ? RANKS.exact : RANKS.prefix;
  if (at > 0) return RANKS.inName;
  return foldedText(pathName).includes(term) ? RANKS.inPath : undefined;
}

/** The levels of relevance. */
const RANKS = { exact: 0, prefix: 1, inName: 2, inPath: 3 } as const;

function isWithin(modificationDate: unknown, { dateFrom, dateTo }: SearchRequest): boolean {
  if (dateFrom === null && dateTo === null) return true;
  const date = dateOut(modificationDate);
  return date !== null && (dateFrom === null || date >= dateFrom) && (dateTo === null || date <= dateTo);
}

// From the folded name, like in the index: a full-width dot is a dot.
const hasExtension = (fileName: unknown, wanted: string | null): boolean =>
  wanted === null || extensionOf(foldedText(fileName)) === wanted;

/** The sort keys of a candidate. */
export function keysOf(sort: SearchSort, rank: number, candidate: Candidate): SortKeys {
  const [, id, fileName, , fileSize, modificationDate] = candidate;
  const name = typeof fileName === 'string' ? fileName : '';
  switch (sort) {
    case 'name':
      return [name, id ?? ''];
    case 'size':
      return [typeof fileSize === 'number' ? fileSize : null, id ?? ''];
    case 'date':
      return [dateOut(modificationDate), id ?? ''];
    case 'relevance':
      return [rank, name, id ?? ''];
  }
}

/** The match of a candidate; undefined if it does not match. The statement decides conditions on plain columns. */
export function matchOf(request: SearchRequest, candidate: Candidate): Match | undefined {
  const [row, , fileName, pathName, , modificationDate] = candidate;
  const rank = request.term === '' ? RANKS.exact : rankOf(request.term, fileName, pathName);
  if (rank === undefined) return undefined;
  if (!hasExtension(fileName, request.extension) || !isWithin(modificationDate, request)) return undefined;
  return { row, keys: keysOf(request.sort, rank, candidate) };
}

// UTF-16 sorts characters above U+FFFF before U+E000 to U+FFFF; SQLite compares UTF-8 and sorts them after.
const weight = (unit: number) => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);

/** Compares two texts like SQLite. */
function compareTexts(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i += 1) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (left !== right) return weight(left) - weight(right);
  }
  return a.length - b.length;
}

function compareKey(a: SortKeys[number], b: SortKeys[number], direction: number): number {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? 1 : -1; // last in both directions
  const difference = typeof a === 'string' && typeof b === 'string' ? compareTexts(a, b) : Number(a) - Number(b);
  return difference * direction;
}

/** Compares two sets of keys in the order of a search; negative if the first comes first. */
function compareKeys(a: SortKeys, b: SortKeys, descending: boolean): number {
  const direction = descending ? -1 : 1;
  for (const [place, key] of a.entries()) {
    const difference = compareKey(key, b[place] ?? null, direction);
    if (difference !== 0) return difference;
  }
  return 0;
}

const SLACK = 2_000; // extra matches kept, so that sorting is rare

/** Counts matches and keeps the first ones after the cursor: a page and one more. */
export class MatchList {
  total = 0;
  /** The plan that finds them. */
  plan: SearchPlan;
  readonly #request: SearchRequest;
  readonly #room: number;
  #kept: Match[] = [];

  constructor(request: SearchRequest, plan: SearchPlan) {
    this.#request = request;
    this.plan = plan;
    this.#room = request.limit + 1;
  }

  /** Keeps the matches among some candidates. */
  addFrom(candidates: readonly Candidate[]): void {
    for (const candidate of candidates) {
      const match = matchOf(this.#request, candidate);
      if (match === undefined) continue;
      this.total += 1;
      this.keep(match);
    }
  }

  /** Keeps a match that was counted elsewhere; returns whether it comes after the cursor. */
  keep(match: Match): boolean {
    const { after, descending } = this.#request;
    if (after !== null && compareKeys(match.keys, after, descending) <= 0) return false;
    this.#kept.push(match);
    if (this.#kept.length > this.#room + SLACK) this.#cut();
    return true;
  }

  /** The first matches in order, one more than a page. */
  first(): readonly Match[] {
    this.#cut();
    return this.#kept;
  }

  #cut(): void {
    const { descending } = this.#request;
    this.#kept.sort((a, b) => compareKeys(a.keys, b.keys, descending));
    this.#kept.length = Math.min(this.#kept.length, this.#room);
  }
}

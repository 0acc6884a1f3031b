/**
 * Translates a term and an extension into queries of the search index, in FTS5's query language with every text quoted.
 */

import { rows, type Steps } from '../sql/procedure.ts';
import { quoted } from '../sql/quoted.ts';
import { sql } from '../sql/template.ts';
import type { SearchPlan } from './plans.ts';
import { END } from './search-index.ts';

/** Queries that find exactly the matching rows. */
export interface ExactQuery {
  readonly all: string;
  /** The rows of each level of relevance, best first; together they are all matches. */
  readonly ranks: readonly string[];
}

/** A query of the index. */
export interface IndexQuery {
  /** Its kind; a phrase or a short term may come with an extension. */
  readonly kind: Extract<SearchPlan, 'phrase' | 'short term' | 'extension'>;
  /** Finds every match and few other rows, more cheaply than the exact query. */
  readonly candidates: string;
  /** Null if the index cannot be exact. */
  readonly exact: ExactQuery | null;
}

const GRAM = 3; // characters of a trigram
const MAX_PHRASE = 64; // characters: each costs the index a cursor of its own
const MAX_GRAMS = 150; // past these a scan is as fast
// Characters that the index has not, or takes for one another.
// biome-ignore lint/suspicious/noControlCharactersInRegex: it marks the end of a text there
const INEXACT = /[\u0001\ufffd-\uffff]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: see above
const NOT_INDEXED = /[\u0001\ufffe\uffff]/g;
const LAST_CHARACTER = '\u{10ffff}';

const atStart = (text: string): string => `Name : ^ ${quoted(text)}`;
const anyOf = (queries: readonly string[]): string => `(${queries.join(' OR ')})`;
const without = (query: string, other: string): string => `(${query}) NOT (${other})`;
const both = (query: string, other: string | null): string => (other === null ? query : `(${query}) AND (${other})`);

/** Every third trigram and the last: they cover every character, at a third of the cost of the whole phrase. */
function cover(characters: readonly string[]): string {
  const grams = characters.slice(GRAM - 1).map((_, at) => characters.slice(at, at + GRAM).join(''));
  const chosen = grams.filter((_, at) => at % GRAM === 0 || at === grams.length - 1);
  return [...new Set(chosen)].map(quoted).join(' AND ');
}

/** The trigrams that begin with a shorter term; undefined if there are too many. */
function* gramsBeginning(term: string): Steps<string[] | undefined> {
  const found = yield* rows<readonly [term: string]>(sql`SELECT term FROM search_vocabulary
    WHERE term >= ${term} AND term <= ${term + LAST_CHARACTER.repeat(GRAM)} LIMIT ${MAX_GRAMS + 1}`);
  return found.length > MAX_GRAMS ? undefined : found.map(([gram]) => gram);
}

function exactQuery(term: string, texts: readonly string[]): ExactQuery {
  const all = anyOf(texts.map(quoted));
  const whole = atStart(term + END);
  const prefix = anyOf(texts.map(atStart));
  const inName = `Name : ${all}`;
  return { all, ranks: [whole, without(prefix, whole), without(inName, prefix), without(all, inName)] };
}

/** The query for a term; undefined if a scan is better, null if nothing in the index can match. */
function* termQuery(term: string): Steps<IndexQuery | null | undefined> {
  const characters = [...term.replace(NOT_INDEXED, '\ufffd')];
  const isExact = !INEXACT.test(term);
  if (characters.length >= GRAM) {
    const isWhole = characters.length <= MAX_PHRASE;
    const exact = isExact && isWhole ? exactQuery(term, [term]) : null;
    return { kind: 'phrase', candidates: cover(characters.slice(0, MAX_PHRASE)), exact };
  }
  const grams = yield* gramsBeginning(characters.join(''));
  if (grams === undefined) return undefined;
  if (grams.length === 0) return null;
  const candidates = grams.map(quoted).join(' OR ');
  return { kind: 'short term', candidates, exact: isExact ? exactQuery(term, grams) : null };
}

/** Names that end with an extension and have more characters. */
function extensionQuery(extension: string): IndexQuery {
  const end = `.${extension.replace(NOT_INDEXED, '\ufffd')}${END}`;
  const all = without(`Name : ${quoted(end)}`, atStart(end));
  return { kind: 'extension', candidates: all, exact: INEXACT.test(extension) ? null : { all, ranks: [all] } };
}

/**
 * The query for a term ('' for none) and an extension; undefined if there is nothing to query or a scan is better, null
 * if nothing in the index can match.
 */
export function* indexQuery(term: string, extension: string | null): Steps<IndexQuery | null | undefined> {
  const ending = extension === null ? null : extensionQuery(extension);
  if (term === '') return ending ?? undefined;
  const found = yield* termQuery(term);
  // With an extension the index narrows the files even if it cannot use the term.
  if (found === undefined) return ending === null ? undefined : { ...ending, exact: null };
  if (found === null || ending === null) return found;
  const join = (query: string) => both(query, ending.candidates);
  const { kind, candidates, exact } = found;
  const isExact = exact !== null && ending.exact !== null;
  return {
    kind,
    candidates: join(candidates),
    exact: isExact ? { all: join(exact.all), ranks: exact.ranks.map(join) } : null,
  };
}

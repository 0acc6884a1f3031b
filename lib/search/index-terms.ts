/** How a folded term is asked of the search index: the words of FTS5's own query language, always quoted. */
import sql from 'sql-template-tag';
import { rows, type Steps } from '../sql/procedure.ts';

/** A query of the index. */
export interface IndexQuery {
  /** Finds every row that contains the term, and few others; for a look at each. */
  readonly candidates: string;
  /** Finds exactly the rows that contain the term; null where the index cannot tell. */
  readonly exact: string | null;
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

export const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

const gramsOf = (characters: readonly string[]) =>
  characters.slice(GRAM - 1).map((_, at) => characters.slice(at, at + GRAM).join(''));

/** Every third trigram and the last: together they hold every character, and cost a third of the whole phrase. */
function cover(characters: readonly string[]): string {
  const grams = gramsOf(characters);
  const chosen = grams.filter((_, at) => at % GRAM === 0 || at === grams.length - 1);
  return [...new Set(chosen)].map(quoted).join(' AND ');
}

/** The trigrams that begin with a shorter term; undefined when they are too many. */
function* gramsBeginning(term: string): Steps<string[] | undefined> {
  const found = yield* rows<readonly [term: string]>(sql`SELECT term FROM search_vocabulary
    WHERE term >= ${term} AND term <= ${term + LAST_CHARACTER.repeat(GRAM)} LIMIT ${MAX_GRAMS + 1}`);
  return found.length > MAX_GRAMS ? undefined : found.map(([gram]) => gram);
}

/** How to ask the index for a term; undefined when a scan is better, null when nothing in it can match. */
export function* indexQuery(term: string): Steps<IndexQuery | null | undefined> {
  const characters = [...term.replace(NOT_INDEXED, '\ufffd')];
  const isExact = !INEXACT.test(term);
  if (characters.length >= GRAM) {
    const probe = characters.slice(0, MAX_PHRASE);
    const isWhole = probe.length === characters.length;
    return { candidates: cover(probe), exact: isExact && isWhole ? quoted(term) : null };
  }
  const grams = yield* gramsBeginning(characters.join(''));
  if (grams === undefined) return undefined;
  if (grams.length === 0) return null;
  const query = grams.map(quoted).join(' OR ');
  return { candidates: query, exact: isExact ? query : null };
}

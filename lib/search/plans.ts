/**
 * The named plans of a search: ways to find candidates. search-procedures.ts chooses the one with the fewest rows;
 * tests check which one it was.
 */

/** What each plan does. */
export const SEARCH_PLANS = {
  'no client': 'looks at nothing: no client has the name that is asked for',
  'few files': 'looks at the files of a client or of a range of sizes, through the index of that',
  'waiting files': 'looks at the files that wait for the search index, because nothing in it can match',
  phrase: 'looks at the files that the search index finds for a term of three characters or more',
  'short term': 'looks at the files that the search index finds for a term of one or two characters',
  extension: 'looks at the files that the search index finds for an extension alone',
  'index walk': 'looks at every file that the search index finds, a stretch at a time',
  'ordered walk': 'counts in SQL, then walks along the index of the order; sorts in SQL what has no place in the index',
  sort: 'counts in SQL, then sorts all matches in SQL',
  ranks: 'counts in SQL, then goes from one step of relevance to the next until the page is full',
  scan: 'looks at every file',
} as const;

/** The name of a plan. */
export type SearchPlan = keyof typeof SEARCH_PLANS;

/** `db.files.search`: files by a part of their name or path. */
import type { CatalogFile } from '../core/file-rows.ts';
import { checkPage, cutPage, everyItem, type PageOptions } from '../core/pages.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkObject, checkText } from '../validation.ts';
import { fold } from './fold.ts';
import { searchFiles } from './search-procedures.ts';

/** What to find. */
export interface SearchFilter extends PageOptions {
  /** A literal part of the file's name or path, in any case; 1 to 1,000 characters. Left out: every file. */
  readonly term?: string | undefined;
}

/** A page of matches, ordered by name. */
export interface SearchResult {
  readonly files: CatalogFile[];
  /** Matches in all. */
  readonly total: number;
  readonly nextCursor: string | null;
}

const LIST = 'files.search';
const MAX_TERM = 1_000;
const FILTER_KEYS = new Set(['term', 'limit', 'cursor', 'signal']);

/** The searching calls of `db.files`. */
export function createSearch(executor: Executor) {
  const search = async (filter: SearchFilter = {}): Promise<SearchResult> => {
    checkObject(filter, 'filter', FILTER_KEYS);
    const { term, ...page } = filter;
    const request = checkPage(page, LIST, 2);
    const wanted = term === undefined ? '' : checkText(term, 'term', { max: MAX_TERM });
    const { files, total } = await executor.run(
      searchFiles,
      { ...request, term: fold(wanted) },
      { signal: page.signal },
    );
    const keysOf = ({ fileName, id }: CatalogFile) => [fileName, id];
    const { rows, nextCursor } = cutPage(files, request.limit, LIST, keysOf);
    return { files: rows, total, nextCursor };
  };

  return {
    /**
     * Files whose name or path contains the term.
     * @throws {ValidationError} for a filter that is not accepted
     */
    search,

    /** Every match, a page at a time. */
    searchAll: (filter: SearchFilter = {}, options?: CallOptions): AsyncGenerator<CatalogFile, void, undefined> =>
      everyItem(async (page) => {
        const { files: items, nextCursor } = await search({ ...filter, ...page });
        return { items, nextCursor };
      }, options),
  };
}

/** The searching calls of `db.files`. */
export type Search = ReturnType<typeof createSearch>;

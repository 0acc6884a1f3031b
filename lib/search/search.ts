/** `db.files.search`: files by a part of their name or path, and by what is known of them. */
import type { CatalogFile } from '../core/file-rows.ts';
import { encodeCursor, everyItem } from '../core/pages.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkSignal } from '../validation.ts';
import { checkFilter, listName, type SearchFilter, toCursorKeys } from './search-filter.ts';
import { searchFiles } from './search-procedures.ts';

/** A page of matches. */
export interface SearchResult {
  readonly files: CatalogFile[];
  /** Matches in all. */
  readonly total: number;
  readonly nextCursor: string | null;
}

/** The searching calls of `db.files`. */
export function createSearch(executor: Executor) {
  const search = async (filter: SearchFilter = {}): Promise<SearchResult> => {
    const request = checkFilter(filter);
    const { files, keys, total } = await executor.run(searchFiles, request, { signal: checkSignal(filter.signal) });
    const last = files.length > request.limit ? keys[request.limit - 1] : undefined;
    const nextCursor = last === undefined ? null : encodeCursor(listName(request), toCursorKeys(last));
    return { files: files.slice(0, request.limit), total, nextCursor };
  };

  return {
    /**
     * A page of the files that pass every filter, and how many do in all: exactly what looking at each file would give.
     * @throws {ValidationError} for a filter that is not accepted
     */
    search,

    /** Every match, a page at a time. `limit` and `cursor` are not among the filters here. */
    searchAll: (filter: SearchFilter = {}, options?: CallOptions): AsyncGenerator<CatalogFile, void, undefined> =>
      everyItem(async (page) => {
        const { files: items, nextCursor } = await search({ ...filter, ...page });
        return { items, nextCursor };
      }, options),
  };
}

/** The searching calls of `db.files`. */
export type Search = ReturnType<typeof createSearch>;

/** `db.files.search`: files by a part of their name or path, and by what is known of them. */
import type { CatalogFile } from '../core/file-rows.ts';
import { isBeyondMemory } from '../core/search-index-table.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkCallOptions, checkSignal } from '../validation.ts';
import { encodeCursor } from '../values/pages.ts';
import { checkFilter, listName, type SearchFilter, type SearchRequest, toCursorKeys } from './search-filter.ts';
import { searchFiles } from './search-procedures.ts';

/** A page of matches. */
export interface SearchResult {
  readonly files: CatalogFile[];
  /** Matches in all. */
  readonly total: number;
  readonly nextCursor: string | null;
}

const PAGE = 1_000; // matches in a message

/** The searching calls of `db.files`. */
export function createSearch(executor: Executor) {
  const find = async (request: SearchRequest, signal: AbortSignal | undefined) => {
    const { files, keys, total } = await executor.run(searchFiles, request, { signal }).catch((error: unknown) => {
      if (!isBeyondMemory(error)) throw error;
      return executor.run(searchFiles, { ...request, withoutIndex: true }, { signal });
    });
    const after = files.length > request.limit ? (keys[request.limit - 1] ?? null) : null;
    return { files: files.slice(0, request.limit), total, after };
  };

  const signalOf = (filter: SearchFilter, options: CallOptions | undefined) =>
    checkCallOptions(options).signal ?? checkSignal(filter.signal);

  const search = async (filter: SearchFilter = {}, options?: CallOptions): Promise<SearchResult> => {
    const request = checkFilter(filter);
    const { files, total, after } = await find(request, signalOf(filter, options));
    const nextCursor = after === null ? null : encodeCursor(listName(request), toCursorKeys(after));
    return { files, total, nextCursor };
  };

  return {
    /**
     * A page of the files that pass every filter, and how many do in all: exactly what looking at each file would give.
     * @throws {ValidationError} for a filter that is not accepted
     */
    search,

    /** Every match, a page at a time; a `cursor` says where to begin. */
    async *searchAll(filter: SearchFilter = {}, options?: CallOptions): AsyncGenerator<CatalogFile, void, undefined> {
      let request: SearchRequest = { ...checkFilter(filter), limit: PAGE };
      const signal = signalOf(filter, options);
      for (;;) {
        const { files, total, after } = await find(request, signal);
        yield* files;
        if (after === null) return;
        request = { ...request, after, knownTotal: total };
      }
    },
  };
}

/** The searching calls of `db.files`. */
export type Search = ReturnType<typeof createSearch>;

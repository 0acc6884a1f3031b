/** `db.files.search`: finds files by part of their name or path, and by their properties. */
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
  /** Total number of matches. */
  readonly total: number;
  readonly nextCursor: string | null;
}

/** The part of `db.files` that searches. */
export interface Search {
  /**
   * A page of the files that pass every filter, and the number of all matches. The result is exact, as if each file
   * were compared with the filter.
   * @throws {ValidationError} for a bad filter
   * @example
   * ```ts
   * const { files, total } = await db.files.search({ term: 'report', fileType: 'pdf', sort: 'size', order: 'desc' });
   * console.log(`${total} matches`);
   * for (const { fileName, fileSize } of files) console.log(fileName, fileSize);
   * ```
   */
  search(filter?: SearchFilter, options?: CallOptions): Promise<SearchResult>;

  /** Every match; fetches a page at a time. A `cursor` in the filter sets the start. */
  searchAll(filter?: SearchFilter, options?: CallOptions): AsyncGenerator<CatalogFile, void, undefined>;
}

const PAGE = 1_000; // matches in a message

/**
 * Builds the part of `db.files` that searches.
 * @internal
 */
export function searchOf(executor: Executor): Search {
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

  return {
    async search(filter = {}, options) {
      const request = checkFilter(filter);
      const { files, total, after } = await find(request, signalOf(filter, options));
      const nextCursor = after === null ? null : encodeCursor(listName(request), toCursorKeys(after));
      return { files, total, nextCursor };
    },

    async *searchAll(filter = {}, options) {
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

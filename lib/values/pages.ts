/**
 * Keyset pages: a cursor holds the keys of the last row of a page, so a page costs the same at any depth, and rows
 * written meanwhile neither repeat nor hide others.
 */
import type { CallOptions } from '../sql/engine.ts';
import { checkInteger, checkObject, checkSignal, refuse } from '../validation.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

/** Which page of a list. */
export interface PageOptions extends CallOptions {
  /** Maximum number of rows, 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
  /** `nextCursor` of the previous page; omit it for the first page. */
  readonly cursor?: string | null | undefined;
}

/** A key of a list's order. */
export type Key = string | number;

/** A page request for procedures: `after` holds the keys of the last row seen. */
export interface PageRequest {
  readonly limit: number;
  readonly after: readonly Key[] | null;
}

const PAGE_KEYS = new Set(['limit', 'cursor', 'signal']);

/**
 * @param list the name of the list; cursors of other lists are refused
 * @param keys the number of keys in its order
 * @throws {ValidationError} for a limit out of bounds or a cursor of another list
 */
export function checkPage(options: PageOptions, list: string, keys: number): PageRequest {
  checkObject(options, 'page', PAGE_KEYS);
  checkSignal(options.signal);
  const { limit = DEFAULT_LIMIT, cursor } = options;
  return {
    limit: checkInteger(limit, 'limit', 1, MAX_LIMIT),
    after: cursor === undefined || cursor === null ? null : decodeCursor(cursor, list, keys),
  };
}

/** The cursor after a row. */
export const encodeCursor = (list: string, keys: readonly Key[]): string =>
  Buffer.from(JSON.stringify([list, ...keys])).toString('base64url');

function decodeCursor(cursor: unknown, list: string, keys: number): Key[] {
  const accepted = `a nextCursor of ${list}`;
  if (typeof cursor !== 'string') return refuse('cursor', cursor, accepted);
  try {
    const [name, ...after]: unknown[] = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    const isKey = (key: unknown): key is Key => typeof key === 'string' || Number.isFinite(key);
    if (name === list && after.length === keys && after.every(isKey)) return after as Key[];
  } catch {
    // Not one of our cursors: refused below.
  }
  return refuse('cursor', cursor, accepted);
}

/** The rows of a page, read with one extra row that shows whether another page follows. */
export function cutPage<Row>(
  found: readonly Row[],
  limit: number,
  list: string,
  keysOf: (row: Row) => readonly Key[],
): { rows: Row[]; nextCursor: string | null } {
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  const nextCursor = found.length > limit && last !== undefined ? encodeCursor(list, keysOf(last)) : null;
  return { rows, nextCursor };
}

/** Every item of a list, a page at a time. */
export async function* everyItem<Item>(
  fetchPage: (page: PageOptions) => Promise<{ items: readonly Item[]; nextCursor: string | null }>,
  options: CallOptions = {},
): AsyncGenerator<Item, void, undefined> {
  let cursor: string | null = null;
  do {
    const page: { items: readonly Item[]; nextCursor: string | null } = await fetchPage({
      ...options,
      limit: MAX_LIMIT,
      cursor,
    });
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== null);
}

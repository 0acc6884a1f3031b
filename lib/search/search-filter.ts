/** Checks the filters of `db.files.search` and converts them to the form that the procedures expect. */

import { checkBoolean, checkObject, checkText, optional, refuse, refuseAs } from '../validation.ts';
import { checkDate, type DateInput, dayOf } from '../values/dates.ts';
import { extensionOf } from '../values/file-category.ts';
import { checkSize, MAX_PATH } from '../values/file-input.ts';
import { checkId, type IdInput } from '../values/ids.ts';
import { checkPage, type Key, type PageOptions } from '../values/pages.ts';
import { fold } from './fold.ts';

const SORTS = ['name', 'size', 'date', 'relevance'] as const;
const ORDERS = ['asc', 'desc'] as const;

/** What matches are ordered by. */
export type SearchSort = (typeof SORTS)[number];
export type SearchOrder = (typeof ORDERS)[number];

/** The filters of a search: a file must pass all of them. A file without a value fails the filters on that value. */
export interface SearchFilter extends PageOptions {
  /**
   * A literal part of the file's name or path, at most 32,767 characters; both sides are folded (see `fold`). If
   * omitted or empty, every file matches.
   */
  readonly term?: string | null | undefined;
  /** The last extension of the name, `txt` or `.txt`, in any case. */
  readonly fileType?: string | null | undefined;
  readonly mimeType?: string | null | undefined;
  readonly category?: string | null | undefined;
  readonly clientId?: IdInput | null | undefined;
  /** A part of the client's name, folded like `term`. */
  readonly clientName?: string | null | undefined;
  /** The earliest modification date. A text without a time means the whole day, in UTC. */
  readonly dateFrom?: DateInput | null | undefined;
  /** The latest modification date. A text without a time means the whole day, in UTC. */
  readonly dateTo?: DateInput | null | undefined;
  /** Bytes. */
  readonly minSize?: number | null | undefined;
  /** Bytes. */
  readonly maxSize?: number | null | undefined;
  /** Only files whose current version is verified. Default false. */
  readonly verifiedOnly?: boolean | null | undefined;
  /**
   * `relevance` puts exact names first, then names that begin with the term, names that contain it, and paths that do;
   * it is the default with a term, `name` without. Files of equal relevance are ordered by name, then by id.
   */
  readonly sort?: SearchSort | null | undefined;
  /** Default `asc`, for relevance the order above. Files without a value for the sort come last in either order. */
  readonly order?: SearchOrder | null | undefined;
}

/** The limits of plans, in rows. */
export interface SearchBounds {
  /** Read one by one, in a few milliseconds. */
  readonly few: number;
  /** In memory at once. */
  readonly stretch: number;
}

const BOUNDS: SearchBounds = { few: 2_000, stretch: 2_000 };

/** A checked search. */
export interface SearchRequest {
  /** Folded; '' for none. */
  readonly term: string;
  /** Folded. */
  readonly extension: string | null;
  readonly mimeType: string | null;
  readonly category: string | null;
  readonly clientId: string | null;
  /** Folded. */
  readonly clientName: string | null;
  readonly dateFrom: string | null;
  readonly dateTo: string | null;
  readonly minSize: number | null;
  readonly maxSize: number | null;
  readonly verifiedOnly: boolean;
  readonly sort: SearchSort;
  readonly descending: boolean;
  readonly limit: number;
  /** The keys of the last file of the page before. */
  readonly after: SortKeys | null;
  /** The total of matches from the previous page; null to count them. */
  readonly knownTotal: number | null;
  readonly bounds: SearchBounds;
  /** Read every file, because the index is unusable. */
  readonly withoutIndex?: boolean;
}

/** The sort keys of a file, most important first; the last is its id. Null comes last in both directions. */
export type SortKeys = readonly (string | number | null)[];

const MAX_NAME = 255;
const MAX_MIME_TYPE = 100;
const MAX_CATEGORY = 50;
const PAGE_KEYS = ['limit', 'cursor', 'signal'] as const;
const FILTER_KEYS = new Set<string>([
  'term',
  'fileType',
  'mimeType',
  'category',
  'clientId',
  'clientName',
  'dateFrom',
  'dateTo',
  'minSize',
  'maxSize',
  'verifiedOnly',
  'sort',
  'order',
  ...PAGE_KEYS,
]);

const DAY = /^\d{4}-\d{2}-\d{2}$/;

function checkChoice<Choice extends string>(value: unknown, field: string, choices: readonly Choice[]): Choice {
  return choices.find((choice) => choice === value) ?? refuse(field, value, choices.join(', '));
}

function checkFileType(value: unknown): string {
  const text = checkText(value, 'fileType', { max: MAX_NAME });
  const extension = text.startsWith('.') ? text.slice(1) : text;
  const isOne = extensionOf(`name.${extension}`) === extension.toLowerCase() && !extension.includes('.');
  return isOne ? fold(extension) : refuse('fileType', value, 'one extension such as txt or .txt');
}

/** A day means its first or last instant, so that all of it is included. */
const checkBound = (value: unknown, field: string, time: string) =>
  typeof value === 'string' && DAY.test(value) ? `${dayOf(checkDate(value, field))}${time}` : checkDate(value, field);

/** The name of a cursor's list, which includes the order: cursors of other orders are refused. */
export const listName = ({ sort, descending }: Pick<SearchRequest, 'sort' | 'descending'>): string =>
  `files.search ${sort} ${descending ? 'desc' : 'asc'}`;

const isText = (key: unknown) => typeof key === 'string';
const isNumber = (key: unknown) => typeof key === 'number';
const isId = (key: unknown) => typeof key === 'string' && /^([0-9a-f]{2})*$/.test(key);
// '' encodes null: a cursor holds only texts and numbers.
const KEYS: Readonly<Record<SearchSort, readonly ((key: unknown) => boolean)[]>> = {
  name: [isText, isId],
  size: [(key) => isNumber(key) || key === '', isId],
  date: [isText, isId],
  relevance: [isNumber, isText, isId],
};

/** Sort keys as stored in a cursor. */
export const toCursorKeys = (keys: SortKeys): Key[] => keys.map((key) => key ?? '');

function fromCursorKeys(after: readonly Key[], sort: SearchSort): SortKeys {
  if (!after.every((key, place) => KEYS[sort][place]?.(key)))
    refuseAs('cursor', 'other keys', 'a nextCursor of search');
  const isNullable = sort === 'size' || sort === 'date';
  return after.map((key, place) => (isNullable && place === 0 && key === '' ? null : key));
}

/**
 * The checked form of a filter.
 * @throws {ValidationError} for the first unacceptable field
 */
export function checkFilter(filter: SearchFilter): SearchRequest {
  const given = checkObject(filter, 'filter', FILTER_KEYS);
  const text = (field: string, max: number) => optional(given[field], (value) => checkText(value, field, { max }));
  const folded = (field: string, max: number, min: number) =>
    optional(given[field], (value) => fold(checkText(value, field, { min, max })));
  const size = (field: string) => optional(given[field], (value) => checkSize(value, field));
  const date = (field: string, time: string) => optional(given[field], (value) => checkBound(value, field, time));

  const term = folded('term', MAX_PATH, 0) ?? '';
  const asked = optional(given['sort'], (value) => checkChoice(value, 'sort', SORTS)) ?? 'relevance';
  const sort = term === '' && asked === 'relevance' ? 'name' : asked;
  const descending = optional(given['order'], (value) => checkChoice(value, 'order', ORDERS)) === 'desc';
  const page = Object.fromEntries(PAGE_KEYS.filter((key) => key in given).map((key) => [key, given[key]]));
  const { limit, after } = checkPage(page, listName({ sort, descending }), KEYS[sort].length);
  return {
    term,
    extension: optional(given['fileType'], checkFileType),
    mimeType: text('mimeType', MAX_MIME_TYPE),
    category: text('category', MAX_CATEGORY),
    clientId: optional(given['clientId'], (value) => checkId(value, 'clientId')),
    clientName: folded('clientName', MAX_NAME, 1),
    dateFrom: date('dateFrom', 'T00:00:00.000Z'),
    dateTo: date('dateTo', 'T23:59:59.999Z'),
    minSize: size('minSize'),
    maxSize: size('maxSize'),
    verifiedOnly: optional(given['verifiedOnly'], (value) => checkBoolean(value, 'verifiedOnly')) ?? false,
    sort,
    descending,
    limit,
    after: after === null ? null : fromCursorKeys(after, sort),
    knownTotal: null,
    bounds: BOUNDS,
  };
}

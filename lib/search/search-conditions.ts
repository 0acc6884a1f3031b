/** The filters on plain columns, as conditions on `files f`. */

import { rows, type Steps } from '../sql/procedure.ts';
import { empty, join, type Sql, sql } from '../sql/template.ts';
import { idBytes } from '../values/ids.ts';
import { DAY_MS } from '../values/intervals.ts';
import { fold } from './fold.ts';
import type { SearchRequest } from './search-filter.ts';

/** The filters of a search as conditions. */
export interface Conditions {
  /** On the client, which several indexes begin with. */
  readonly clients: readonly Sql[];
  /** Whether they leave one client. */
  readonly oneClient: boolean;
  /** On the size, which has an index. */
  readonly sizes: readonly Sql[];
  readonly others: readonly Sql[];
  /** The condition on the text of a date in any form for lying within the range. */
  readonly nearDates: readonly Sql[];
  /** The date range, for dates in the library's stored form. */
  readonly exactDates: readonly Sql[];
}

const DAY_LENGTH = 'YYYY-MM-DD'.length;

/** The UTC day some days from a date, within four-digit years. */
function dayBeside(date: string, days: number): string | undefined {
  const shifted = new Date(Date.parse(date) + days * DAY_MS).toISOString();
  return /^\d{4}-/.test(shifted) ? shifted.slice(0, DAY_LENGTH) : undefined;
}

/** Rows of clients whose folded name contains a text. */
function* clientsCalled(name: string): Steps<number[]> {
  const clients = yield* rows<readonly [row: number, name: unknown]>(sql`SELECT rowid, Name FROM clients`);
  return clients.filter(([, stored]) => typeof stored === 'string' && fold(stored).includes(name)).map(([row]) => row);
}

function* clientConditions({ clientId, clientName }: SearchRequest): Steps<Sql[] | null> {
  const conditions = clientId === null ? [] : [sql`f.ClientID = ${idBytes(clientId)}`];
  if (clientName === null) return conditions;
  const clients = yield* clientsCalled(clientName);
  if (clients.length === 0) return null;
  const called = sql`f.ClientID IN (SELECT ID FROM clients
    WHERE rowid IN (SELECT value FROM json_each(${JSON.stringify(clients)})))`;
  return [...conditions, called];
}

function sizeConditions({ minSize, maxSize }: SearchRequest): Sql[] {
  return [
    ...(minSize === null ? [] : [sql`f.FileSize >= ${minSize}`]),
    ...(maxSize === null ? [] : [sql`f.FileSize <= ${maxSize}`]),
  ];
}

/**
 * A stored date may have any form and time zone, so its text alone is exact to a day on either side. The rest is
 * decided row by row.
 */
function nearDates({ dateFrom, dateTo }: SearchRequest): Sql[] {
  const from = dateFrom === null ? undefined : dayBeside(dateFrom, -1);
  const to = dateTo === null ? undefined : dayBeside(dateTo, 2);
  return [
    ...(dateFrom === null && dateTo === null ? [] : [sql`f.ModificationDate IS NOT NULL`]),
    ...(from === undefined ? [] : [sql`f.ModificationDate >= ${from}`]),
    ...(to === undefined ? [] : [sql`f.ModificationDate < ${to}`]),
  ];
}

const exactDates = ({ dateFrom, dateTo }: SearchRequest): Sql[] => [
  ...(dateFrom === null ? [] : [sql`f.ModificationDate >= ${dateFrom}`]),
  ...(dateTo === null ? [] : [sql`f.ModificationDate <= ${dateTo}`]),
];

/** The filters of a search as conditions; null if no client matches the name. */
export function* conditionsOf(request: SearchRequest): Steps<Conditions | null> {
  const clients = yield* clientConditions(request);
  if (clients === null) return null;
  const { mimeType, category, verifiedOnly } = request;
  return {
    clients,
    oneClient: request.clientId !== null,
    sizes: sizeConditions(request),
    others: [
      ...(mimeType === null ? [] : [sql`f.MimeType = ${mimeType}`]),
      ...(category === null ? [] : [sql`f.FileCategory = ${category}`]),
      ...(verifiedOnly ? [sql`f.Verified = 1`] : []),
    ],
    nearDates: nearDates(request),
    exactDates: exactDates(request),
  };
}

const andAll = (conditions: readonly Sql[]): Sql =>
  conditions.length === 0 ? empty : sql` AND ${join(conditions, ' AND ')}`;

/** The filters with an index, as ` AND …`; undefined without any. */
export const indexedFilters = ({ clients, sizes }: Conditions): Sql | undefined =>
  clients.length + sizes.length === 0 ? undefined : andAll([...clients, ...sizes]);

/** The filters as ` AND …`, with dates as exact as their text allows. */
export const nearFilters = ({ clients, sizes, others, nearDates: near }: Conditions): Sql =>
  andAll([...clients, ...sizes, ...others, ...near]);

/** The filters as ` AND …`, for files with dates in the stored form. */
export const exactFilters = (conditions: Conditions): Sql =>
  sql`${nearFilters(conditions)}${andAll(conditions.exactDates)}`;

/** The date range as a condition. */
export const withinDates = ({ exactDates: exact }: Conditions): Sql => sql`1 = 1${andAll(exact)}`;

export const hasFilters = (conditions: Conditions): boolean => nearFilters(conditions) !== empty;

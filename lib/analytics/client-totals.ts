/** Pages of clients with their totals. */

import { useOf } from '../core/quota-rows.ts';
import { perDialect } from '../sql/dialect.ts';
import { all, one, procedure, type Steps } from '../sql/procedure.ts';
import { raw, type Sql, sql } from '../sql/template.ts';
import { dateOut } from '../values/dates.ts';
import { idBytes } from '../values/ids.ts';
import type { PageRequest } from '../values/pages.ts';
import { UNLIMITED_BYTES } from '../values/quota-limit.ts';

/** A client with its totals. Sizes in bytes. */
export interface ClientTotals {
  readonly clientId: string;
  readonly name: string;
  readonly lastSeen: string | null;
  readonly files: number;
  /** Of current versions. */
  readonly bytes: number;
  /** Of every version. */
  readonly usedBytes: number;
  /** Null for no limit. */
  readonly quotaBytes: number | null;
}

/** A figure of a client's record; counted if another program inserted the client without a record. */
const orCounted = (column: string, counted: Sql): Sql =>
  sql`coalesce(${raw(column)}, CASE WHEN q.ClientID IS NULL THEN (${counted}) END, 0)`;

const totalsColumns = perDialect(
  (dialect) => sql`${dialect.hex('c.ID')} AS "clientId", c.Name AS "name", c.LastSeen AS "lastSeen",
    ${orCounted('q.FileCount', sql`SELECT count(*) FROM files f WHERE f.ClientID = c.ID`)} AS "files",
    ${orCounted('q.FileBytes', sql`SELECT ${dialect.sumOfBytes('f.FileSize')} FROM files f WHERE f.ClientID = c.ID`)} AS "bytes",
    ${orCounted('q.UsedBytes', useOf(sql`c.ID`, dialect))} AS "usedBytes",
    coalesce(q.QuotaBytes, ${UNLIMITED_BYTES}) AS "quotaBytes"
    FROM clients c LEFT JOIN client_quotas q ON q.ClientID = c.ID`,
);

const toTotals = ({ lastSeen, quotaBytes, ...client }: ClientTotals): ClientTotals => ({
  ...client,
  lastSeen: dateOut(lastSeen),
  quotaBytes: quotaBytes === null || quotaBytes >= UNLIMITED_BYTES ? null : quotaBytes,
});

/** By name, one row more than asked for. */
export const listClientTotals = procedure(
  'analytics.clients',
  'read',
  function* ({ limit, after }: PageRequest, dialect): Steps<ClientTotals[]> {
    const condition = after === null ? sql`1 = 1` : sql`c.Name > ${after[0]}`;
    return yield* all<ClientTotals>(sql`SELECT ${totalsColumns(dialect)} WHERE ${condition}
      ORDER BY c.Name LIMIT ${dialect.unplanned(limit + 1)}`);
  },
  { decode: (found) => found.map(toTotals) },
);

export const getClientTotals = procedure(
  'analytics.client',
  'read',
  function* (clientId: string, dialect): Steps<ClientTotals | undefined> {
    return yield* one<ClientTotals>(
      sql`SELECT ${totalsColumns(dialect)} WHERE c.ID = ${dialect.unplanned(idBytes(clientId))}`,
    );
  },
  { decode: (found) => (found === undefined ? null : toTotals(found)) },
);

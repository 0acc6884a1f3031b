/**
 * Reads quotas, and decides what fits. The use counts every stored version; reservations count until they expire, by
 * the clock of the asking transaction, so that nobody needs to remove them.
 */

import { QuotaExceededError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { run, type Steps } from '../sql/procedure.ts';
import { type Sql, sql } from '../sql/template.ts';
import { placesOf, type Row, selected } from '../sql/tuple.ts';
import { idBytes } from '../values/ids.ts';
import { UNLIMITED_BYTES } from '../values/quota-limit.ts';

/** A client's limit and use. Sizes in bytes. */
export interface Quota {
  readonly clientId: string;
  /** Null for no limit. */
  readonly quotaBytes: number | null;
  /** Bytes of every stored version. */
  readonly usedBytes: number;
  /** Bytes reserved for running uploads. */
  readonly reservedBytes: number;
  /** The fraction of the quota, 0 to 1, at which saves report a warning. */
  readonly warningThreshold: number;
}

// The reserved bytes depend on the time, so their SQL is in the statement, after the other columns.
const STORED_COLUMNS = [
  { name: 'clientId', kind: 'id', column: 'c.ID' },
  { name: 'quotaBytes', kind: 'plain', column: `coalesce(q.QuotaBytes, ${UNLIMITED_BYTES})` },
  { name: 'warningThreshold', kind: 'plain', column: 'coalesce(q.WarningThreshold, 0.8)' },
] as const;

const QUOTA_COLUMNS = [
  ...STORED_COLUMNS,
  { name: 'usedBytes', kind: 'plain' },
  { name: 'reservedBytes', kind: 'plain' },
] as const;

/** A quota as a tuple; no limit is {@link UNLIMITED_BYTES}. */
export type QuotaRow = Row<typeof QUOTA_COLUMNS, Room & Pick<Quota, 'clientId' | 'warningThreshold'>>;

const QUOTA = placesOf(QUOTA_COLUMNS);
const storedColumns = selected(STORED_COLUMNS, ({ column }) => column);

/** Selects a {@link QuotaRow} of each client, called `c`; reservations that expire after `at` count. */
export const selectQuotas = (dialect: Dialect, at: string): Sql =>
  sql`SELECT ${storedColumns(dialect)},
    coalesce(q.UsedBytes, CASE WHEN q.ClientID IS NULL THEN ${useOf(sql`c.ID`, dialect)} END, 0) AS "usedBytes",
    (SELECT coalesce(sum(r.Bytes), 0) FROM quota_reservations r
      WHERE r.ClientID = c.ID AND r.ExpiresAt > ${at}) AS "reservedBytes"
    FROM clients c LEFT JOIN client_quotas q ON q.ClientID = c.ID`;

/** The figures to compare with the limit of a row. */
export const roomOf = (row: QuotaRow): Room => ({
  quotaBytes: row[QUOTA.quotaBytes],
  usedBytes: row[QUOTA.usedBytes],
  reservedBytes: row[QUOTA.reservedBytes],
});

/** The quota of a row. */
export const toQuota = (row: QuotaRow): Quota => ({
  clientId: row[QUOTA.clientId],
  quotaBytes: row[QUOTA.quotaBytes] >= UNLIMITED_BYTES ? null : row[QUOTA.quotaBytes],
  usedBytes: row[QUOTA.usedBytes],
  reservedBytes: row[QUOTA.reservedBytes],
  warningThreshold: row[QUOTA.warningThreshold],
});

/** The counted bytes of a client's versions, which its record should hold. */
export const useOf = (client: Sql, dialect: Dialect): Sql =>
  sql`(SELECT ${dialect.sumOfBytes('v.FileSize')} FROM files f JOIN file_versions v ON v.FileID = f.ID
    WHERE f.ClientID = ${client})`;

/** Sets a client's record to the counted bytes of its files. */
export function* countQuota(clientId: string, dialect: Dialect): Steps<void> {
  const client = sql`${idBytes(clientId)}`;
  yield* run(sql`UPDATE client_quotas SET UsedBytes = ${useOf(client, dialect)},
    (FileCount, FileBytes) = (SELECT count(*), ${dialect.sumOfBytes('f.FileSize')} FROM files f
      WHERE f.ClientID = ${client}) WHERE ClientID = ${client}`);
}

/** Gives a record to a client that another program inserted without one; it has no limit. */
export function* insertMissingQuota(clientId: string, at: string, dialect: Dialect): Steps<void> {
  yield* run(sql`INSERT INTO client_quotas (ClientID, QuotaBytes, UsedBytes, LastUpdated)
    VALUES (${idBytes(clientId)}, ${UNLIMITED_BYTES}, 0, ${at})`);
  yield* countQuota(clientId, dialect);
}

/** The figures to compare with a limit, in bytes. */
export interface Room {
  readonly quotaBytes: number;
  readonly usedBytes: number;
  readonly reservedBytes: number;
}

/** @throws {QuotaExceededError} if this many more bytes do not fit */
export function assertFits({ quotaBytes, usedBytes, reservedBytes }: Room, requestedBytes: number): void {
  if (usedBytes + reservedBytes + requestedBytes <= quotaBytes) return;
  throw new QuotaExceededError({ quotaBytes, usedBytes, reservedBytes, requestedBytes });
}

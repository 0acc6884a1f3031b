/**
 * A client's quota as it is read, and the one rule of what fits. Use counts every stored version; reservations count
 * until they expire, by the clock of the transaction that asks, so that they need nobody to remove them.
 */

import { QuotaExceededError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { run, type Steps } from '../sql/procedure.ts';
import { type Sql, sql } from '../sql/template.ts';
import { placesOf, type Row, selected } from '../sql/tuple.ts';
import { idBytes } from '../values/ids.ts';
import { UNLIMITED_BYTES } from '../values/quota-limit.ts';

/** What a client may store, and what it does. Sizes in bytes. */
export interface Quota {
  readonly clientId: string;
  /** Null for no limit. */
  readonly quotaBytes: number | null;
  /** Bytes of every stored version. */
  readonly usedBytes: number;
  /** Bytes held for uploads that have not been saved yet. */
  readonly reservedBytes: number;
  /** The part of the quota, 0 to 1, from which saves report a warning. */
  readonly warningThreshold: number;
}

// What is reserved depends on the time, so its text stands in the statement, after that of the others.
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

/** What a row's limit is held against. */
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

/** The bytes of every version of a client, counted: what its record says, where there is one. */
export const useOf = (client: Sql, dialect: Dialect): Sql =>
  sql`(SELECT ${dialect.sumOfBytes('v.FileSize')} FROM files f JOIN file_versions v ON v.FileID = f.ID
    WHERE f.ClientID = ${client})`;

/** Sets what a client's record says of its files to what they come to. */
export function* countQuota(clientId: string, dialect: Dialect): Steps<void> {
  const client = sql`${idBytes(clientId)}`;
  yield* run(sql`UPDATE client_quotas SET UsedBytes = ${useOf(client, dialect)},
    (FileCount, FileBytes) = (SELECT count(*), ${dialect.sumOfBytes('f.FileSize')} FROM files f
      WHERE f.ClientID = ${client}) WHERE ClientID = ${client}`);
}

/** Gives a client its record that another program inserted without one. It had no limit, so it gets none. */
export function* insertMissingQuota(clientId: string, at: string, dialect: Dialect): Steps<void> {
  yield* run(sql`INSERT INTO client_quotas (ClientID, QuotaBytes, UsedBytes, LastUpdated)
    VALUES (${idBytes(clientId)}, ${UNLIMITED_BYTES}, 0, ${at})`);
  yield* countQuota(clientId, dialect);
}

/** What a limit is held against, in bytes. */
export interface Room {
  readonly quotaBytes: number;
  readonly usedBytes: number;
  readonly reservedBytes: number;
}

/** @throws {QuotaExceededError} when so many bytes more do not fit beside what is used and reserved */
export function assertFits({ quotaBytes, usedBytes, reservedBytes }: Room, requestedBytes: number): void {
  if (usedBytes + reservedBytes + requestedBytes <= quotaBytes) return;
  throw new QuotaExceededError({ quotaBytes, usedBytes, reservedBytes, requestedBytes });
}

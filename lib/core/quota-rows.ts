/**
 * A client's quota as it is read, and the one rule of what fits. Use counts every stored version; reservations count
 * until they expire, by the clock of the transaction that asks, so that they need nobody to remove them.
 */

import { QuotaExceededError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { run, type Steps } from '../sql/procedure.ts';
import { raw, type Sql, sql } from '../sql/template.ts';
import { countedBytes, sumOfWhole } from '../values/counted-bytes.ts';
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

/** A quota as a tuple; no limit is {@link UNLIMITED_BYTES}. */
export type QuotaRow = readonly [
  clientId: string,
  quotaBytes: number,
  usedBytes: number,
  reservedBytes: number,
  warningThreshold: number,
];

/** Selects a {@link QuotaRow} of each client, called `c`; reservations that expire after `at` count. */
export const selectQuotas = (dialect: Dialect, at: string): Sql =>
  sql`SELECT ${dialect.hex('c.ID')} AS "clientId", coalesce(q.QuotaBytes, ${UNLIMITED_BYTES}) AS "quotaBytes",
    coalesce(q.UsedBytes, CASE WHEN q.ClientID IS NULL THEN ${useOf(sql`c.ID`)} END, 0) AS "usedBytes",
    (SELECT coalesce(sum(r.Bytes), 0) FROM quota_reservations r
      WHERE r.ClientID = c.ID AND r.ExpiresAt > ${at}) AS "reservedBytes",
    coalesce(q.WarningThreshold, 0.8) AS "warningThreshold"
    FROM clients c LEFT JOIN client_quotas q ON q.ClientID = c.ID`;

/** The quota of a row. */
export const toQuota = ([clientId, quotaBytes, usedBytes, reservedBytes, warningThreshold]: QuotaRow): Quota => ({
  clientId,
  quotaBytes: quotaBytes >= UNLIMITED_BYTES ? null : quotaBytes,
  usedBytes,
  reservedBytes,
  warningThreshold,
});

/** The bytes of versions, of a table called `v`. */
const sumOfSizes = raw(sumOfWhole(countedBytes('v.FileSize')));

/** The bytes of every version of a client, counted: what its record says, where there is one. */
export const useOf = (client: Sql): Sql =>
  sql`(SELECT ${sumOfSizes} FROM files f JOIN file_versions v ON v.FileID = f.ID WHERE f.ClientID = ${client})`;

/** The bytes of current versions, of a table called `f`. */
export const FILE_BYTES = raw(sumOfWhole(countedBytes('f.FileSize')));

/** Sets what a client's record says of its files to what they come to. */
export function* countQuota(clientId: string): Steps<void> {
  const client = sql`${idBytes(clientId)}`;
  yield* run(sql`UPDATE client_quotas SET UsedBytes = ${useOf(client)},
    (FileCount, FileBytes) = (SELECT count(*), ${FILE_BYTES} FROM files f WHERE f.ClientID = ${client})
    WHERE ClientID = ${client}`);
}

/** Gives a client its record that another program inserted without one. It had no limit, so it gets none. */
export function* insertMissingQuota(clientId: string, at: string): Steps<void> {
  yield* run(sql`INSERT INTO client_quotas (ClientID, QuotaBytes, UsedBytes, LastUpdated)
    VALUES (${idBytes(clientId)}, ${UNLIMITED_BYTES}, 0, ${at})`);
  yield* countQuota(clientId);
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

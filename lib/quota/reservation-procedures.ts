/**
 * The statements behind reservations. A row holds room until it expires, is released or is committed; a commit removes
 * it in the transaction that saves the file, before the save checks the quota.
 */

import { assertNotDeleting } from '../core/client-deletion-procedures.ts';
import { assertFits, type QuotaRow, roomOf, selectQuotas } from '../core/quota-rows.ts';
import { saveFile } from '../core/save-file.ts';
import { NotFoundError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { one, procedure, row, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { now } from '../values/dates.ts';
import type { FileToSave } from '../values/file-input.ts';
import { idBytes, newId } from '../values/ids.ts';

/** Room to hold. */
export interface RoomToReserve {
  readonly clientId: string;
  readonly bytes: number;
  readonly ttlMs: number;
}

/** A reservation as the database holds it. */
export interface StoredReservation {
  readonly id: string;
  readonly clientId: string;
  readonly bytes: number;
  readonly expiresAt: string;
}

const MOST_EXPIRED = 100; // expired rows that one reservation removes: more than it adds, so the table shrinks

const dropExpired = (at: string, dialect: Dialect) =>
  run(sql`DELETE FROM quota_reservations WHERE ID IN
    (SELECT ID FROM quota_reservations WHERE ExpiresAt <= ${at} ORDER BY ExpiresAt LIMIT ${dialect.unplanned(MOST_EXPIRED)})`);

const removeReservation = (id: string) => run(sql`DELETE FROM quota_reservations WHERE ID = ${idBytes(id)}`);

export const reserveRoom = procedure(
  'quotas.reserve',
  'write',
  function* ({ clientId, bytes, ttlMs }: RoomToReserve, dialect): Steps<StoredReservation> {
    const at = now();
    const client = idBytes(clientId);
    const quota = yield* row<QuotaRow>(sql`${selectQuotas(dialect, at)} WHERE c.ID = ${dialect.unplanned(client)}`);
    if (quota === undefined) throw new NotFoundError(`client ${clientId}`);
    yield* assertNotDeleting(clientId);
    // Also without a limit: sums above 2^53-1 are not exact.
    assertFits(roomOf(quota), bytes);
    yield* dropExpired(at, dialect);
    const id = newId();
    const expiresAt = new Date(Date.parse(at) + ttlMs).toISOString();
    yield* run(sql`INSERT INTO quota_reservations (ID, ClientID, Bytes, ExpiresAt)
      VALUES (${idBytes(id)}, ${client}, ${bytes}, ${expiresAt})`);
    return { id, clientId, bytes, expiresAt };
  },
);

/** The reservation of an id, unless it has expired. */
export const getReservation = procedure(
  'quotas.reservation',
  'read',
  function* (id: string, dialect): Steps<StoredReservation | null> {
    const found = yield* one<StoredReservation>(sql`SELECT ${dialect.hex('ID')} AS "id",
      ${dialect.hex('ClientID')} AS "clientId", Bytes AS "bytes", ExpiresAt AS "expiresAt"
      FROM quota_reservations WHERE ID = ${idBytes(id)} AND ExpiresAt > ${now()}`);
    return found ?? null;
  },
);

/** Saves a file into its reserved room; after expiry it is an ordinary save. */
export const commitReservation = procedure(
  'quotas.commit',
  'write',
  function* ({ id, file }: { readonly id: string; readonly file: FileToSave }, dialect) {
    yield* removeReservation(id);
    return yield* saveFile.steps(file, dialect);
  },
  { decode: saveFile.decode },
);

/** Releases the room; does nothing after expiry or release. */
export const releaseReservation = procedure('quotas.release', 'write', function* (id: string): Steps<void> {
  yield* removeReservation(id);
});

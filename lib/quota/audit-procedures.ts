/** Recounts a client's use: both figures come from one snapshot, so that concurrent saves never look like drift. */

import { insertMissingQuota, useOf } from '../core/quota-rows.ts';
import type { Dialect } from '../sql/dialect.ts';
import { one, procedure, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { isSameTotal } from '../values/counted-bytes.ts';
import { now } from '../values/dates.ts';
import { idBytes } from '../values/ids.ts';

/** A client's recorded use, and the use counted from its versions. Sizes in bytes. */
export interface MeasuredUse {
  readonly recordedBytes: number;
  readonly actualBytes: number;
}

function* measure(clientId: string, dialect: Dialect): Steps<MeasuredUse | null> {
  const id = idBytes(clientId);
  const found = yield* one<MeasuredUse>(sql`SELECT coalesce(q.UsedBytes, 0) AS "recordedBytes",
    ${useOf(sql`c.ID`, dialect)} AS "actualBytes"
    FROM clients c LEFT JOIN client_quotas q ON q.ClientID = c.ID WHERE c.ID = ${id}`);
  return found ?? null;
}

/** Counts every version of a client; null if the client does not exist. */
export const measureUse = procedure(
  'quotas.measureUse',
  'read',
  function* (clientId: string, dialect) {
    return yield* measure(clientId, dialect);
  },
  { alone: true },
);

/**
 * Adds the drift found in a snapshot: later saves have counted themselves on top of the wrong record. False if there is
 * no record to correct.
 */
export const adjustUse = procedure(
  'quotas.adjustUse',
  'write',
  function* ({ clientId, bytes }: { readonly clientId: string; readonly bytes: number }): Steps<boolean> {
    const { changes } = yield* run(sql`UPDATE client_quotas SET UsedBytes = coalesce(UsedBytes, 0) + ${bytes},
      LastUpdated = ${now()} WHERE ClientID = ${idBytes(clientId)}`);
    return changes > 0;
  },
);

/** Recounts while holding the writer, and sets the record to the result. */
export const repairUse = procedure(
  'quotas.repairUse',
  'write',
  function* (clientId: string, dialect): Steps<MeasuredUse | null> {
    const found = yield* measure(clientId, dialect);
    if (found === null || isSameTotal(found.recordedBytes, found.actualBytes)) return found;
    const client = idBytes(clientId);
    const { changes } = yield* run(sql`UPDATE client_quotas SET UsedBytes = ${useOf(sql`${client}`, dialect)},
      LastUpdated = ${now()} WHERE ClientID = ${client}`);
    if (changes === 0) yield* insertMissingQuota(clientId, now(), dialect);
    return found;
  },
);

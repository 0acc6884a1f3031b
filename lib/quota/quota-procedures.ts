/** The statements behind `db.quotas`. */

import { countQuota, type Quota, type QuotaRow, selectQuotas, toQuota } from '../core/quota-rows.ts';
import { NotFoundError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { one, procedure, row, rows, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { now } from '../values/dates.ts';
import { idBytes } from '../values/ids.ts';
import type { PageRequest } from '../values/pages.ts';

/** A new limit. */
export interface QuotaToSet {
  readonly clientId: string;
  readonly quotaBytes: number;
  /** Null keeps the present value. */
  readonly warningThreshold: number | null;
}

export const getQuota = procedure(
  'quotas.get',
  'read',
  function* (clientId: string, dialect) {
    return yield* row<QuotaRow>(
      sql`${selectQuotas(dialect, now())} WHERE c.ID = ${dialect.unplanned(idBytes(clientId))}`,
    );
  },
  { decode: (found): Quota | null => (found === undefined ? null : toQuota(found)), brief: true },
);

/** A page of quotas by client id, one row more than asked for. */
export const listQuotas = procedure(
  'quotas.list',
  'read',
  function* ({ limit, after }: PageRequest, dialect) {
    const condition = after === null ? sql`1 = 1` : sql`c.ID > ${idBytes(String(after[0]))}`;
    return yield* rows<QuotaRow>(
      sql`${selectQuotas(dialect, now())} WHERE ${condition} ORDER BY c.ID LIMIT ${dialect.unplanned(limit + 1)}`,
    );
  },
  { decode: (found): Quota[] => found.map(toQuota) },
);

// Only for a client that an old server left without a quota; counts its use once.
function* insertQuota({ clientId, quotaBytes, warningThreshold }: QuotaToSet, dialect: Dialect): Steps<void> {
  const id = idBytes(clientId);
  yield* run(sql`INSERT INTO client_quotas (ClientID, QuotaBytes, UsedBytes, LastUpdated, WarningThreshold)
    VALUES (${id}, ${quotaBytes}, 0, ${now()}, coalesce(${warningThreshold}, 0.8))`);
  yield* countQuota(clientId, dialect);
}

export const setQuota = procedure(
  'quotas.set',
  'write',
  function* ({ clientId, quotaBytes, warningThreshold }: QuotaToSet, dialect): Steps<QuotaRow> {
    const id = idBytes(clientId);
    const known = yield* one(sql`SELECT 1 AS "known" FROM clients WHERE ID = ${id}`);
    if (known === undefined) throw new NotFoundError(`client ${clientId}`);
    const { changes } = yield* run(sql`UPDATE client_quotas SET QuotaBytes = ${quotaBytes}, LastUpdated = ${now()},
      WarningThreshold = coalesce(${warningThreshold}, WarningThreshold) WHERE ClientID = ${id}`);
    if (changes === 0) yield* insertQuota({ clientId, quotaBytes, warningThreshold }, dialect);
    const found = yield* row<QuotaRow>(sql`${selectQuotas(dialect, now())} WHERE c.ID = ${dialect.unplanned(id)}`);
    if (found === undefined) throw new NotFoundError(`client ${clientId}`);
    return found;
  },
  { decode: toQuota },
);

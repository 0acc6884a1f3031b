/**
 * The database part of metrics: one procedure, one snapshot. It reads totals that every change updates, and one row per
 * client, but no files or versions.
 */

import { perDialect } from '../sql/dialect.ts';
import { all, one, procedure, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { now } from '../values/dates.ts';
import { UNLIMITED_BYTES } from '../values/quota-limit.ts';

/** How much of a client's quota is used: `warning` from its threshold, `full` when nothing more fits. */
export const QUOTA_USES = ['ok', 'warning', 'full', 'unlimited'] as const;

export type QuotaUse = (typeof QUOTA_USES)[number];

/** The last maintenance of a kind, and the last successful one. Times as in the maintenance history. */
export interface MaintenanceFigures {
  readonly kind: string;
  readonly startedAt: string;
  readonly durationMs: number;
  /** 1 or 0, as stored. */
  readonly ok: number;
  readonly detail: string | null;
}

/** Figures of the whole catalogue; sizes in bytes. */
export interface CatalogueFigures {
  readonly databaseId: string | null;
  readonly schemaVersion: number | null;
  readonly clients: number;
  readonly files: { readonly files: number; readonly bytes: number; readonly verified: number };
  /** Versions ever made, including removed ones. */
  readonly versionsCreated: number;
  /** Bytes of every stored version. */
  readonly storedBytes: number;
  readonly quotas: readonly { readonly use: QuotaUse; readonly clients: number }[];
  readonly reservations: { readonly count: number; readonly bytes: number };
  readonly pages: { readonly pageSize: number; readonly pageCount: number; readonly freePages: number };
  /** Newest first. */
  readonly maintenance: readonly MaintenanceFigures[];
}

interface Counted {
  readonly count: number;
}

const fileTotals = perDialect(
  (dialect) => sql`SELECT coalesce(sum(Files), 0) AS "files", coalesce(sum(${dialect.float('Bytes')}), 0) AS "bytes",
  coalesce(sum(CASE WHEN Verified = 1 THEN Files ELSE 0 END), 0) AS "verified" FROM file_totals`,
);

const quotaUse = perDialect(
  (dialect) => sql`SELECT CASE WHEN QuotaBytes >= ${UNLIMITED_BYTES} THEN 'unlimited'
    WHEN UsedBytes >= QuotaBytes THEN 'full'
    WHEN UsedBytes >= QuotaBytes * WarningThreshold THEN 'warning' ELSE 'ok' END AS "use",
  count(*) AS "clients", coalesce(sum(${dialect.float('UsedBytes')}), 0) AS "bytes" FROM client_quotas GROUP BY 1`,
);

const maintenance = sql`SELECT Kind AS "kind", StartedAt AS "startedAt", DurationMs AS "durationMs",
  Succeeded AS "ok", Detail AS "detail" FROM maintenance_history
  WHERE ID IN (SELECT max(ID) FROM maintenance_history GROUP BY Kind
    UNION ALL SELECT max(ID) FROM maintenance_history WHERE Succeeded = 1 GROUP BY Kind) ORDER BY ID DESC`;

/** All figures at one instant. */
export const catalogueFigures = procedure(
  'health.metrics',
  'read',
  function* (_: null, dialect): Steps<CatalogueFigures> {
    const identity = yield* one<{ id: string }>(sql`SELECT DatabaseID AS "id" FROM catalog_identity`);
    const schema = yield* one<{ version: number }>(sql`SELECT max(version) AS "version" FROM catalog_migrations`);
    const clients = yield* one<Counted>(sql`SELECT count(*) AS "count" FROM clients`);
    const files = yield* one<CatalogueFigures['files']>(fileTotals(dialect));
    const created = yield* one<{ id: number }>(dialect.highestId('file_versions'));
    const quotas = yield* all<{ use: QuotaUse; clients: number; bytes: number }>(quotaUse(dialect));
    const reserved = yield* one<CatalogueFigures['reservations']>(sql`SELECT count(*) AS "count",
      coalesce(sum(${dialect.float('Bytes')}), 0) AS "bytes" FROM quota_reservations WHERE ExpiresAt > ${now()}`);
    const pages = yield* one<CatalogueFigures['pages']>(dialect.pages());
    return {
      databaseId: identity?.id ?? null,
      schemaVersion: schema?.version ?? null,
      clients: clients?.count ?? 0,
      files: files ?? { files: 0, bytes: 0, verified: 0 },
      versionsCreated: created?.id ?? 0,
      storedBytes: quotas.reduce((sum, { bytes }) => sum + bytes, 0),
      quotas: quotas.map(({ use, clients: count }) => ({ use, clients: count })),
      reservations: reserved ?? { count: 0, bytes: 0 },
      pages: pages ?? { pageSize: 0, pageCount: 0, freePages: 0 },
      maintenance: yield* all<MaintenanceFigures>(maintenance),
    };
  },
  { alone: true },
);

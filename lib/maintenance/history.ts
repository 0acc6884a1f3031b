/**
 * The maintenance history: one row for each backup, drill, restore, check and audit with its outcome, so that health
 * can report the last verdict and the age of the last good one. Also the identity of the database, which its backups
 * carry.
 */
import { one, procedure, run, type Steps } from '../sql/procedure.ts';
import { raw, type Sql, sql } from '../sql/template.ts';

/**
 * The kinds of work: backups, drills and restores; `check`, the routine check of the whole file; `integrity`, SQLite's
 * complete check; `foreign-keys`, whether all referenced rows exist; `quota-audit` and `totals-audit`, the audits. A
 * check or audit is `ok` if it found nothing wrong; one that could not finish has no verdict and no row.
 */
export const MAINTENANCE_KINDS = [
  'backup',
  'drill',
  'restore',
  'check',
  'integrity',
  'foreign-keys',
  'quota-audit',
  'totals-audit',
] as const;

export type MaintenanceKind = (typeof MAINTENANCE_KINDS)[number];

/** One finished piece of work. */
export interface MaintenanceRecord {
  readonly kind: MaintenanceKind;
  /** When it began. */
  readonly startedAt: string;
  readonly durationMs: number;
  readonly ok: boolean;
  /** Its object, such as the path of a backup; if it failed, the problem. */
  readonly detail: string | null;
}

/** The last successful work of each kind; null without any. */
export type LastMaintenance = Readonly<Record<MaintenanceKind, MaintenanceRecord | null>>;

const KEPT = 1_000; // rows of each kind: years of daily backups in a small table

/** Records a piece of work, and removes the oldest rows of its kind. */
export const recordMaintenance = procedure(
  'maintenance.record',
  'write',
  function* (input: MaintenanceRecord): Steps<void> {
    const { kind, startedAt, durationMs, ok, detail } = input;
    yield* run(sql`INSERT INTO maintenance_history (Kind, StartedAt, DurationMs, Succeeded, Detail)
    VALUES (${kind}, ${startedAt}, ${Math.round(durationMs)}, ${ok ? 1 : 0}, ${detail})`);
    yield* run(sql`DELETE FROM maintenance_history WHERE Kind = ${kind} AND ID <=
    (SELECT ID FROM maintenance_history WHERE Kind = ${kind} ORDER BY ID DESC LIMIT 1 OFFSET ${KEPT})`);
  },
);

type Stored = Omit<MaintenanceRecord, 'ok'> & { readonly ok: number };

const decode = (found: Stored | undefined): MaintenanceRecord | null =>
  found === undefined ? null : { ...found, ok: found.ok === 1 };

const columns = raw(
  'Kind AS "kind", StartedAt AS "startedAt", DurationMs AS "durationMs", Succeeded AS "ok", Detail AS "detail"',
);

// One index lookup for each kind, whatever the size of the table.
function* lastOfEach(condition: Sql): Steps<Stored[]> {
  const found: Stored[] = [];
  for (const kind of MAINTENANCE_KINDS) {
    const last = yield* one<Stored>(sql`SELECT ${columns} FROM maintenance_history
      WHERE Kind = ${kind} AND ${condition} ORDER BY ID DESC LIMIT 1`);
    if (last !== undefined) found.push(last);
  }
  return found;
}

const byKind = (rows: readonly Stored[]): LastMaintenance =>
  Object.fromEntries(
    MAINTENANCE_KINDS.map((kind) => [kind, decode(rows.find((row) => row.kind === kind))]),
  ) as LastMaintenance;

/** The last successful work of each kind. */
export const lastMaintenance = procedure(
  'maintenance.last',
  'read',
  function* (_: null): Steps<Stored[]> {
    return yield* lastOfEach(sql`Succeeded = 1`);
  },
  { decode: byKind },
);

/** The history that health uses. */
export interface MaintenanceState {
  /** The last success of each kind. */
  readonly succeeded: LastMaintenance;
  /** The last of each kind, whatever its outcome. */
  readonly latest: LastMaintenance;
  /** When the catalogue was created or adopted. */
  readonly createdAt: string | null;
}

interface StateWire {
  readonly succeeded: Stored[];
  readonly latest: Stored[];
  readonly createdAt: string | null;
}

/** The history for health; null if the schema has none. */
export const maintenanceState = procedure(
  'maintenance.state',
  'read',
  function* (_: null, dialect): Steps<StateWire | null> {
    const exists = yield* one(dialect.hasTable('maintenance_history'));
    if (exists === undefined) return null;
    const made = yield* one<{ at: string | null }>(sql`SELECT min(applied_at) AS "at" FROM catalog_migrations`);
    const succeeded = yield* lastOfEach(sql`Succeeded = 1`);
    return { succeeded, latest: yield* lastOfEach(sql`1 = 1`), createdAt: made?.at ?? null };
  },
  {
    decode: (wire): MaintenanceState | null =>
      wire === null ? null : { ...wire, succeeded: byKind(wire.succeeded), latest: byKind(wire.latest) },
  },
);

/** The identity of the database: made with its schema, the same in every backup of it, and kept by a restore. */
export const databaseIdentity = procedure(
  'maintenance.identity',
  'read',
  function* (_: null, dialect): Steps<string | null> {
    // A catalogue with an older schema has none.
    const exists = yield* one(dialect.hasTable('catalog_identity'));
    if (exists === undefined) return null;
    const found = yield* one<{ id: string }>(sql`SELECT DatabaseID AS "id" FROM catalog_identity`);
    return found?.id ?? null;
  },
  { brief: true },
);

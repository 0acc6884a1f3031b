/**
 * What was done for the catalogue as a whole and how it ended: backups, drills, restores. A row for each, so that health
 * can tell the age of the last good one; and the identity of the database, which its backups carry.
 */

import { all, one, procedure, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';

/** What is recorded; later kinds of work add theirs. */
export type MaintenanceKind = 'backup' | 'drill' | 'restore';

/** One piece of work that has ended. */
export interface MaintenanceRecord {
  readonly kind: MaintenanceKind;
  /** When it began. */
  readonly startedAt: string;
  readonly durationMs: number;
  readonly ok: boolean;
  /** What it worked on, such as the path of a backup; what went wrong, for one that failed. */
  readonly detail: string | null;
}

/** The last piece of work of each kind that ended well; null where there was none. */
export type LastMaintenance = Readonly<Record<MaintenanceKind, MaintenanceRecord | null>>;

const KEPT = 1_000; // rows of each kind: years of daily backups, and the table stays small

/** Records a piece of work, and lets the oldest rows of its kind go. */
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

const decode = ({ ok, ...rest }: Stored): MaintenanceRecord => ({ ...rest, ok: ok === 1 });

/** The last piece of work of each kind that ended well. */
export const lastMaintenance = procedure(
  'maintenance.last',
  'read',
  function* (_: null): Steps<Stored[]> {
    return yield* all<Stored>(sql`SELECT Kind AS "kind", StartedAt AS "startedAt", DurationMs AS "durationMs",
      Succeeded AS "ok", Detail AS "detail" FROM maintenance_history
      WHERE ID IN (SELECT max(ID) FROM maintenance_history WHERE Succeeded = 1 GROUP BY Kind)`);
  },
  {
    decode: (rows): LastMaintenance => {
      const last = (kind: MaintenanceKind) => {
        const found = rows.find((row) => row.kind === kind);
        return found === undefined ? null : decode(found);
      };
      return { backup: last('backup'), drill: last('drill'), restore: last('restore') };
    },
  },
);

/** The identity of the database: made with its schema, the same in every backup of it, and kept by a restore. */
export const databaseIdentity = procedure('maintenance.identity', 'read', function* (_: null): Steps<string | null> {
  // A catalogue that was taken back to an older schema has none.
  const exists = yield* one(sql`SELECT 1 AS "found" FROM sqlite_schema WHERE name = 'catalog_identity'`);
  if (exists === undefined) return null;
  const found = yield* one<{ id: string }>(sql`SELECT DatabaseID AS "id" FROM catalog_identity`);
  return found?.id ?? null;
});

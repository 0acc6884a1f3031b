/**
 * Reading the journal, and applying one migration together with its journal row: both in the transaction of whoever
 * calls, so that a file never has the one without the other.
 */
import sql, { raw } from 'sql-template-tag';
import { now } from '../core/dates.ts';
import { all, one, procedure, run, type Steps } from '../sql/procedure.ts';
import { checksumOf } from './migration.ts';
import { migrationOf } from './migration-list.ts';

/** A row of the journal. */
export interface JournalRow {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  readonly appliedAt: string;
  readonly safeVersion: string | null;
}

/** What a file is, seen from its schema. */
export interface SchemaState {
  /** Tables that are not SQLite's own. */
  readonly tables: readonly string[];
  readonly journal: readonly JournalRow[];
}

/** Which migration to run, and who does. */
export interface MigrationToApply {
  readonly version: number;
  readonly direction: 'up' | 'down';
  readonly appliedBy: string;
  readonly libraryVersion: string;
}

const JOURNAL = 'catalog_migrations';

const CREATE_JOURNAL = `CREATE TABLE IF NOT EXISTS ${JOURNAL} (
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  applied_at TEXT NOT NULL,
  applied_by TEXT NOT NULL,
  library_version TEXT NOT NULL,
  duration_ms INTEGER NOT NULL,
  safe_version TEXT
)`;

export const schemaState = procedure(
  'migrations.schemaState',
  'read',
  function* (_: null, dialect): Steps<SchemaState> {
    const found = yield* all<{ name: string }>(dialect.tables());
    const tables = found.map(({ name }) => name);
    const journal = tables.includes(JOURNAL)
      ? yield* all<JournalRow>(sql`SELECT version AS "version", name AS "name", checksum AS "checksum",
        applied_at AS "appliedAt", safe_version AS "safeVersion" FROM catalog_migrations ORDER BY version`)
      : [];
    return { tables, journal };
  },
);

export const applyMigration = procedure(
  'migrations.apply',
  'write',
  function* ({ version, direction, appliedBy, libraryVersion }: MigrationToApply): Steps<void> {
    const migration = migrationOf(version);
    const start = performance.now();
    yield* run(raw(CREATE_JOURNAL));
    for (const statement of migration[direction]) yield* run(raw(statement));
    if (direction === 'down') {
      yield* run(sql`DELETE FROM catalog_migrations WHERE version = ${version}`);
      return;
    }
    const duration = Math.round(performance.now() - start);
    yield* run(sql`INSERT INTO catalog_migrations (version, name, checksum, applied_at, applied_by, library_version,
      duration_ms, safe_version)
      VALUES (${version}, ${migration.name}, ${checksumOf(migration)}, ${now()}, ${appliedBy}, ${libraryVersion},
      ${duration}, ${migration.safeVersion?.toString() ?? null})`);
  },
);

/** Whether the journal holds this version's row; umzug asks after each step. */
export const isApplied = procedure('migrations.isApplied', 'read', function* (version: number): Steps<boolean> {
  const found = yield* one(sql`SELECT 1 AS "applied" FROM catalog_migrations WHERE version = ${version}`);
  return found !== undefined;
});

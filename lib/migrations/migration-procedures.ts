/**
 * The procedures of a migration: read the journal, run the statements, write the journal row. All run in the caller's
 * transaction, so that a file never has the changes without the row.
 */

import { completeVersion } from '../schema/completion.ts';
import { checksumOf, type Direction } from '../schema/migration.ts';
import { watched } from '../schema/watched.ts';
import { all, one, procedure, run, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';
import { now } from '../values/dates.ts';
import { migrationOf } from './migration-list.ts';

/** The migration whose statements run. */
export interface StatementsToRun {
  readonly version: number;
  readonly direction: Direction;
  /** Create only what the schema lacks, as for a file of an old server. */
  readonly complete: boolean;
  readonly block: boolean;
}

/** A completed migration, for the journal. */
export interface MigrationToRecord {
  readonly version: number;
  readonly direction: Direction;
  readonly appliedBy: string;
  readonly libraryVersion: string;
  readonly durationMs: number;
}

const JOURNAL = 'catalog_migrations';

/** The table of the journal. */
export const CREATE_JOURNAL = `CREATE TABLE IF NOT EXISTS ${JOURNAL} (
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  applied_at TEXT NOT NULL,
  applied_by TEXT NOT NULL,
  library_version TEXT NOT NULL,
  duration_ms INTEGER NOT NULL,
  safe_version TEXT
)`;

/** Runs the statements of a migration; returns how many of them had an effect. */
export const runStatements = procedure(
  'migrations.statements',
  'write',
  function* ({ version, direction, complete, block }: StatementsToRun): Steps<number> {
    const migration = migrationOf(version);
    const statements = migration[direction];
    const declared = block ? (migration.declares?.[direction] ?? []) : null;
    const watch = { migration: `${version} (${migration.name})`, declared };
    if (complete) return yield* watched(completeVersion(statements), watch);
    return yield* watched(runAll(statements), watch);
  },
);

function* runAll(statements: readonly string[]): Steps<number> {
  for (const statement of statements) yield* run(raw(statement));
  return statements.length;
}

/** Writes or deletes the journal row of a migration. */
export const recordMigration = procedure(
  'migrations.record',
  'write',
  function* (input: MigrationToRecord): Steps<void> {
    yield* watched(record(input), { migration: String(input.version), declared: null });
  },
);

function* record({ version, direction, appliedBy, libraryVersion, durationMs }: MigrationToRecord): Steps<void> {
  if (direction === 'down') {
    yield* run(sql`DELETE FROM catalog_migrations WHERE version = ${version}`);
    return;
  }
  const migration = migrationOf(version);
  yield* run(raw(CREATE_JOURNAL));
  yield* run(sql`INSERT INTO catalog_migrations (version, name, checksum, applied_at, applied_by, library_version,
    duration_ms, safe_version)
    VALUES (${version}, ${migration.name}, ${checksumOf(migration)}, ${now()}, ${appliedBy}, ${libraryVersion},
    ${durationMs}, ${migration.safeVersion?.toString() ?? null})`);
}

/** Whether the journal has the row of this version; umzug asks after each step. */
export const isApplied = procedure('migrations.isApplied', 'read', function* (version: number): Steps<boolean> {
  const found = yield* one(sql`SELECT 1 AS "applied" FROM catalog_migrations WHERE version = ${version}`);
  return found !== undefined;
});

/** Counts rows that refer to a missing row, by table and foreign key. */
export const foreignKeyViolations = procedure('migrations.foreignKeys', 'read', function* (_: null): Steps<
  { key: string; rows: number }[]
> {
  return yield* all<{ key: string; rows: number }>(sql`SELECT "table" || ' → ' || parent AS "key", count(*) AS "rows"
      FROM pragma_foreign_key_check GROUP BY 1 ORDER BY 1`);
});

/** Problems that SQLite's quick check finds; empty for a sound file. */
export const quickCheck = procedure('migrations.quickCheck', 'read', function* (_: null): Steps<string[]> {
  const found = yield* all<{ quick_check: string }>(raw('PRAGMA quick_check(10)'));
  return found.map(({ quick_check: text }) => text).filter((text) => text !== 'ok');
});

/** Row counts of the existing tables. */
export const tableRows = procedure('migrations.rows', 'read', function* (tables: readonly string[]): Steps<
  Record<string, number>
> {
  const counts: Record<string, number> = {};
  for (const table of tables) {
    const exists = yield* one(sql`SELECT 1 AS "found" FROM sqlite_schema WHERE type = 'table' AND name = ${table}`);
    if (exists === undefined) continue;
    counts[table] = (yield* one<{ rows: number }>(raw(`SELECT count(*) AS "rows" FROM ${table}`)))?.rows ?? 0;
  }
  return counts;
});

/** Names of schema objects by kind, with the columns of tables; in lower case. */
export const storedObjects = procedure('migrations.objects', 'read', function* (_: null): Steps<
  { kind: string; name: string; columns: string }[]
> {
  // A foreign virtual table may need a module that is not loaded here, and then its columns cannot be read.
  return yield* all<{ kind: string; name: string; columns: string }>(sql`SELECT type AS "kind", lower(name) AS "name",
      CASE WHEN type = 'table' AND sql LIKE 'CREATE TABLE%' THEN (SELECT lower(group_concat(c.name, char(10))) FROM pragma_table_xinfo(m.name) c)
      ELSE '' END AS "columns" FROM sqlite_schema m WHERE name NOT GLOB 'sqlite_*'`);
});

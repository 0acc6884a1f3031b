/** Reading what a file is: the procedures that every thread has, because every open needs them. */

import { assertOurs, type JournalRow, type KnownChecksums, type SchemaState } from '../schema/journal-check.ts';
import type { Dialect } from '../sql/dialect.ts';
import { all, procedure, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';

const JOURNAL = 'catalog_migrations';

function* readState(dialect: Dialect): Steps<SchemaState> {
  const found = yield* all<{ name: string }>(dialect.tables());
  const tables = found.map(({ name }) => name);
  const journal = tables.includes(JOURNAL)
    ? yield* all<JournalRow>(sql`SELECT version AS "version", name AS "name", checksum AS "checksum",
        applied_at AS "appliedAt", applied_by AS "appliedBy", safe_version AS "safeVersion" FROM catalog_migrations ORDER BY version`)
    : [];
  return { tables, journal };
}

export const schemaState = procedure('migrations.schemaState', 'read', (_: null, dialect) => readState(dialect), {
  brief: true,
});

/**
 * Looks at a file before anything else does. A view in the place of a table counts as a table here: it is nothing of ours.
 * @throws what {@link assertOurs} throws
 */
export const lookAtFile = procedure('migrations.look', 'read', function* (known: KnownChecksums, dialect): Steps<void> {
  const state = yield* readState(dialect);
  const views = yield* all<{ name: string }>(dialect.views());
  assertOurs({ ...state, tables: [...state.tables, ...views.map(({ name }) => name)] }, known);
});

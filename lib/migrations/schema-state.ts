/** Reading what a file is: the procedures that every thread has, because every open needs them. */

import { assertOurs, type JournalRow, type KnownChecksums, type SchemaState } from '../schema/journal-check.ts';
import {
  assertOwnNames,
  assertStoredColumns,
  type ComputedColumn,
  computedColumns,
  foreignTriggers,
  type OwnTables,
  schemaObjects,
} from '../schema/own-objects.ts';
import type { Dialect } from '../sql/dialect.ts';
import { all, procedure, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';

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

/** What a release knows of its own files; plain data. */
export interface OwnSchema {
  readonly checksums: KnownChecksums;
  readonly tables: OwnTables;
}

/**
 * Looks at a file before anything else does. A view in the place of a table counts as a table here: it is nothing of ours.
 * @throws what {@link assertOwnNames}, {@link assertStoredColumns} and {@link assertOurs} throw
 */
export const lookAtFile = procedure('migrations.look', 'read', function* (own: OwnSchema, dialect): Steps<void> {
  // First of all: whatever stands under a name of ours would be asked otherwise.
  const objects = yield* schemaObjects();
  assertOwnNames(objects, own.tables);
  assertStoredColumns(yield* all<ComputedColumn>(raw(computedColumns(own.tables))), own.tables);
  const state = yield* readState(dialect);
  const views = objects.filter(({ kind }) => kind === 'view').map(({ name }) => name);
  assertOurs({ ...state, tables: [...state.tables, ...views] }, own.checksums);
});

/** Triggers on tables of ours that this release did not make; none where newer migrations may have made them. */
export const triggersOfOthers = procedure(
  'migrations.triggersOfOthers',
  'read',
  function* (
    { checksums, tables, triggers }: OwnSchema & { readonly triggers: readonly string[] },
    dialect,
  ): Steps<string[]> {
    const { journal } = yield* readState(dialect);
    if (journal.some(({ version }) => checksums[version] === undefined)) return [];
    return foreignTriggers(yield* schemaObjects(), tables, new Set(triggers));
  },
);

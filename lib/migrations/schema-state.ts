/** Reads the state of a file: every thread has these procedures, because every opening needs them. */

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

/** What a release knows about its own files; plain data. */
export interface OwnSchema {
  readonly checksums: KnownChecksums;
  readonly tables: OwnTables;
}

/**
 * Examines a file before any other work. A view in place of a table counts as a table here, because we never create
 * one.
 * @throws as {@link assertOwnNames}, {@link assertStoredColumns} and {@link assertOurs}
 */
export const lookAtFile = procedure('migrations.look', 'read', function* (own: OwnSchema, dialect): Steps<void> {
  // Check this first: another kind of object under one of our names would make the other questions unsafe.
  const objects = yield* schemaObjects();
  assertOwnNames(objects, own.tables);
  assertStoredColumns(yield* all<ComputedColumn>(raw(computedColumns(own.tables))), own.tables);
  const state = yield* readState(dialect);
  const views = objects.filter(({ kind }) => kind === 'view').map(({ name }) => name);
  assertOurs({ ...state, tables: [...state.tables, ...views] }, own.checksums);
});

/** Foreign triggers on our tables; empty if newer migrations may have created them. */
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

/** Removes what our schema must not have: duplicate indexes, and a foreign key between versions that pins them. */

import { baseSchema } from '../../schema/base-schema.ts';
import { storedColumns } from '../../schema/completion.ts';
import { finished, migrationWork, type WorkResult } from '../../schema/migration.ts';
import { schemaChange } from '../../schema/schema-objects.ts';
import { all, one, run, type Steps } from '../../sql/procedure.ts';
import { quoted } from '../../sql/quoted.ts';
import { raw, sql } from '../../sql/template.ts';
import { noteText } from './quarantine.ts';

/** An index that only speeds up lookups. */
interface PlainIndex {
  readonly table: string;
  readonly name: string;
  /** Columns in order, with a separator. */
  readonly columns: string;
  readonly sql: string;
}

const BASE_INDEXES = new Set(
  baseSchema
    .flatMap(({ up }) => up.map(schemaChange))
    .flatMap((change) => (change?.does === 'create' && change.kind === 'index' ? [change.name] : [])),
);

// A later migration creates an index that covers the old server's.
const COMING: PlainIndex = { table: 'file_versions', name: '', columns: 'FileID,VersionNumber,', sql: '' };

const plainIndexes = () =>
  all<PlainIndex>(sql`SELECT m.tbl_name AS "table", m.name AS "name", m.sql AS "sql",
    group_concat(c.name, ',' ORDER BY c.seqno) || ',' AS "columns"
    FROM sqlite_schema m JOIN pragma_index_list(m.tbl_name) i ON i.name = m.name
      JOIN pragma_index_xinfo(m.name) c ON c.key = 1
    WHERE m.type = 'index' AND m.tbl_name IN ('clients', 'files', 'file_versions')
      AND i.origin = 'c' AND i."unique" = 0 AND i.partial = 0
    GROUP BY m.name HAVING min(c.cid) >= 0 AND max(c."desc") = 0 AND min(c.coll = 'BINARY') = 1 ORDER BY m.name`);

const covers = (wide: PlainIndex, narrow: PlainIndex) =>
  wide.name !== narrow.name && wide.table === narrow.table && wide.columns.startsWith(narrow.columns);

/** Drops indexes that an index of the base schema covers; keeps their definitions in the notes. */
function* dropDuplicates(): Steps<number> {
  const indexes = [...(yield* plainIndexes()), COMING];
  const lasting = indexes.filter(({ name }) => name === '' || BASE_INDEXES.has(name));
  const duplicates = indexes.filter(
    (index) => !lasting.includes(index) && lasting.some((other) => covers(other, index)),
  );
  for (const { name, sql: definition } of duplicates) {
    yield* noteText('sqlite_schema', name, definition);
    yield* run(raw(`DROP INDEX ${quoted(name)}`));
  }
  return duplicates.length;
}

export const adoptIndexes = migrationWork('adoption.indexes', function* (): Steps<WorkResult> {
  return finished({ indexesDropped: yield* dropDuplicates() });
});

const VERSIONS = 'file_versions';

/** Rebuilds the table without the foreign key; rows, additional columns, indexes and triggers stay. */
function* rebuildVersions(): Steps<void> {
  const definition = baseSchema
    .flatMap(({ up }) => up)
    .find((text) => {
      const change = schemaChange(text);
      return change?.does === 'create' && change.name === VERSIONS;
    });
  const change = definition === undefined ? undefined : schemaChange(definition);
  if (definition === undefined || change?.does !== 'create') throw new TypeError(`the base schema has no ${VERSIONS}`);
  const known = new Set(change.columns.map(({ name }) => name.toLowerCase()));
  const columns = yield* storedColumns(VERSIONS);
  const dependents = yield* all<{ sql: string }>(sql`SELECT sql AS "sql" FROM sqlite_schema
    WHERE tbl_name = ${VERSIONS} AND type IN ('index', 'trigger') AND sql IS NOT NULL`);
  const names = columns.map(({ name }) => quoted(name)).join(', ');
  yield* run(raw(`CREATE TABLE catalog_rebuild AS SELECT * FROM ${VERSIONS}`));
  yield* run(raw(`DROP TABLE ${VERSIONS}`));
  yield* run(raw(definition));
  for (const { name, definition: rest } of columns.filter((column) => !known.has(column.name.toLowerCase()))) {
    yield* run(raw(`ALTER TABLE ${VERSIONS} ADD COLUMN ${quoted(name)} ${rest}`));
  }
  yield* run(raw(`INSERT INTO ${VERSIONS} (${names}) SELECT ${names} FROM catalog_rebuild`));
  yield* run(raw('DROP TABLE catalog_rebuild'));
  for (const dependent of dependents) yield* run(raw(dependent.sql));
}

/**
 * Removes the foreign key of versions to their parents, which the old server's schema 5 declares: it would keep every
 * named version from being pruned.
 */
export const freeVersions = migrationWork('adoption.freeVersions', function* (): Steps<WorkResult> {
  const pinned = yield* one(sql`SELECT 1 AS "pinned" FROM pragma_foreign_key_list(${VERSIONS})
    WHERE lower("table") = ${VERSIONS} LIMIT 1`);
  if (pinned !== undefined) yield* rebuildVersions();
  return finished(pinned === undefined ? {} : { tablesRebuilt: 1 });
});

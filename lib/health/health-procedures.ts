/** What health asks of the database: the size of its schema, and SQLite's own checks. */

import { all, one, procedure, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';

/** How many tables and indexes there are. */
export interface SchemaFigures {
  readonly tables: number;
  readonly indexes: number;
  readonly bytes: number;
}

const MAX_PROBLEMS = 20; // the first ones tell what is wrong

export const schemaFigures = procedure('health.schema', 'read', function* (_: null, dialect): Steps<SchemaFigures> {
  const tables = yield* all(dialect.tables());
  const indexes = yield* all(dialect.indexes());
  const pages = yield* one<{ pageSize: number; pageCount: number }>(dialect.pages());
  const bytes = pages === undefined ? 0 : pages.pageSize * pages.pageCount;
  return { tables: tables.length, indexes: indexes.length, bytes };
});

/** What integrity_check finds wrong, in SQLite's words; nothing for a sound file. */
export const checkIntegrity = procedure(
  'health.integrity',
  'read',
  function* (_: null): Steps<string[]> {
    const found = yield* all<{ integrity_check: string }>(raw(`PRAGMA integrity_check(${MAX_PROBLEMS})`));
    return found.map(({ integrity_check: text }) => text).filter((text) => text !== 'ok');
  },
  { alone: true },
);

/** How many rows name a row that does not exist. */
export const checkForeignKeys = procedure(
  'health.foreignKeys',
  'read',
  function* (_: null): Steps<number> {
    const found = yield* one<{ count: number }>(sql`SELECT count(*) AS "count" FROM pragma_foreign_key_check`);
    return found?.count ?? 0;
  },
  { alone: true },
);

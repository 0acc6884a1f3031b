/** Procedures for checking a restored database through the server's own connections. */

import { all, one, procedure, type Steps } from '../../sql/procedure.ts';
import { raw, type Sql, sql } from '../../sql/template.ts';
import { type ContentMark, MARKS } from '../marks.ts';

/** The state of a restored database, as the open connections see it. */
export interface RestoredState {
  /** Shows whether the restored content is still in place. */
  readonly mark: ContentMark;
  /** SQLite's messages; empty for a sound file. */
  readonly problems: string[];
  readonly databaseId: string | null;
}

const MAX_PROBLEMS = 10;

/** Checks a database after the swap. Another process may have migrated it to a schema without these tables. */
export const restoredState = procedure(
  'backups.restoredState',
  'read',
  function* (_: null, dialect): Steps<RestoredState> {
    const ask = function* <Value>(table: string, query: Sql): Steps<Value | null> {
      if ((yield* one(dialect.hasTable(table))) === undefined) return null;
      return (yield* one<{ value: Value }>(query))?.value ?? null;
    };
    const token = yield* ask<string>(
      'sqlite_sequence',
      sql`SELECT CAST(seq AS TEXT) AS "value" FROM sqlite_sequence WHERE name = ${MARKS.token}`,
    );
    const schemaVersion = yield* ask<number>(
      'catalog_migrations',
      raw('SELECT max(version) AS "value" FROM catalog_migrations'),
    );
    const identity = yield* ask<unknown>('catalog_identity', raw('SELECT DatabaseID AS "value" FROM catalog_identity'));
    const found = yield* all<{ problem: string }>(dialect.problems(MAX_PROBLEMS));
    const problems = found.map(({ problem }) => problem);
    return { mark: { token, schemaVersion }, problems, databaseId: typeof identity === 'string' ? identity : null };
  },
);

/** The page size in bytes; content swapped into the database must have the same. */
export const pageSize = procedure('backups.pageSize', 'read', function* (_: null, dialect): Steps<number> {
  const found = yield* one<{ pageSize: number }>(dialect.pages());
  return found?.pageSize ?? 0;
});

/** What a restore asks of the database it has just filled, on the server's own connections. */

import { all, one, procedure, type Steps } from '../../sql/procedure.ts';
import { raw, type Sql, sql } from '../../sql/template.ts';
import { type ContentMark, MARKS } from '../marks.ts';

/** How a restored database looks to the connections that go on using it. */
export interface RestoredState {
  /** What tells whether it is still the content that was put there. */
  readonly mark: ContentMark;
  /** In SQLite's words; nothing for a sound file. */
  readonly problems: string[];
  readonly databaseId: string | null;
}

const MAX_PROBLEMS = 10;

/** Looks at a database after its content was exchanged; another process may have brought it to a schema without the tables. */
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

/** Bytes of a page: what is put into the database must have pages of that size. */
export const pageSize = procedure('backups.pageSize', 'read', function* (_: null, dialect): Steps<number> {
  const found = yield* one<{ pageSize: number }>(dialect.pages());
  return found?.pageSize ?? 0;
});

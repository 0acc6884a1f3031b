/** What a restore asks of the database it has just filled, on the server's own connections. */

import { all, one, procedure, type Steps } from '../../sql/procedure.ts';
import { raw } from '../../sql/template.ts';

/** How a restored database looks to the connections that go on using it. */
export interface RestoredState {
  /** In SQLite's words; nothing for a sound file. */
  readonly problems: string[];
  readonly schemaVersion: number | null;
  readonly databaseId: string | null;
}

const MAX_PROBLEMS = 10;

/** Looks at a database after its content was exchanged. */
export const restoredState = procedure(
  'backups.restoredState',
  'read',
  function* (_: null, dialect): Steps<RestoredState> {
    const found = yield* all<{ problem: string }>(dialect.problems(MAX_PROBLEMS));
    const version = yield* one<{ version: number | null }>(
      raw('SELECT max(version) AS "version" FROM catalog_migrations'),
    );
    const identity = yield* one<{ id: string }>(raw('SELECT DatabaseID AS "id" FROM catalog_identity'));
    return {
      problems: found.map(({ problem }) => problem),
      schemaVersion: version?.version ?? null,
      databaseId: identity?.id ?? null,
    };
  },
);

/** Bytes of a page: what is put into the database must have pages of that size. */
export const pageSize = procedure('backups.pageSize', 'read', function* (_: null, dialect): Steps<number> {
  const found = yield* one<{ pageSize: number }>(dialect.pages());
  return found?.pageSize ?? 0;
});

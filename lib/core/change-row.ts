/** A change of one row that is there when its call says so. */
import { DatabaseError } from '../errors.ts';
import { run, type Steps } from '../sql/procedure.ts';
import type { Sql } from '../sql/template.ts';

/** What a change throws that a trigger has left out, in whole or in part. */
export const leftOut = (): DatabaseError =>
  new DatabaseError('CATALOG_CONFLICT', 'the change was not made: a trigger has left it out', {
    hint: 'Look which triggers are on the tables of the catalogue (`health`, CLI: `doctor`), and drop the one that does so.',
  });

/**
 * Changes one row. A trigger of somebody else's can leave it out in silence (RAISE(IGNORE)), and the call would say what is
 * not so.
 * @throws {DatabaseError} CATALOG_CONFLICT when nothing was changed
 */
export function* changeRow(sql: Sql): Steps<void> {
  const { changes } = yield* run(sql);
  if (changes === 0) throw leftOut();
}

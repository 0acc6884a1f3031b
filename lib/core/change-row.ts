/** Changes a row and proves that the change happened. */
import { DatabaseError } from '../errors.ts';
import { run, type Steps } from '../sql/procedure.ts';
import type { Sql } from '../sql/template.ts';

/** The error of a change that a trigger suppressed, in whole or in part. */
export const leftOut = (): DatabaseError =>
  new DatabaseError('CATALOG_CONFLICT', 'the change was not made: a trigger suppressed it', {
    hint: 'Check the triggers on the tables of the catalogue (`health`, CLI: `doctor`), and drop the one that suppresses changes.',
  });

/**
 * Changes one row. A foreign trigger can suppress the change silently (RAISE(IGNORE)), and the call would then report a
 * change that did not happen.
 * @throws {DatabaseError} CATALOG_CONFLICT if nothing was changed
 */
export function* changeRow(sql: Sql): Steps<void> {
  const { changes } = yield* run(sql);
  if (changes === 0) throw leftOut();
}

/** The numbers of backups, as the database knows them: see marks.ts for where they are kept. */
import { one, procedure, run, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';
import { following, MARKS, RECORDED_SEQUENCE } from './marks.ts';

/** The greatest number known; null in a schema without the table. */
function* recorded(): Steps<number | null> {
  const table = yield* one(sql`SELECT 1 AS "found" FROM sqlite_schema WHERE name = 'sqlite_sequence'`);
  if (table === undefined) return null;
  const found = yield* one<{ sequence: number }>(raw(RECORDED_SEQUENCE));
  return found?.sequence ?? 0;
}

function* record(sequence: number): Steps<void> {
  yield* run(sql`DELETE FROM sqlite_sequence WHERE name = ${MARKS.sequence}`);
  yield* run(sql`INSERT INTO sqlite_sequence (name, seq) VALUES (${MARKS.sequence}, CAST(${sequence} AS INTEGER))`);
}

/** Takes the number after the greatest known, and after `least`; null in a schema that cannot keep it. */
export const reserveSequence = procedure('backups.reserveSequence', 'write', function* (least: number): Steps<
  number | null
> {
  const known = yield* recorded();
  if (known === null) return null;
  const next = following(Math.max(known, least));
  yield* record(next);
  return next;
});

/** Keeps that a backup has had a number, unless a greater one is known. */
export const keepSequence = procedure('backups.keepSequence', 'write', function* (sequence: number): Steps<void> {
  const known = yield* recorded();
  if (known !== null && known < sequence) yield* record(sequence);
});

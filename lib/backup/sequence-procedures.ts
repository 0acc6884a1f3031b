/** Procedures for the backup numbers recorded in the database. See marks.ts for where they are stored. */
import { one, procedure, run, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';
import { following, MARKS, RECORDED_SEQUENCE } from './marks.ts';

/** The greatest recorded number; null if the schema lacks the table. */
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

/** Takes the next number after both the greatest recorded one and `least`; null if the schema cannot record it. */
export const reserveSequence = procedure('backups.reserveSequence', 'write', function* (least: number): Steps<
  number | null
> {
  const known = yield* recorded();
  if (known === null) return null;
  const next = following(Math.max(known, least));
  yield* record(next);
  return next;
});

/** Records a backup's number, unless a greater one is recorded. */
export const keepSequence = procedure('backups.keepSequence', 'write', function* (sequence: number): Steps<void> {
  const known = yield* recorded();
  if (known !== null && known < sequence) yield* record(sequence);
});

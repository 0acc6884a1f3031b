/** The mark of a transaction that counts its saves by itself: see lib/migrations/writer-schema.ts. */
import { run, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';

/** The table of the mark; it is empty in every committed state. */
export const WRITER_TABLE = 'catalog_writer';

/** The version of the schema whose totals this release counts. Part of a migration: never edited. */
export const COUNTING_VERSION = 24;

/** Silences the triggers of totals. */
export function* setMark(): Steps<void> {
  yield* run(sql`INSERT INTO ${raw(WRITER_TABLE)} (Covers) VALUES (${COUNTING_VERSION})`);
}

/** Lets the triggers count again. */
export function* removeMark(): Steps<void> {
  yield* run(raw(`DELETE FROM ${WRITER_TABLE}`));
}

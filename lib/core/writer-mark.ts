/** The mark of a transaction that counts its saves itself. See lib/migrations/writer-schema.ts. */
import { run, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';

/** The table of the mark; empty in every committed state. */
export const WRITER_TABLE = 'catalog_writer';

/** The version of the schema whose totals this release counts. It is part of a migration: never edit it. */
export const COUNTING_VERSION = 24;

/** Stops the triggers of totals from counting. */
export function* setMark(): Steps<void> {
  yield* run(sql`INSERT INTO ${raw(WRITER_TABLE)} (Covers) VALUES (${COUNTING_VERSION})`);
}

/** Lets the triggers count again. */
export function* removeMark(): Steps<void> {
  yield* run(raw(`DELETE FROM ${WRITER_TABLE}`));
}

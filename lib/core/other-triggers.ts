/** Triggers that somebody else added. They can change any row during a save, and they can read the totals. */
import type { Dialect } from '../sql/dialect.ts';
import { one, type Steps } from '../sql/procedure.ts';
import { join, sql } from '../sql/template.ts';

/** The triggers of this release's schema. Others include those of a newer release. */
export const KNOWN_TRIGGERS = [
  'catalog_day_recorded',
  'catalog_file_counted',
  'catalog_file_deleted',
  'catalog_file_recounted',
  'catalog_file_uncounted',
  'catalog_path_carried',
  'catalog_version_deleted',
  'catalog_version_inserted',
  'catalog_version_resized',
  'search_file_deleted',
  'search_file_identified',
  'search_file_inserted',
  'search_file_moved',
  'search_file_renamed',
  'search_file_replaced',
] as const;

const known = join([...KNOWN_TRIGGERS]);

/** Whether the schema has any other trigger. Takes 10 us. */
export function* hasOtherTriggers(dialect: Dialect): Steps<boolean> {
  const found = yield* one(
    sql`SELECT 1 AS "found" FROM (${dialect.triggers()}) t WHERE t.name NOT IN (${known}) LIMIT 1`,
  );
  return found !== undefined;
}

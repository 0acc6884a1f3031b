/**
 * Which contents the server may remove after rows were deleted: only paths that no remaining version of any client
 * names, nor a row that an old server inserted without a version.
 */

import { one, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';

/** What a deletion removed. */
export interface Deletion {
  /** Files. */
  readonly deleted: number;
  /** Bytes of every version that went. */
  readonly bytes: number;
  /** Contents that nothing names any more. */
  readonly paths: string[];
}

/** Those of the paths that no row names any more; call it after the rows are gone. */
export function* unnamedPaths(paths: Iterable<string>): Steps<string[]> {
  const freed: string[] = [];
  for (const path of new Set(paths)) {
    const named = yield* one(sql`SELECT 1 AS "named" FROM file_versions WHERE PathName = ${path}
      UNION ALL SELECT 1 FROM files WHERE HighestVersion = 0 AND PathName = ${path} LIMIT 1`);
    if (named === undefined) freed.push(path);
  }
  return freed;
}

/**
 * Which contents the server may remove after rows were deleted: only paths that no remaining version of any client
 * names in any spelling, nor a row that an old server inserted without a version; and never a folder of all contents.
 */

import { one, rows, type Steps } from '../sql/procedure.ts';
import { raw, type Sql, sql } from '../sql/template.ts';
import { canonicalPath, contentKey, contentKeyOf, namesContent } from '../values/content-path.ts';

/** What a deletion removed. */
export interface Deletion {
  /** Files. */
  readonly deleted: number;
  /** Bytes of every version that went. */
  readonly bytes: number;
  /** Contents that nothing names any more; never '', '.', '..', a root or a path through `..`. */
  readonly paths: string[];
}

const KEY = raw(contentKeyOf('PathName'));

/** The paths of the rows that hold contents, by a condition on `PathName`; each half has an index on the key. */
const rowsWhere = (key: string, condition: Sql): Sql => sql`SELECT PathName FROM file_versions
  WHERE ${KEY} = ${key} AND ${condition} UNION ALL SELECT PathName FROM files
  WHERE HighestVersion = 0 AND ${KEY} = ${key} AND ${condition}`;

/** Whether more rows than `allowed` name a content. Nearly always the first question answers it. */
function* isNamed(path: string, allowed: number): Steps<boolean> {
  const key = contentKey(path);
  const same = yield* one<{ rows: number }>(sql`SELECT count(*) AS "rows" FROM
    (${rowsWhere(key, sql`PathName = ${path}`)} LIMIT ${allowed + 1}) AS n`);
  const exact = same?.rows ?? 0;
  if (exact > allowed) return true;
  const others = yield* rows<readonly [path: unknown, rows: number]>(sql`SELECT n.PathName, count(*) FROM
    (${rowsWhere(key, sql`PathName <> ${path}`)}) AS n GROUP BY n.PathName`);
  const wanted = canonicalPath(path);
  const spelled = others.filter(([other]) => typeof other === 'string' && canonicalPath(other) === wanted);
  return spelled.reduce((sum, [, count]) => sum + count, exact) > allowed;
}

/** Those of the paths that no row names any more, in their first spelling; call it after the rows are gone. */
export function* unnamedPaths(paths: Iterable<unknown>): Steps<string[]> {
  const freed: string[] = [];
  const seen = new Set<string>();
  for (const path of paths) {
    if (typeof path !== 'string' || !namesContent(path)) continue;
    const canonical = canonicalPath(path);
    if (seen.has(canonical)) continue;
    seen.add(canonical);
    if (!(yield* isNamed(path, 0))) freed.push(path);
  }
  return freed;
}

/** Those of the paths that nothing would name once so many namings of each are gone. */
export function* pathsFreedBy(removals: Iterable<readonly [path: string, removed: number]>): Steps<string[]> {
  const freed: string[] = [];
  for (const [path, removed] of removals) {
    if (namesContent(path) && !(yield* isNamed(path, removed))) freed.push(path);
  }
  return freed;
}

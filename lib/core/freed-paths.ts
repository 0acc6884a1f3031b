/**
 * Which contents the server may remove after a deletion: only paths that no remaining version of any client, and no
 * unversioned row of an old server, names in any spelling; never a folder of contents.
 */

import { one, rows, type Steps } from '../sql/procedure.ts';
import { raw, type Sql, sql } from '../sql/template.ts';
import { canonicalPath, contentKey, contentKeyOf, namesContent } from '../values/content-path.ts';

/** What a deletion removed. */
export interface Deletion {
  /** Files. */
  readonly deleted: number;
  /** Bytes of all removed versions. */
  readonly bytes: number;
  /** Contents that no version names any more; never '', '.', '..', a root or a path through `..`. */
  readonly paths: string[];
}

const KEY = raw(contentKeyOf('PathName'));

/** The paths of rows with contents, by a condition on `PathName`; each half has an index on the key. */
const rowsWhere = (key: string, condition: Sql): Sql => sql`SELECT PathName FROM file_versions
  WHERE ${KEY} = ${key} AND ${condition} UNION ALL SELECT PathName FROM files
  WHERE HighestVersion = 0 AND ${KEY} = ${key} AND ${condition}`;

/** Whether more rows than `allowed` name a content. The first query nearly always decides. */
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

/** The paths that no row names any more, in their first spelling; call this after removing the rows. */
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

/** The paths that no row would name after removing this many rows of each. */
export function* pathsFreedBy(removals: Iterable<readonly [path: string, removed: number]>): Steps<string[]> {
  const freed: string[] = [];
  for (const [path, removed] of removals) {
    if (namesContent(path) && !(yield* isNamed(path, removed))) freed.push(path);
  }
  return freed;
}

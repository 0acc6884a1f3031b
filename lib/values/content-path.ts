/**
 * When two paths name one content. Servers build the path of a content in several ways, so `a/./b`, `a//b` and `a\b` count
 * as one; letter case and `..` keep their meaning, since only the file system knows what they lead to. A content may only
 * be removed when no remaining row names it, however that row spells it.
 */

const SEPARATORS = /[\\/]+/;

/** The one spelling of a path: `/` between parts, no empty part and no `.` but the root's. */
export function canonicalPath(path: string): string {
  const parts = path.split(SEPARATORS).filter((part) => part !== '' && part !== '.');
  const root = /^[\\/]/.test(path) ? '/' : '';
  return `${root}${parts.join('/')}`;
}

/** Every path that names the same content has the same key; few others have it. */
export const contentKey = (path: string): string => path.replaceAll(/[\\/.]/g, '');

/** {@link contentKey} of a column, as SQL of every engine. Part of a migration: never edited. */
export const contentKeyOf = (column: string): string =>
  `replace(replace(replace(${column}, '/', ''), '\\', ''), '.', '')`;

const DRIVE = /^[a-z]:$/i;

/**
 * Whether a path names one content, which a server may remove: no folder of all contents ('', '.', '/', a drive), and no
 * path through `..`, which leads to a place that another spelling names as well.
 */
export function namesContent(path: string): boolean {
  const parts = path.split(SEPARATORS).filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..') || path.includes('\0')) return false;
  return parts.length > 1 || !DRIVE.test(parts[0] ?? '');
}

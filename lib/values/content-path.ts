/**
 * Tells when two paths name one content. Servers build paths in several ways, so `a/./b`, `a//b` and `a\b` count as
 * one; letter case and `..` stay significant, because only the file system knows where they lead. A content may be
 * removed only when no remaining row names it in any spelling.
 */

const SEPARATORS = /[\\/]+/;

/** The canonical spelling of a path: `/` between parts, no empty parts and no `.` except the root's. */
export function canonicalPath(path: string): string {
  const parts = path.split(SEPARATORS).filter((part) => part !== '' && part !== '.');
  const root = /^[\\/]/.test(path) ? '/' : '';
  return `${root}${parts.join('/')}`;
}

/** Paths that name the same content have the same key; few others share it. */
export const contentKey = (path: string): string => path.replaceAll(/[\\/.]/g, '');

/** {@link contentKey} of a column, as SQL of every engine. Part of a migration: never edited. */
export const contentKeyOf = (column: string): string =>
  `replace(replace(replace(${column}, '/', ''), '\\', ''), '.', '')`;

const DRIVE = /^[a-z]:$/i;

/**
 * Whether a path names a single content, which a server may remove: not a folder of contents ('', '.', '/', a drive),
 * nor a path through `..`, whose target has other spellings.
 */
export function namesContent(path: string): boolean {
  const parts = path.split(SEPARATORS).filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..') || path.includes('\0')) return false;
  return parts.length > 1 || !DRIVE.test(parts[0] ?? '');
}

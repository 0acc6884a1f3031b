/**
 * Lets this process open files by URI, which says how. Only for a process of the library's own, before it opens anything:
 * the driver reads the variable once, and from then on every name of a database may be a URI.
 */
export function takeUris(): void {
  process.env['SQLITE_USE_URI'] = '1';
}

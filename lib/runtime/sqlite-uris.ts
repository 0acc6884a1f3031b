/**
 * Lets this process open files by URI, whose parameters say how. Only for processes of the library, before they open
 * anything: the driver reads the variable once, and from then on any database name may be a URI.
 */
export function takeUris(): void {
  process.env['SQLITE_USE_URI'] = '1';
}

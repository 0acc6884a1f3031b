/** Refuses a SQLite that can corrupt a write-ahead log. */
import { DatabaseError } from '../errors.ts';

// SQLite before 3.51.3 can corrupt a WAL that is reset while another connection reads
// (https://sqlite.org/changes.html).
const MIN_SQLITE = [3, 51, 3] as const;

/** @throws {DatabaseError} CATALOG_IO for an outdated release */
export function assertSqliteVersion(version: string): void {
  const parts = version.split('.').map(Number);
  const difference = MIN_SQLITE.map((wanted, i) => (parts[i] ?? 0) - wanted).find((d) => d !== 0) ?? 0;
  if (difference >= 0) return;
  throw new DatabaseError('CATALOG_IO', `SQLite ${version} is older than ${MIN_SQLITE.join('.')}`, {
    hint: 'Install the better-sqlite3 release that this library pins.',
  });
}

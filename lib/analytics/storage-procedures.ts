/** The figures behind `analytics.storage`: totals of clients and files, and the state of the database's pages. */
import sql, { raw, type Sql } from 'sql-template-tag';
import { all, one, procedure, type Steps } from '../sql/procedure.ts';

/** Files and bytes of one group. */
export interface GroupTotal {
  readonly name: string | null;
  readonly files: number;
  readonly bytes: number;
}

/** A client that stores much. */
export interface TopClient {
  readonly clientId: string;
  readonly name: string;
  readonly files: number;
  readonly bytes: number;
}

/** Sizes in bytes from `min`, below `max` (null: no end). */
export interface SizeBand {
  readonly min: number;
  readonly max: number | null;
  readonly files: number;
  readonly bytes: number;
}

/** Everything `storage` reads in one snapshot. */
export interface StorageFigures {
  readonly totals: { readonly files: number; readonly bytes: number; readonly verified: number };
  readonly clients: { readonly total: number; readonly active: number };
  readonly topClients: readonly TopClient[];
  readonly byCategory: readonly GroupTotal[];
  readonly byExtension: readonly GroupTotal[];
  readonly bySize: readonly SizeBand[];
  readonly pages: { readonly pageSize: number; readonly pageCount: number; readonly freePages: number };
  readonly indexes: readonly { readonly name: string; readonly table: string }[];
}

const TOP = 10; // rows of a ranking
const KIB = 1024;
const SIZE_BOUNDS = [0, KIB, 100 * KIB, KIB ** 2, 10 * KIB ** 2, 100 * KIB ** 2, KIB ** 3];

const groupBy = (column: string, limit: number): Sql =>
  sql`SELECT ${raw(column)} AS "name", count(*) AS "files", coalesce(sum(FileSize), 0) AS "bytes" FROM files
    GROUP BY ${raw(column)} ORDER BY "bytes" DESC, "files" DESC LIMIT ${limit}`;

function* sizeBands(): Steps<SizeBand[]> {
  const bands: SizeBand[] = [];
  for (const [position, min] of SIZE_BOUNDS.entries()) {
    const max = SIZE_BOUNDS[position + 1] ?? null;
    const found = yield* one<{ files: number; bytes: number }>(sql`SELECT count(*) AS "files",
      coalesce(sum(FileSize), 0) AS "bytes" FROM files
      WHERE FileSize >= ${min} AND (${max} IS NULL OR FileSize < ${max})`);
    bands.push({ min, max, files: found?.files ?? 0, bytes: found?.bytes ?? 0 });
  }
  return bands;
}

export const storageFigures = procedure(
  'analytics.storage',
  'read',
  function* (activeSince: string, dialect): Steps<StorageFigures> {
    const totals = yield* one<StorageFigures['totals']>(sql`SELECT count(*) AS "files",
      coalesce(sum(FileSize), 0) AS "bytes", count(CASE WHEN Verified = 1 THEN 1 END) AS "verified" FROM files`);
    const clients = yield* one<StorageFigures['clients']>(sql`SELECT count(*) AS "total",
      count(CASE WHEN LastSeen >= ${activeSince} THEN 1 END) AS "active" FROM clients`);
    const topClients = yield* all<TopClient>(sql`SELECT ${dialect.hex('c.ID')} AS "clientId", c.Name AS "name",
      count(f.ID) AS "files", coalesce(sum(f.FileSize), 0) AS "bytes" FROM clients c LEFT JOIN files f ON f.ClientID = c.ID
      GROUP BY c.ID, c.Name ORDER BY "bytes" DESC, c.Name LIMIT ${TOP}`);
    const pages = yield* one<StorageFigures['pages']>(dialect.pages());
    return {
      totals: totals ?? { files: 0, bytes: 0, verified: 0 },
      clients: clients ?? { total: 0, active: 0 },
      topClients,
      byCategory: yield* all<GroupTotal>(groupBy('FileCategory', 100)),
      byExtension: yield* all<GroupTotal>(groupBy('FileExtension', TOP)),
      bySize: yield* sizeBands(),
      pages: pages ?? { pageSize: 0, pageCount: 0, freePages: 0 },
      indexes: yield* all<{ name: string; table: string }>(dialect.indexes()),
    };
  },
  { alone: true },
);

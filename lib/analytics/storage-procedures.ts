/** The figures behind `analytics.storage`, read from running totals, never from the files. */

import { all, one, procedure, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { SIZE_BOUNDS } from '../values/size-bands.ts';

/** Files and bytes of one group; a name of null is "none". */
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

/** The last measurement of the file system, in bytes. */
export interface MeasuredSizes {
  readonly storageBytes: number | null;
  readonly measuredAt: string;
}

/** Everything that `storage` reads in one snapshot. */
export interface StorageFigures {
  readonly totals: { readonly files: number; readonly bytes: number; readonly verified: number };
  readonly clients: { readonly total: number; readonly active: number };
  readonly topClients: readonly TopClient[];
  readonly byCategory: readonly GroupTotal[];
  readonly byExtension: readonly GroupTotal[];
  readonly bySize: readonly SizeBand[];
  readonly pages: { readonly pageSize: number; readonly pageCount: number; readonly freePages: number };
  readonly indexes: readonly { readonly name: string; readonly table: string }[];
  readonly measured: MeasuredSizes | null;
}

interface KindTotal {
  readonly category: string;
  readonly extension: string;
  readonly band: number;
  readonly verified: number;
  readonly files: number;
  readonly bytes: number;
}

const TOP = 10; // rows of a ranking

const sumOf = (kinds: readonly KindTotal[]) => ({
  files: kinds.reduce((sum, { files }) => sum + files, 0),
  bytes: kinds.reduce((sum, { bytes }) => sum + bytes, 0),
});

/** Groups by bytes, then files, in descending order, then by name. */
function ranked(kinds: readonly KindTotal[], key: 'category' | 'extension'): GroupTotal[] {
  return [...Map.groupBy(kinds, (kind) => kind[key])]
    .map(([name, members]) => ({ name: name === '' ? null : name, ...sumOf(members) }))
    .sort((a, b) => b.bytes - a.bytes || b.files - a.files || String(a.name).localeCompare(String(b.name)));
}

const bandsOf = (kinds: readonly KindTotal[]): SizeBand[] =>
  SIZE_BOUNDS.map((min, band) => ({
    min,
    max: SIZE_BOUNDS[band + 1] ?? null,
    ...sumOf(kinds.filter((kind) => kind.band === band)),
  }));

/** Totals by every kind of file there is. */
export function* kindTotals(): Steps<KindTotal[]> {
  return yield* all<KindTotal>(sql`SELECT Category AS "category", Extension AS "extension", SizeBand AS "band",
    Verified AS "verified", Files AS "files", Bytes AS "bytes" FROM file_totals WHERE Files > 0`);
}

export const storageFigures = procedure(
  'analytics.storage',
  'read',
  function* (activeSince: string, dialect): Steps<StorageFigures> {
    const kinds = yield* kindTotals();
    const clients = yield* one<StorageFigures['clients']>(sql`SELECT count(*) AS "total",
      count(CASE WHEN LastSeen >= ${activeSince} THEN 1 END) AS "active" FROM clients`);
    const topClients = yield* all<TopClient>(sql`SELECT ${dialect.hex('c.ID')} AS "clientId", c.Name AS "name",
      coalesce(q.FileCount, 0) AS "files", coalesce(q.FileBytes, 0) AS "bytes"
      FROM clients c LEFT JOIN client_quotas q ON q.ClientID = c.ID ORDER BY "bytes" DESC, c.Name LIMIT ${TOP}`);
    const pages = yield* one<StorageFigures['pages']>(dialect.pages());
    const measured = yield* one<MeasuredSizes>(sql`SELECT StorageBytes AS "storageBytes", MeasuredAt AS "measuredAt"
      FROM daily_sizes WHERE StorageBytes IS NOT NULL ORDER BY Date DESC LIMIT 1`);
    return {
      totals: { ...sumOf(kinds), verified: sumOf(kinds.filter(({ verified }) => verified === 1)).files },
      clients: clients ?? { total: 0, active: 0 },
      topClients,
      byCategory: ranked(kinds, 'category'),
      byExtension: ranked(kinds, 'extension').slice(0, TOP),
      bySize: bandsOf(kinds),
      pages: pages ?? { pageSize: 0, pageCount: 0, freePages: 0 },
      indexes: yield* all<{ name: string; table: string }>(dialect.indexes()),
      measured: measured ?? null,
    };
  },
);

/** A measurement of the file system, in bytes; null for a missing folder. */
export interface SizesToRecord {
  readonly date: string;
  readonly measuredAt: string;
  readonly databaseBytes: number;
  readonly freeDiskBytes: number;
  readonly storageBytes: number | null;
}

/**
 * Stores the day's sizes of the database, the disk and the folder of contents, all of one instant: a measurement
 * without the folder does not replace one with it.
 */
export const recordSizes = procedure('analytics.recordSizes', 'write', function* (sizes: SizesToRecord): Steps<void> {
  yield* run(sql`INSERT INTO daily_sizes (Date, DatabaseBytes, FreeDiskBytes, StorageBytes, MeasuredAt)
    VALUES (${sizes.date}, ${sizes.databaseBytes}, ${sizes.freeDiskBytes}, ${sizes.storageBytes}, ${sizes.measuredAt})
    ON CONFLICT (Date) DO UPDATE SET DatabaseBytes = excluded.DatabaseBytes, FreeDiskBytes = excluded.FreeDiskBytes,
    StorageBytes = excluded.StorageBytes, MeasuredAt = excluded.MeasuredAt
    WHERE excluded.StorageBytes IS NOT NULL OR daily_sizes.StorageBytes IS NULL`);
});

/** Time series: transfers by day, activity by client, and sizes by day. */

import { perDialect } from '../sql/dialect.ts';
import { all, procedure, rows, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { dateOut } from '../values/dates.ts';
import { idBytes } from '../values/ids.ts';
import type { PageRequest } from '../values/pages.ts';

/** UTC days as `YYYY-MM-DD`, both ends included. */
export interface DayRange {
  readonly from: string;
  readonly to: string;
}

/** The transfers of one UTC day. Sizes in bytes, speed in bytes per second. */
export interface TransferDay {
  readonly date: string;
  /** Attempts. */
  readonly totalFiles: number;
  /** Bytes of the successful ones. */
  readonly totalBytes: number;
  readonly successfulTransfers: number;
  readonly failedTransfers: number;
  /** Over successes. */
  readonly averageFileSize: number;
  readonly peakTransferSpeed: number;
}

/** The recorded days of a range, without days that had no transfer. */
export const transferDays = procedure('analytics.transfers', 'read', function* ({ from, to }: DayRange): Steps<
  TransferDay[]
> {
  return yield* all<TransferDay>(sql`SELECT Date AS "date", TotalFiles AS "totalFiles", TotalBytes AS "totalBytes",
    SuccessfulTransfers AS "successfulTransfers", FailedTransfers AS "failedTransfers",
    AverageFileSize AS "averageFileSize", PeakTransferSpeed AS "peakTransferSpeed"
    FROM transfer_stats WHERE Date >= ${from} AND Date <= ${to} ORDER BY Date`);
});

/** One activity of a client. */
export interface Activity {
  readonly id: number;
  readonly clientId: string;
  /** `upload`, `upload_failed`, or what an old server wrote. */
  readonly activityType: string;
  readonly timestamp: string | null;
  readonly fileCount: number;
  readonly bytesTransferred: number;
  readonly fileName: string | null;
  readonly reason: string | null;
}

/** A checked request for activity; null means no bound. */
export interface ActivityRequest extends PageRequest {
  readonly clientId: string | null;
  readonly from: string | null;
  readonly to: string | null;
}

type ActivityRow = readonly [
  id: number,
  clientId: string,
  activityType: string,
  timestamp: string,
  fileCount: number | null,
  bytesTransferred: number | null,
  fileName: string | null,
  reason: string | null,
];

const activityColumns = perDialect(
  (dialect) =>
    sql`ID, ${dialect.hex('ClientID')}, ActivityType, Timestamp, FileCount, BytesTransferred, FileName, Reason`,
);

/** A page of activity, newest first, one row more than asked for. */
export const listActivity = procedure(
  'analytics.activity',
  'read',
  function* ({ clientId, from, to, limit, after }: ActivityRequest, dialect): Steps<ActivityRow[]> {
    const client = clientId === null ? sql`1 = 1` : sql`ClientID = ${idBytes(clientId)}`;
    const since = from === null ? sql`1 = 1` : sql`Timestamp >= ${from}`;
    const until = to === null ? sql`1 = 1` : sql`Timestamp <= ${to}`;
    const older = after === null ? sql`1 = 1` : sql`ID < ${after[0]}`;
    return yield* rows<ActivityRow>(sql`SELECT ${activityColumns(dialect)} FROM client_activity
      WHERE ${client} AND ${since} AND ${until} AND ${older} ORDER BY ID DESC LIMIT ${dialect.unplanned(limit + 1)}`);
  },
  {
    decode: (found): Activity[] =>
      found.map(([id, clientId, activityType, timestamp, fileCount, bytesTransferred, fileName, reason]) => ({
        id,
        clientId,
        activityType,
        timestamp: dateOut(timestamp),
        fileCount: fileCount ?? 0,
        bytesTransferred: bytesTransferred ?? 0,
        fileName,
        reason,
      })),
  },
);

const PRUNE_ROWS = 5_000; // a transaction of a few milliseconds

/** Removes a batch of the oldest activity before an instant; returns how many rows. */
export const pruneActivity = procedure('analytics.pruneActivity', 'write', function* (before: string): Steps<number> {
  const { changes } = yield* run(sql`DELETE FROM client_activity WHERE ID IN
    (SELECT ID FROM client_activity ORDER BY ID LIMIT ${PRUNE_ROWS}) AND Timestamp < ${before}`);
  return changes;
});

/** The totals at the end of a UTC day. Sizes in bytes. */
export interface DayTotals {
  readonly date: string;
  readonly files: number;
  /** Of current versions. */
  readonly bytes: number;
  /** Of every version. */
  readonly usedBytes: number;
}

/** The sizes of the database and of its disk, as measured on a day. */
export interface DaySizes {
  readonly date: string;
  readonly databaseBytes: number;
  readonly freeDiskBytes: number;
}

/** Days of a client, or of all. */
export interface GrowthRequest extends DayRange {
  readonly clientId: string | null;
}

/** Each client's totals at the end of each day with changes, from the last such day before the range. */
export const dailyTotals = procedure(
  'analytics.dailyTotals',
  'read',
  function* ({ clientId, from, to }: GrowthRequest, dialect): Steps<(DayTotals & { clientId: string })[]> {
    const client = clientId === null ? sql`1 = 1` : sql`ClientID = ${idBytes(clientId)}`;
    return yield* all<DayTotals & { clientId: string }>(sql`SELECT ${dialect.hex('ClientID')} AS "clientId",
      Date AS "date", Files AS "files", Bytes AS "bytes", UsedBytes AS "usedBytes" FROM daily_totals d
      WHERE ${client} AND Date <= ${to} AND (Date >= ${from} OR Date = (SELECT max(e.Date) FROM daily_totals e
        WHERE e.ClientID = d.ClientID AND e.Date < ${from})) ORDER BY Date`);
  },
);

export const dailySizes = procedure('analytics.dailySizes', 'read', function* ({ from, to }: DayRange): Steps<
  DaySizes[]
> {
  return yield* all<DaySizes>(sql`SELECT Date AS "date", DatabaseBytes AS "databaseBytes",
    FreeDiskBytes AS "freeDiskBytes" FROM daily_sizes WHERE Date >= ${from} AND Date <= ${to} ORDER BY Date`);
});

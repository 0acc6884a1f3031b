/** Recounts the totals from the files, and repairs differences on request. */

import { removeMark } from '../core/writer-mark.ts';
import type { Dialect } from '../sql/dialect.ts';
import { all, procedure, run, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';
import { isSameTotal } from '../values/counted-bytes.ts';
import { SIZE_BOUNDS } from '../values/size-bands.ts';

/** A total that differs from the rows. */
export interface TotalsDifference {
  /** `files/CATEGORY/EXTENSION/BAND/VERIFIED` or `client/ID`. */
  readonly total: string;
  readonly recordedFiles: number;
  readonly actualFiles: number;
  readonly recordedBytes: number;
  readonly actualBytes: number;
}

/** The result of an audit. */
export interface TotalsAudit {
  /** Totals checked. */
  readonly checked: number;
  /** Totals repaired. */
  readonly repaired: number;
  readonly differences: TotalsDifference[];
}

interface Total {
  readonly total: string;
  readonly files: number;
  readonly bytes: number;
}

/** The band of each size; written out as the migration's triggers have it, but independently of them. */
const band = raw(
  SIZE_BOUNDS.map((min, place) => {
    const next = SIZE_BOUNDS[place + 1];
    return `WHEN FileSize >= ${min}${next === undefined ? '' : ` AND FileSize < ${next}`} THEN ${place}`;
  }).join(' '),
);

const actualKinds = (
  dialect: Dialect,
) => sql`SELECT coalesce(FileCategory, '') AS Category, coalesce(FileExtension, '') AS Extension,
  CASE WHEN FileSize <> ${dialect.countedBytes('FileSize')} THEN -1 ${band} ELSE -1 END AS SizeBand,
  CASE WHEN Verified = 1 THEN 1 ELSE 0 END AS Verified,
  count(*) AS Files, ${dialect.sumOfBytes('FileSize')} AS Bytes FROM files GROUP BY 1, 2, 3, 4`;

function* differences(recorded: readonly Total[], actual: readonly Total[]): Generator<TotalsDifference> {
  const none = { files: 0, bytes: 0 };
  const [before, after] = [recorded, actual].map((totals) => new Map(totals.map((total) => [total.total, total])));
  for (const total of new Set([...recorded, ...actual].map(({ total: name }) => name))) {
    const was = before?.get(total) ?? none;
    const is = after?.get(total) ?? none;
    if (was.files === is.files && isSameTotal(was.bytes, is.bytes)) continue;
    yield {
      total,
      recordedFiles: was.files,
      actualFiles: is.files,
      recordedBytes: was.bytes,
      actualBytes: is.bytes,
    };
  }
}

function* repair(dialect: Dialect): Steps<void> {
  yield* run(sql`DELETE FROM file_totals`);
  yield* run(
    sql`INSERT INTO file_totals (Category, Extension, SizeBand, Verified, Files, Bytes) ${actualKinds(dialect)}`,
  );
  yield* run(sql`UPDATE client_quotas SET
    FileCount = (SELECT count(*) FROM files WHERE files.ClientID = client_quotas.ClientID),
    FileBytes = (SELECT ${dialect.sumOfBytes('FileSize')} FROM files WHERE files.ClientID = client_quotas.ClientID)`);
}

function* audit(dialect: Dialect): Steps<TotalsAudit> {
  const name = sql`'files/' || Category || '/' || Extension || '/' || SizeBand || '/' || Verified AS "total"`;
  const recordedKinds = yield* all<Total>(sql`SELECT ${name}, Files AS "files", Bytes AS "bytes" FROM file_totals`);
  const kinds = yield* all<Total>(
    sql`SELECT ${name}, Files AS "files", Bytes AS "bytes" FROM (${actualKinds(dialect)}) k`,
  );
  const recordedClients = yield* all<Total>(sql`SELECT 'client/' || ${dialect.hex('ClientID')} AS "total",
    FileCount AS "files", FileBytes AS "bytes" FROM client_quotas`);
  const clients = yield* all<Total>(sql`SELECT 'client/' || ${dialect.hex('q.ClientID')} AS "total",
    count(f.ClientID) AS "files", ${dialect.sumOfBytes('f.FileSize')} AS "bytes"
    FROM client_quotas q LEFT JOIN files f ON f.ClientID = q.ClientID GROUP BY q.ClientID`);
  const found = [...differences([...recordedKinds, ...recordedClients], [...kinds, ...clients])];
  return { checked: kinds.length + clients.length, repaired: 0, differences: found };
}

/** Compares every running total with the rows, on one snapshot. */
export const auditTotals = procedure(
  'analytics.audit',
  'read',
  function* (_: null, dialect) {
    return yield* audit(dialect);
  },
  { alone: true },
);

/** The same, and repairs differences, in one transaction. */
export const repairTotals = procedure('analytics.repair', 'write', function* (_: null, dialect): Steps<TotalsAudit> {
  yield* removeMark(); // raw SQL can leave one, and the totals would differ again after the next save
  const found = yield* audit(dialect);
  if (found.differences.length > 0) yield* repair(dialect);
  return { ...found, repaired: found.differences.length };
});

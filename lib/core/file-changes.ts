/** Changes of files other than saves: verifying, deleting, and recording failed transfers. */

import { DatabaseError, NotFoundError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { all, one, procedure, row, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { dayOf, now } from '../values/dates.ts';
import { idBytes } from '../values/ids.ts';
import { changeRow } from './change-row.ts';
import { FILE, type FileRow, fileColumns, toFile } from './file-rows.ts';
import { type Deletion, unnamedPaths } from './freed-paths.ts';

/** A failed transfer. */
export interface FailureToRecord {
  readonly clientId: string;
  readonly fileName: string;
  /** Bytes that had arrived. */
  readonly bytes: number;
  readonly reason: string | null;
}

function* requireFile(id: string, dialect: Dialect): Steps<FileRow> {
  const found = yield* row<FileRow>(sql`SELECT ${fileColumns(dialect)} FROM files f WHERE f.ID = ${idBytes(id)}`);
  if (found === undefined) throw new NotFoundError(`file ${id}`);
  return found;
}

/** Marks the current version verified; stores the CRC if it was unknown. */
export const verifyFile = procedure(
  'files.verify',
  'write',
  function* ({ id, crc }: { readonly id: string; readonly crc: number | null }, dialect): Steps<FileRow> {
    const stored = (yield* requireFile(id, dialect))[FILE.crc];
    if (crc !== null && stored !== null && crc !== stored) {
      throw new DatabaseError('CATALOG_CHECKSUM_MISMATCH', `file ${id} has the CRC ${stored}, not ${crc}`);
    }
    const file = idBytes(id);
    yield* changeRow(sql`UPDATE files SET Verified = 1, CRC = coalesce(${crc}, CRC) WHERE ID = ${file}`);
    yield* run(sql`UPDATE file_versions SET Verified = 1, CRC = coalesce(${crc}, CRC)
      WHERE FileID = ${file} AND VersionNumber = (SELECT CurrentVersion FROM files WHERE ID = ${file})`);
    return yield* requireFile(id, dialect);
  },
  { decode: toFile },
);

/** Removes a file with every version of it. */
export const deleteFile = procedure('files.delete', 'write', function* (id: string, dialect): Steps<Deletion> {
  const pathName = (yield* requireFile(id, dialect))[FILE.pathName];
  const file = idBytes(id);
  const versions = yield* all<{ path: string; bytes: number }>(sql`SELECT PathName AS "path",
    ${dialect.countedBytes('FileSize')} AS "bytes" FROM file_versions WHERE FileID = ${file}`);
  yield* run(sql`DELETE FROM file_versions WHERE FileID = ${file}`);
  yield* changeRow(sql`DELETE FROM files WHERE ID = ${file}`);
  const paths = yield* unnamedPaths([...versions.map(({ path }) => path), pathName]);
  return { deleted: 1, bytes: versions.reduce((sum, { bytes }) => sum + bytes, 0), paths };
});

/** Counts a failed transfer in the day's statistics and in the client's activity. */
export const recordFailure = procedure(
  'files.recordFailure',
  'write',
  function* ({ clientId, fileName, bytes, reason }: FailureToRecord): Steps<void> {
    const client = idBytes(clientId);
    const known = yield* one(sql`SELECT 1 AS "known" FROM clients WHERE ID = ${client}`);
    if (known === undefined) throw new NotFoundError(`client ${clientId}`);
    const seen = now();
    yield* run(sql`INSERT INTO client_activity (ClientID, ActivityType, Timestamp, FileCount, BytesTransferred, FileName,
      Reason) VALUES (${client}, 'upload_failed', ${seen}, 1, ${bytes}, ${fileName}, ${reason})`);
    yield* run(sql`INSERT INTO transfer_stats AS s (Date, TotalFiles, TotalBytes, SuccessfulTransfers, FailedTransfers,
      AverageFileSize, PeakTransferSpeed) VALUES (${dayOf(seen)}, 1, 0, 0, 1, 0, 0)
      ON CONFLICT (Date) DO UPDATE SET TotalFiles = s.TotalFiles + 1, FailedTransfers = s.FailedTransfers + 1`);
  },
);

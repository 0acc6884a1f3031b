/** How a row of `file_versions` becomes a version. */

import { perDialect } from '../sql/dialect.ts';
import { sql } from '../sql/template.ts';
import { dateOut } from '../values/dates.ts';

/** One version of a file, with every fact it was saved with. */
export interface FileVersion {
  readonly fileId: string;
  /** Counts from 1; never reused, even after a version is gone. */
  readonly versionNumber: number;
  readonly pathName: string;
  /** Bytes. */
  readonly fileSize: number | null;
  readonly createdDate: string | null;
  /** Whether it is the file's current version. */
  readonly isActive: boolean;
  readonly modificationDate: string | null;
  readonly crc: number | null;
  readonly verified: boolean;
  readonly category: string | null;
  readonly mimeType: string | null;
  readonly fileHash: string | null;
  /** Milliseconds. */
  readonly transferDuration: number | null;
  /** Bytes per second. */
  readonly transferSpeed: number | null;
  readonly compressionRatio: number | null;
}

/** A version as a tuple. */
export type VersionRow = readonly [
  fileId: string,
  versionNumber: number,
  pathName: string,
  fileSize: number | null,
  createdDate: string,
  isActive: number | null,
  modificationDate: string | null,
  crc: number | null,
  verified: number | null,
  category: string | null,
  mimeType: string | null,
  fileHash: string | null,
  transferDuration: number | null,
  transferSpeed: number | null,
  compressionRatio: number | null,
];

/** The columns of {@link VersionRow}, of a table called `v`. */
export const versionColumns = perDialect(
  (dialect) => sql`${dialect.hex('v.FileID')} AS "fileId", v.VersionNumber AS "versionNumber",
    v.PathName AS "pathName", v.FileSize AS "fileSize", v.CreatedDate AS "createdDate", v.IsActive AS "isActive",
    v.ModificationDate AS "modificationDate", v.CRC AS "crc", v.Verified AS "verified", v.FileCategory AS "category",
    v.MimeType AS "mimeType", v.VersionHash AS "fileHash", v.TransferDuration AS "transferDuration",
    v.TransferSpeed AS "transferSpeed", v.CompressionRatio AS "compressionRatio"`,
);

/** The version of a row. */
export const toVersion = (row: VersionRow): FileVersion => ({
  fileId: row[0],
  versionNumber: row[1],
  pathName: row[2],
  fileSize: row[3],
  createdDate: dateOut(row[4]),
  isActive: row[5] === 1,
  modificationDate: dateOut(row[6]),
  crc: row[7],
  verified: row[8] === 1,
  category: row[9],
  mimeType: row[10],
  fileHash: row[11],
  transferDuration: row[12],
  transferSpeed: row[13],
  compressionRatio: row[14],
});

/** How a row of `files` becomes a file: the one list of its columns and the one mapping, side by side. */

import { perDialect } from '../sql/dialect.ts';
import { sql } from '../sql/template.ts';
import { dateOut } from '../values/dates.ts';

/** A file as the catalogue knows it: the facts of its current version. */
export interface CatalogFile {
  readonly id: string;
  readonly clientId: string;
  readonly fileName: string;
  /** Where the server keeps the content. */
  readonly pathName: string;
  /** Where the content was on the client; part of what identifies the file. */
  readonly originalPath: string | null;
  /** Bytes. */
  readonly fileSize: number | null;
  readonly modificationDate: string | null;
  /** CRC-32, unsigned. */
  readonly crc: number | null;
  readonly verified: boolean;
  readonly category: string | null;
  readonly mimeType: string | null;
  /** The last extension in lower case, without the dot. */
  readonly extension: string | null;
  readonly fileHash: string | null;
  /** Milliseconds. */
  readonly transferDuration: number | null;
  /** Bytes per second. */
  readonly transferSpeed: number | null;
  readonly compressionRatio: number | null;
  /** The number of the current version. */
  readonly version: number;
}

/** A file as a tuple, the cheapest form to send across a thread. */
export type FileRow = readonly [
  id: string,
  clientId: string,
  fileName: string,
  pathName: string,
  originalPath: string | null,
  fileSize: number | null,
  modificationDate: string | null,
  crc: number | null,
  verified: number | null,
  category: string | null,
  mimeType: string | null,
  extension: string | null,
  fileHash: string | null,
  transferDuration: number | null,
  transferSpeed: number | null,
  compressionRatio: number | null,
  version: number,
];

/** The columns of {@link FileRow}, of a table called `f`. */
export const fileColumns = perDialect(
  (dialect) => sql`${dialect.hex('f.ID')} AS "id", ${dialect.hex('f.ClientID')} AS "clientId",
    f.FileName AS "fileName", f.PathName AS "pathName", f.OriginalPath AS "originalPath", f.FileSize AS "fileSize",
    f.ModificationDate AS "modificationDate", f.CRC AS "crc", f.Verified AS "verified",
    f.FileCategory AS "category", f.MimeType AS "mimeType", f.FileExtension AS "extension", f.FileHash AS "fileHash",
    f.TransferDuration AS "transferDuration", f.TransferSpeed AS "transferSpeed",
    f.CompressionRatio AS "compressionRatio", f.CurrentVersion AS "version"`,
);

/** The file of a row. */
export const toFile = (row: FileRow): CatalogFile => ({
  id: row[0],
  clientId: row[1],
  fileName: row[2],
  pathName: row[3],
  originalPath: row[4],
  fileSize: row[5],
  modificationDate: dateOut(row[6]),
  crc: row[7],
  verified: row[8] === 1,
  category: row[9],
  mimeType: row[10],
  extension: row[11],
  fileHash: row[12],
  transferDuration: row[13],
  transferSpeed: row[14],
  compressionRatio: row[15],
  version: row[16],
});

/** How a row of `files` becomes a file. */
import { placesOf, type Row, rowOf, type StoredValues, selected } from '../sql/tuple.ts';
import { dateOut } from '../values/dates.ts';
import { FILE_FACTS } from '../values/file-facts.ts';

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
export type FileRow = Row<typeof FILE_FACTS, CatalogFile>;

/** The places in a {@link FileRow}. */
export const FILE = placesOf(FILE_FACTS);

/** The row of a file's facts as they are stored. */
export const fileRowOf = (facts: StoredValues<typeof FILE_FACTS, CatalogFile>): FileRow => rowOf(FILE_FACTS, facts);

/** The columns of a {@link FileRow}, of a table called `f`. */
export const fileColumns = selected(FILE_FACTS, ({ files }) => `f.${files}`);

/** The columns of a {@link FileRow} as the file was in a version: `f` are the files, `v` the versions. */
export const pastFileColumns = selected(FILE_FACTS, ({ files, versions }) =>
  versions === null ? `f.${files}` : `v.${versions}`,
);

/** The file of a row. Written out: a loop over the columns takes five times as long, for each row there is. */
export const toFile = (row: FileRow): CatalogFile => ({
  id: row[FILE.id],
  clientId: row[FILE.clientId],
  fileName: row[FILE.fileName],
  pathName: row[FILE.pathName],
  originalPath: row[FILE.originalPath],
  fileSize: row[FILE.fileSize],
  modificationDate: dateOut(row[FILE.modificationDate]),
  crc: row[FILE.crc],
  verified: row[FILE.verified] === 1,
  category: row[FILE.category],
  mimeType: row[FILE.mimeType],
  extension: row[FILE.extension],
  fileHash: row[FILE.fileHash],
  transferDuration: row[FILE.transferDuration],
  transferSpeed: row[FILE.transferSpeed],
  compressionRatio: row[FILE.compressionRatio],
  version: row[FILE.version],
});

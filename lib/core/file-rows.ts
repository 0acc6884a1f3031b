/** Turns rows of `files` into files. */
import { placesOf, type Row, rowOf, type StoredValues, selected } from '../sql/tuple.ts';
import { dateOut } from '../values/dates.ts';
import { FILE_FACTS } from '../values/file-facts.ts';

/** A file with the facts of its current version. */
export interface CatalogFile {
  readonly id: string;
  readonly clientId: string;
  readonly fileName: string;
  /** The path of the content on the server. */
  readonly pathName: string;
  /** The path of the file on the client; part of its identity. */
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

/** The stored facts of a file. */
export const fileRowOf = (facts: StoredValues<typeof FILE_FACTS, CatalogFile>): FileRow => rowOf(FILE_FACTS, facts);

/** The columns of a {@link FileRow}, of a table called `f`. */
export const fileColumns = selected(FILE_FACTS, ({ files }) => `f.${files}`);

/** The columns of a {@link FileRow} for an older version: `f` is the file, `v` the version. */
export const pastFileColumns = selected(FILE_FACTS, ({ files, versions }) =>
  versions === null ? `f.${files}` : `v.${versions}`,
);

/** The file of a row. Written out, because a loop over the columns takes five times as long. */
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

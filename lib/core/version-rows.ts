/** Turns rows of `file_versions` into versions. */
import { placesOf, type Row, selected } from '../sql/tuple.ts';
import { dateOut } from '../values/dates.ts';
import { VERSION_CONTENT } from '../values/file-facts.ts';

/** One version of a file, with all its saved facts. */
export interface FileVersion {
  readonly fileId: string;
  /** Counts from 1; never reused, even after a version is removed. */
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

const VERSION_COLUMNS = [
  { name: 'fileId', kind: 'id', versions: 'FileID' },
  { name: 'versionNumber', kind: 'plain', versions: 'VersionNumber' },
  { name: 'createdDate', kind: 'date', versions: 'CreatedDate' },
  { name: 'isActive', kind: 'flag', versions: 'IsActive' },
  ...VERSION_CONTENT,
] as const;

/** A version as a tuple. */
export type VersionRow = Row<typeof VERSION_COLUMNS, FileVersion>;

const VERSION = placesOf(VERSION_COLUMNS);

/** The columns of a {@link VersionRow}, of a table called `v`. */
export const versionColumns = selected(VERSION_COLUMNS, ({ versions }) => `v.${versions}`);

/** The version of a row. */
export const toVersion = (row: VersionRow): FileVersion => ({
  fileId: row[VERSION.fileId],
  versionNumber: row[VERSION.versionNumber],
  pathName: row[VERSION.pathName],
  fileSize: row[VERSION.fileSize],
  createdDate: dateOut(row[VERSION.createdDate]),
  isActive: row[VERSION.isActive] === 1,
  modificationDate: dateOut(row[VERSION.modificationDate]),
  crc: row[VERSION.crc],
  verified: row[VERSION.verified] === 1,
  category: row[VERSION.category],
  mimeType: row[VERSION.mimeType],
  fileHash: row[VERSION.fileHash],
  transferDuration: row[VERSION.transferDuration],
  transferSpeed: row[VERSION.transferSpeed],
  compressionRatio: row[VERSION.compressionRatio],
});

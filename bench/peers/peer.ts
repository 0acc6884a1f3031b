/**
 * What each library must do in the suite `peers`: save one file in one transaction, and look one up, on a catalogue
 * this library made. The values of a save are made before the clock starts, so no peer pays for them.
 */

import type { CatalogFile } from '../../lib/core/file-rows.ts';
import type { FileToSave } from '../../lib/values/file-input.ts';
import { idBytes, newId } from '../../lib/values/ids.ts';

/** Values by column. */
export type Row = Readonly<Record<string, string | number | Buffer | null>>;

/** The rows that a save of a new file writes. */
export interface PlainSave {
  readonly clientId: Buffer;
  readonly fileName: string;
  readonly originalPath: string;
  readonly seen: string;
  readonly file: Row;
  readonly version: Row;
  readonly activity: Row;
  readonly day: Row & { readonly TotalBytes: number; readonly PeakTransferSpeed: number };
}

/** A peer with an open catalogue. */
export interface PeerSession {
  save(save: PlainSave): Promise<unknown> | unknown;
  get(id: string): Promise<CatalogFile | null> | CatalogFile | null;
  close(): Promise<unknown> | unknown;
}

/** A library to compare with. */
export interface Peer {
  readonly name: string;
  /** Packages it needs beside better-sqlite3. */
  readonly packages: readonly string[];
  open(path: string): Promise<PeerSession>;
}

/** Loads a package that may be absent; its types are not known here, because the product does not install it. */
export const load = (name: string) => import(name);

/** The columns of a lookup. */
export const FILE_COLUMNS = [
  'ID',
  'ClientID',
  'FileName',
  'PathName',
  'OriginalPath',
  'FileSize',
  'ModificationDate',
  'CRC',
  'Verified',
  'FileCategory',
  'MimeType',
  'FileExtension',
  'FileHash',
  'TransferDuration',
  'TransferSpeed',
  'CompressionRatio',
  'CurrentVersion',
] as const;

type Stored = Readonly<Record<Exclude<(typeof FILE_COLUMNS)[number], 'ID' | 'ClientID'>, never>> & {
  readonly ID: Buffer;
  readonly ClientID: Buffer;
};

/** The file of a row that a driver returns; ids are binary values. */
export const fileOfRow = (row: Stored | null | undefined): CatalogFile | null =>
  row === null || row === undefined
    ? null
    : {
        id: row.ID.toString('hex'),
        clientId: row.ClientID.toString('hex'),
        fileName: row.FileName,
        pathName: row.PathName,
        originalPath: row.OriginalPath,
        fileSize: row.FileSize,
        modificationDate: row.ModificationDate,
        crc: row.CRC,
        verified: row.Verified === 1,
        category: row.FileCategory,
        mimeType: row.MimeType,
        extension: row.FileExtension,
        fileHash: row.FileHash,
        transferDuration: row.TransferDuration,
        transferSpeed: row.TransferSpeed,
        compressionRatio: row.CompressionRatio,
        version: row.CurrentVersion,
      };

/** The rows a save of a checked file writes, with a new id. */
export function plainSave(file: FileToSave): PlainSave {
  const [id, clientId] = [idBytes(newId()), idBytes(file.clientId)];
  const seen = new Date().toISOString();
  const facts = {
    PathName: file.pathName,
    FileSize: file.fileSize,
    ModificationDate: file.modificationDate,
    CRC: file.crc,
    Verified: file.verified,
    MimeType: file.mimeType,
    FileCategory: file.category ?? file.derivedCategory,
    TransferDuration: file.transferDuration,
    TransferSpeed: file.transferSpeed,
    CompressionRatio: file.compressionRatio,
  };
  return {
    clientId,
    fileName: file.fileName,
    originalPath: file.originalPath ?? '',
    seen,
    file: {
      ID: id,
      FileName: file.fileName,
      ClientID: clientId,
      FileExtension: file.extension,
      OriginalPath: file.originalPath,
      FileHash: file.fileHash,
      CurrentVersion: 1,
      HighestVersion: 1,
      ...facts,
    },
    version: {
      FileID: id,
      VersionNumber: 1,
      CreatedDate: seen,
      IsActive: 1,
      VersionHash: file.fileHash,
      ParentVersionID: null,
      OperationID: null,
      ...facts,
    },
    activity: {
      ClientID: clientId,
      ActivityType: 'upload',
      Timestamp: seen,
      FileCount: 1,
      BytesTransferred: file.fileSize,
    },
    day: {
      Date: seen.slice(0, 10),
      TotalFiles: 1,
      TotalBytes: file.fileSize,
      SuccessfulTransfers: 1,
      FailedTransfers: 0,
      AverageFileSize: file.fileSize,
      PeakTransferSpeed: file.transferSpeed ?? 0,
    },
  };
}

/** Runs one at a time: for libraries that have one connection and no queue for transactions. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/**
 * TypeORM on better-sqlite3, with entities and repositories. Its transactions share one connection and would run into
 * each other, so callers take turns.
 */
import Database from 'better-sqlite3';
import { PRAGMAS } from '../settings.ts';
import { FILE_COLUMNS, fileOfRow, load, Mutex, type Peer, type PlainSave } from './peer.ts';

const BINARY = { type: 'blob' } as const;
const INTEGER = { type: 'integer', nullable: true } as const;
const TEXT = { type: 'text', nullable: true } as const;
const REAL = { type: 'real', nullable: true } as const;

const BINARY_COLUMNS = new Set(['ID', 'ClientID', 'FileID']);
const TEXT_COLUMNS =
  /^(FileName|PathName|OriginalPath|ModificationDate|FileCategory|MimeType|FileExtension|FileHash|CreatedDate|VersionHash|OperationID|LastSeen|ActivityType|Timestamp|Date)$/;

const columnOf = (name: string) => {
  if (BINARY_COLUMNS.has(name)) return BINARY;
  if (name === 'CompressionRatio') return REAL;
  return TEXT_COLUMNS.test(name) ? TEXT : INTEGER;
};

/** An entity over an existing table. */
const entity = (tableName: string, key: string, names: readonly string[], generated = false) => ({
  name: tableName,
  tableName,
  columns: Object.fromEntries(
    names.map((name) => {
      const primary = name === key ? { primary: true, nullable: false, ...(generated ? { generated: true } : {}) } : {};
      return [name, { ...columnOf(name === key && generated ? 'Key' : name), ...primary }];
    }),
  ),
});

const VERSION_COLUMNS = [
  ...['ID', 'FileID', 'VersionNumber', 'CreatedDate', 'IsActive', 'VersionHash', 'ParentVersionID', 'OperationID'],
  ...['PathName', 'FileSize', 'ModificationDate', 'CRC', 'Verified', 'MimeType', 'FileCategory'],
  ...['TransferDuration', 'TransferSpeed', 'CompressionRatio'],
];
const ACTIVITY_COLUMNS = ['ID', 'ClientID', 'ActivityType', 'Timestamp', 'FileCount', 'BytesTransferred'];
const DAY_COLUMNS = [
  ...['Date', 'TotalFiles', 'TotalBytes', 'SuccessfulTransfers', 'FailedTransfers', 'AverageFileSize'],
  'PeakTransferSpeed',
];

const ENTITIES = [
  entity('clients', 'ID', ['ID', 'LastSeen']),
  entity('client_quotas', 'ClientID', ['ClientID', 'QuotaBytes', 'UsedBytes']),
  entity('files', 'ID', [...FILE_COLUMNS, 'HighestVersion']),
  entity('file_versions', 'ID', VERSION_COLUMNS, true),
  entity('client_activity', 'ID', ACTIVITY_COLUMNS, true),
  entity('transfer_stats', 'Date', DAY_COLUMNS),
];

const ADD_TO_DAY = `INSERT INTO transfer_stats (${DAY_COLUMNS.join(', ')}) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (Date) DO UPDATE SET TotalFiles = TotalFiles + 1, TotalBytes = TotalBytes + excluded.TotalBytes,
  SuccessfulTransfers = SuccessfulTransfers + 1,
  AverageFileSize = (TotalBytes + excluded.TotalBytes) / (SuccessfulTransfers + 1),
  PeakTransferSpeed = max(PeakTransferSpeed, excluded.PeakTransferSpeed)`;

export const typeorm: Peer = {
  name: 'TypeORM',
  packages: ['typeorm'],
  open: async (path) => {
    const { DataSource, EntitySchema } = await load('typeorm');
    const source = new DataSource({
      type: 'better-sqlite3',
      driver: Database,
      database: path,
      entities: ENTITIES.map((each) => new EntitySchema(each)),
      prepareDatabase: (database: Database.Database) => {
        for (const pragma of PRAGMAS) database.pragma(pragma);
      },
    });
    await source.initialize();
    const files = source.getRepository('files');
    const select = Object.fromEntries(FILE_COLUMNS.map((name) => [name, true]));
    const mutex = new Mutex();
    const save = ({ clientId, fileName, originalPath, seen, file, version, activity, day }: PlainSave) =>
      source.transaction(async (manager: typeof source.manager) => {
        await manager.findOneBy('client_quotas', { ClientID: clientId });
        await manager
          .createQueryBuilder('files', 'f')
          .where('f.ClientID = :clientId AND f.FileName = :fileName', { clientId, fileName })
          .andWhere("coalesce(f.OriginalPath, '') = :originalPath", { originalPath })
          .getOne();
        await manager.insert('files', file);
        await manager.insert('file_versions', version);
        await manager.update('clients', { ID: clientId }, { LastSeen: seen });
        await manager.insert('client_activity', activity);
        await manager.query(
          ADD_TO_DAY,
          DAY_COLUMNS.map((name) => day[name]),
        );
      });
    return {
      save: (plain) => mutex.run(() => save(plain)),
      get: async (id) => fileOfRow(await files.findOne({ select, where: { ID: Buffer.from(id, 'hex') } })),
      close: () => source.destroy(),
    };
  },
};

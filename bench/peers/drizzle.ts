/** Drizzle on better-sqlite3: synchronous transactions, and a prepared query for the lookup, as its manual advises. */
import Database from 'better-sqlite3';
import { PRAGMAS } from '../settings.ts';
import { FILE_COLUMNS, fileOfRow, load, type Peer, type PlainSave } from './peer.ts';

const TABLES: Readonly<Record<string, readonly string[]>> = {
  clients: ['ID', 'LastSeen'],
  client_quotas: ['ClientID', 'QuotaBytes', 'UsedBytes'],
  files: [...FILE_COLUMNS, 'HighestVersion'],
  file_versions: [
    ...['FileID', 'VersionNumber', 'CreatedDate', 'IsActive', 'VersionHash', 'ParentVersionID', 'OperationID'],
    ...['PathName', 'FileSize', 'ModificationDate', 'CRC', 'Verified', 'MimeType', 'FileCategory'],
    ...['TransferDuration', 'TransferSpeed', 'CompressionRatio'],
  ],
  client_activity: ['ClientID', 'ActivityType', 'Timestamp', 'FileCount', 'BytesTransferred'],
  transfer_stats: [
    ...['Date', 'TotalFiles', 'TotalBytes', 'SuccessfulTransfers', 'FailedTransfers', 'AverageFileSize'],
    'PeakTransferSpeed',
  ],
};

const BINARY = new Set(['ID', 'ClientID', 'FileID']);
const REAL = new Set(['CompressionRatio']);
const INTEGER =
  /Bytes|Files|Transfers|Size|Speed|Duration|Count|Number|Verified|CRC|Active|ParentVersionID|CurrentVersion|HighestVersion/;

/** The tables as Drizzle declares them. */
async function declareTables() {
  const { sqliteTable, blob, integer, real, text } = await load('drizzle-orm/sqlite-core');
  const columnOf = (name: string) => {
    if (BINARY.has(name)) return blob(name, { mode: 'buffer' });
    if (REAL.has(name)) return real(name);
    return INTEGER.test(name) ? integer(name) : text(name);
  };
  const declared = Object.entries(TABLES).map(([table, columns]) => [
    table,
    sqliteTable(table, Object.fromEntries(columns.map((name) => [name, columnOf(name)]))),
  ]);
  return Object.fromEntries(declared);
}

export const drizzle: Peer = {
  name: 'Drizzle',
  packages: ['drizzle-orm'],
  open: async (path) => {
    const { drizzle: connect } = await load('drizzle-orm/better-sqlite3');
    const { and, eq, sql } = await load('drizzle-orm');
    const { clients, client_quotas: quotas, files, file_versions: versions, ...rest } = await declareTables();
    const { client_activity: activities, transfer_stats: days } = rest;
    const database = new Database(path);
    for (const pragma of PRAGMAS) database.pragma(pragma);
    const db = connect({ client: database });
    const columns = Object.fromEntries(FILE_COLUMNS.map((name) => [name, files[name]]));
    const lookup = db
      .select(columns)
      .from(files)
      .where(eq(files.ID, sql.placeholder('id')))
      .prepare();
    const save = ({ clientId, fileName, originalPath, seen, file, version, activity, day }: PlainSave) =>
      db.transaction(
        (tx: typeof db) => {
          tx.select().from(quotas).where(eq(quotas.ClientID, clientId)).get();
          const path = sql`coalesce(${files.OriginalPath}, '') = ${originalPath}`;
          tx.select()
            .from(files)
            .where(and(eq(files.ClientID, clientId), eq(files.FileName, fileName), path))
            .get();
          tx.insert(files).values(file).run();
          tx.insert(versions).values(version).run();
          tx.update(clients).set({ LastSeen: seen }).where(eq(clients.ID, clientId)).run();
          tx.insert(activities).values(activity).run();
          const set = {
            TotalFiles: sql`TotalFiles + 1`,
            TotalBytes: sql`TotalBytes + excluded.TotalBytes`,
            SuccessfulTransfers: sql`SuccessfulTransfers + 1`,
            AverageFileSize: sql`(TotalBytes + excluded.TotalBytes) / (SuccessfulTransfers + 1)`,
            PeakTransferSpeed: sql`max(PeakTransferSpeed, excluded.PeakTransferSpeed)`,
          };
          tx.insert(days).values(day).onConflictDoUpdate({ target: days.Date, set }).run();
        },
        { behavior: 'immediate' },
      );
    return {
      save,
      get: (id) => fileOfRow(lookup.get({ id: Buffer.from(id, 'hex') })),
      close: () => database.close(),
    };
  },
};

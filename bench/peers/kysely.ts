/** Kysely on better-sqlite3, with its query builder; it queues transactions for its one connection by itself. */
import Database from 'better-sqlite3';
import { PRAGMAS } from '../settings.ts';
import { FILE_COLUMNS, fileOfRow, load, type Peer, type PlainSave } from './peer.ts';

export const kysely: Peer = {
  name: 'Kysely',
  packages: ['kysely'],
  open: async (path) => {
    const { Kysely, SqliteDialect, sql } = await load('kysely');
    const database = new Database(path);
    for (const pragma of PRAGMAS) database.pragma(pragma);
    const db = new Kysely({ dialect: new SqliteDialect({ database }) });
    const save = ({ clientId, fileName, originalPath, seen, file, version, activity, day }: PlainSave) =>
      db.transaction().execute(async (trx: typeof db) => {
        const quota = ['QuotaBytes', 'UsedBytes'];
        await trx.selectFrom('client_quotas').select(quota).where('ClientID', '=', clientId).executeTakeFirst();
        await trx
          .selectFrom('files')
          .selectAll()
          .where('ClientID', '=', clientId)
          .where('FileName', '=', fileName)
          .where(sql`coalesce(OriginalPath, '')`, '=', originalPath)
          .executeTakeFirst();
        await trx.insertInto('files').values(file).execute();
        await trx.insertInto('file_versions').values(version).execute();
        await trx.updateTable('clients').set({ LastSeen: seen }).where('ID', '=', clientId).execute();
        await trx.insertInto('client_activity').values(activity).execute();
        await trx
          .insertInto('transfer_stats')
          .values(day)
          .onConflict((conflict: ReturnType<typeof db.insertInto>) =>
            conflict.column('Date').doUpdateSet({
              TotalFiles: sql`TotalFiles + 1`,
              TotalBytes: sql`TotalBytes + excluded.TotalBytes`,
              SuccessfulTransfers: sql`SuccessfulTransfers + 1`,
              AverageFileSize: sql`(TotalBytes + excluded.TotalBytes) / (SuccessfulTransfers + 1)`,
              PeakTransferSpeed: sql`max(PeakTransferSpeed, excluded.PeakTransferSpeed)`,
            }),
          )
          .execute();
      });
    return {
      save,
      get: async (id) => {
        const lookup = db.selectFrom('files').select(FILE_COLUMNS).where('ID', '=', Buffer.from(id, 'hex'));
        return fileOfRow(await lookup.executeTakeFirst());
      },
      close: () => db.destroy(),
    };
  },
};

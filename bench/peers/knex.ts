/** Knex on better-sqlite3, with its query builder; its pool of one connection queues the transactions. */

import { PRAGMAS } from '../settings.ts';
import { FILE_COLUMNS, fileOfRow, load, type Peer, type PlainSave } from './peer.ts';

interface Connection {
  pragma(text: string): unknown;
}

export const knex: Peer = {
  name: 'Knex',
  packages: ['knex'],
  open: async (path) => {
    const { default: connect } = await load('knex');
    const db = connect({
      client: 'better-sqlite3',
      connection: { filename: path },
      useNullAsDefault: true,
      pool: {
        min: 1,
        max: 1,
        afterCreate: (connection: Connection, done: (error: Error | null, connection: Connection) => void) => {
          for (const pragma of PRAGMAS) connection.pragma(pragma);
          done(null, connection);
        },
      },
    });
    const save = ({ clientId, fileName, originalPath, seen, file, version, activity, day }: PlainSave) =>
      db.transaction(async (trx: typeof db) => {
        await trx('client_quotas').select('QuotaBytes', 'UsedBytes').where('ClientID', clientId).first();
        await trx('files')
          .where({ ClientID: clientId, FileName: fileName })
          .whereRaw("coalesce(OriginalPath, '') = ?", [originalPath])
          .first();
        await trx('files').insert(file);
        await trx('file_versions').insert(version);
        await trx('clients').update({ LastSeen: seen }).where('ID', clientId);
        await trx('client_activity').insert(activity);
        await trx('transfer_stats')
          .insert(day)
          .onConflict('Date')
          .merge({
            TotalFiles: trx.raw('TotalFiles + 1'),
            TotalBytes: trx.raw('TotalBytes + excluded.TotalBytes'),
            SuccessfulTransfers: trx.raw('SuccessfulTransfers + 1'),
            AverageFileSize: trx.raw('(TotalBytes + excluded.TotalBytes) / (SuccessfulTransfers + 1)'),
            PeakTransferSpeed: trx.raw('max(PeakTransferSpeed, excluded.PeakTransferSpeed)'),
          });
      });
    return {
      save,
      get: async (id) => fileOfRow(await db('files').first(FILE_COLUMNS).where('ID', Buffer.from(id, 'hex'))),
      close: () => db.destroy(),
    };
  },
};

/** `status`: which database this is, its schema, and how much it holds. */
import { stat } from 'node:fs/promises';
import type { CommandSpec } from '../command.ts';
import { formatBytes, formatCount } from '../format.ts';
import { printJson, printLine } from '../output.ts';
import { fields } from '../table.ts';

export const status: CommandSpec = {
  name: 'status',
  summary: 'Show the database, its schema version and how much it holds',
  example: 'status --database /var/lib/backup/catalog.db',
  run: ({ json, database, withCatalog }) =>
    withCatalog(async (db) => {
      const schema = await db.migrations.status();
      if (json) {
        printJson(schema);
        return 0;
      }
      const [{ size }, clients, files, bytes] = await Promise.all([
        stat(database),
        db.clients.count(),
        db.files.count(),
        db.files.totalBytes(),
      ]);
      const pending = schema.pending.map(({ version, name }) => `${version} (${name})`);
      printLine(
        fields([
          ['Database', database],
          ['Size', formatBytes(size)],
          ['Schema', `version ${schema.current} of ${schema.latest}`],
          ['Pending', pending.length > 0 ? pending.join(', ') : 'nothing'],
          ['Clients', formatCount(clients)],
          ['Files', formatCount(files)],
          ['Bytes', formatBytes(bytes)],
        ]),
      );
      return 0;
    }),
};

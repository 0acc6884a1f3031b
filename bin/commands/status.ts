/** `status`: shows the database, its schema, and how much it holds. */
import { stat } from 'node:fs/promises';
import type { CommandSpec } from '../command.ts';
import { formatBytes, formatCount } from '../format.ts';
import { printJson, printLine, tell } from '../output.ts';
import { fields } from '../table.ts';

export const status: CommandSpec = {
  name: 'status',
  summary: 'Show the database, its schema version and how much it holds',
  example: 'status --database /var/lib/backup/catalog.db',
  async run({ json, database, withCatalog, withMigrations }) {
    const schema = await withMigrations((migrations) => migrations.status());
    const { size } = await stat(database);
    // This release cannot query an older schema, and reading must not migrate it.
    const [clients, files, bytes] =
      schema.pending.length > 0
        ? [null, null, null]
        : await withCatalog((db) => Promise.all([db.clients.count(), db.files.count(), db.files.totalBytes()]));
    if (json) {
      const held = { totalClients: clients, totalFiles: files, totalBytes: bytes };
      printJson({ path: database, databaseBytes: size, ...schema, ...held });
      return 0;
    }
    const pending = schema.pending.map(({ version, name }) => `${version} (${name})`);
    printLine(
      fields([
        ['Database', database],
        ['Size', formatBytes(size)],
        ['Schema', `version ${schema.current < 0 ? '-' : schema.current} of ${schema.latest}`],
        ['Pending', pending.length > 0 ? pending.join(', ') : 'nothing'],
        ['Clients', formatCount(clients)],
        ['Files', formatCount(files)],
        ['Bytes', formatBytes(bytes)],
      ]),
    );
    if (pending.length > 0)
      tell('`backup-catalog migrate` brings the schema up to date; --plan shows what that would do');
    return 0;
  },
};

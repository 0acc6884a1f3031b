/** `search`: files by a part of their name or path. */
import type { CatalogFile, DatabaseManager } from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { formatBytes, formatDate, formatNumberOf } from '../format.ts';
import { printJson, printLine, tell } from '../output.ts';
import { table } from '../table.ts';
import { addPageOptions, type PageSettings, pageOf, tellNext } from './pages.ts';

/** Where a file is: its path, and its own name beside it where the server keeps it under another. */
const placeOf = ({ pathName, fileName, originalPath }: CatalogFile) =>
  pathName.endsWith(fileName) ? pathName : `${originalPath ?? fileName} (${pathName})`;

async function namesOf(db: DatabaseManager, files: readonly CatalogFile[]): Promise<Map<string, string>> {
  const ids = [...new Set(files.map(({ clientId }) => clientId))];
  const clients = await Promise.all(ids.map((id) => db.clients.get(id)));
  return new Map(clients.flatMap((client) => (client === null ? [] : [[client.id, client.name]])));
}

const COLUMNS = [
  { title: 'SIZE', align: 'right' },
  { title: 'MODIFIED' },
  { title: 'CLIENT' },
  { title: 'ID' },
  { title: 'PATH' },
] as const;

export const search: CommandSpec<PageSettings> = {
  name: 'search',
  summary: 'Find files by a part of their name or path, in any case and any script',
  example: 'search invoice --limit 20',
  configure: (command) => addPageOptions(command.argument('<term>', 'a literal part of the name or path')),
  run: ({ args: [term], options, json, withCatalog }) =>
    withCatalog(async (db) => {
      const found = await db.files.search({ term, ...pageOf(options) });
      if (json) {
        printJson(found);
        return 0;
      }
      const names = await namesOf(db, found.files);
      const rows = found.files.map((file) => [
        formatBytes(file.fileSize),
        formatDate(file.modificationDate),
        names.get(file.clientId) ?? file.clientId,
        file.id,
        placeOf(file),
      ]);
      if (rows.length > 0) printLine(table(COLUMNS, rows));
      tell(`${formatNumberOf(found.total, 'file')} found`);
      tellNext(found.nextCursor);
      return 0;
    }),
};

/** `clients`: lists the clients. */
import type { CommandSpec } from '../command.ts';
import { formatDate } from '../format.ts';
import { printJson, printLine, tell } from '../output.ts';
import { table } from '../table.ts';
import { addPageOptions, PAGE_WORDS, type PageSettings, pageOf, tellNext } from './pages.ts';

const COLUMNS = [{ title: 'NAME' }, { title: 'LAST SEEN' }, { title: 'KEY' }, { title: 'ID' }];

export const clients: CommandSpec<PageSettings> = {
  name: 'clients',
  summary: 'List the clients, by name',
  example: 'clients --limit 50',
  words: PAGE_WORDS,
  configure: (command) => addPageOptions(command),
  run: ({ options, json, withCatalog }) =>
    withCatalog(async (db) => {
      const page = await db.clients.list(pageOf(options));
      if (json) {
        printJson(page);
        return 0;
      }
      const rows = page.clients.map(({ name, lastSeen, hasKey, id }) => [
        name,
        formatDate(lastSeen),
        hasKey ? 'yes' : 'no',
        id,
      ]);
      if (rows.length > 0) printLine(table(COLUMNS, rows));
      else tell('there are no clients');
      tellNext(page.nextCursor);
      return 0;
    }),
};

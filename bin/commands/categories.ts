/** `categories`: lists the categories of files. */
import type { CommandSpec } from '../command.ts';
import { printJson, printLine } from '../output.ts';
import { table } from '../table.ts';

const COLUMNS = [{ title: 'NAME' }, { title: 'COLOUR' }, { title: 'EXTENSIONS' }, { title: 'DESCRIPTION' }];

export const categories: CommandSpec = {
  name: 'categories',
  summary:
    'List the categories of files and the extensions assigned to them; built-in categories cover more extensions',
  example: 'categories --json',
  run: ({ json, withCatalog }) =>
    withCatalog(async (db) => {
      const list = await db.categories.list();
      if (json) {
        printJson(list);
        return 0;
      }
      const rows = list.map(({ name, color, extensions, description }) => [
        name,
        color ?? '-',
        extensions.length > 0 ? extensions.join(' ') : '-',
        description ?? '',
      ]);
      printLine(table(COLUMNS, rows));
      return 0;
    }),
};

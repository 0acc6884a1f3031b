/** `query`: runs a reading statement of the user. */
import { DatabaseError, type DatabaseManager } from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { formatNumberOf } from '../format.ts';
import { printJson, printLine, tell, toHex } from '../output.ts';
import { type Column, table } from '../table.ts';

type SqlRow = Awaited<ReturnType<DatabaseManager['query']>>[number];

const cellOf = (value: SqlRow[string] | undefined): string => {
  if (value === null || value === undefined) return 'NULL';
  return value instanceof Uint8Array ? toHex(value) : String(value);
};

const titlesOf = ([first]: readonly SqlRow[]) => (first === undefined ? [] : Object.keys(first));

/** Whether a column holds only numbers. */
const isFigures = (values: readonly (SqlRow[string] | undefined)[]) =>
  values.some((value) => value !== null) && values.every((value) => value === null || typeof value === 'number');

function toTable(rows: readonly SqlRow[]): string {
  const titles = titlesOf(rows);
  const columns = titles.map((title): Column => {
    return { title, align: isFigures(rows.map((row) => row[title])) ? 'right' : 'left' };
  });
  const cells = rows.map((row) => titles.map((title) => cellOf(row[title])));
  return table(columns, cells);
}

/** @throws {DatabaseError} CATALOG_READ_ONLY for SQL that writes, in words for the command line */
async function readRows(db: DatabaseManager, sql: string): Promise<SqlRow[]> {
  try {
    return await db.query(sql);
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === 'CATALOG_READ_ONLY')) throw error;
    const hint = 'Nothing was changed.';
    throw new DatabaseError('CATALOG_READ_ONLY', '`query` only reads, but this statement writes', {
      cause: error,
      hint,
    });
  }
}

export const query: CommandSpec = {
  name: 'query',
  summary: 'Run a reading SQL statement; binary values are shown in hex',
  flags: { sql: '<sql>' },
  example: "query 'SELECT Name, LastSeen FROM clients'",
  configure: (command) => command.argument('<sql>', 'one statement; it cannot change anything'),
  run: ({ args: [sql = ''], json, withCatalog }) =>
    withCatalog(async (db) => {
      const rows = await readRows(db, sql);
      if (json) {
        printJson(rows);
        return 0;
      }
      if (rows.length > 0) printLine(toTable(rows));
      tell(formatNumberOf(rows.length, 'row'));
      return 0;
    }),
};

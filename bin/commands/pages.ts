/** The shared options of commands that list pages. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { tell } from '../output.ts';

export interface PageSettings {
  readonly limit?: number;
  readonly cursor?: string;
}

/** What `--cursor` takes, for errors. */
export const PAGE_WORDS = { cursor: { accepted: 'the cursor that the same command printed under its last page' } };

const MOST_ROWS = 1000;

function parseRows(text: string): number {
  const rows = /^\d+$/.test(text) ? Number(text) : 0;
  if (rows >= 1 && rows <= MOST_ROWS) return rows;
  throw new InvalidArgumentError(`Accepted: a whole number from 1 to ${MOST_ROWS}.`);
}

/** Declares `--limit` and `--cursor`. */
export const addPageOptions = (command: Command): Command =>
  command
    .addOption(new Option('--limit <rows>', 'maximum number of rows, 1 to 1000 (default: 100)').argParser(parseRows))
    .addOption(new Option('--cursor <cursor>', 'continue after the previous page, with the cursor that it printed'));

/** The requested page. */
export const pageOf = ({ limit, cursor }: PageSettings) => ({ limit, cursor });

/** Says how to see the rest. */
export function tellNext(nextCursor: string | null): void {
  if (nextCursor !== null) tell(`there are more rows: add --cursor ${nextCursor}`);
}

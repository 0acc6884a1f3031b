/** What commands that list pages have in common. */
import { type Command, Option } from 'commander';
import { tell } from '../output.ts';
import { parseWhole } from './limit.ts';

export interface PageSettings {
  readonly limit?: number;
  readonly cursor?: string;
}

/** Declares `--limit` and `--cursor`. */
export const addPageOptions = (command: Command): Command =>
  command
    .addOption(new Option('--limit <rows>', 'rows at most, 1 to 1000 (default: 100)').argParser(parseWhole))
    .addOption(new Option('--cursor <cursor>', 'go on where a page ended'));

/** The page that was asked for. */
export const pageOf = ({ limit, cursor }: PageSettings) => ({ limit, cursor });

/** Tells how to see the rest. */
export function tellNext(nextCursor: string | null): void {
  if (nextCursor !== null) tell(`there are more: add --cursor ${nextCursor}`);
}

/** `search`: finds files by part of their name or path, and by their properties. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CatalogFile, DatabaseManager, SearchFilter } from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { UsageError } from '../errors.ts';
import { formatBytes, formatDate, formatNumberOf, parseBytes, printable } from '../format.ts';
import { nearest } from '../names.ts';
import { printJson, printLine, tell } from '../output.ts';
import { table } from '../table.ts';
import { requireClient } from './client-by-name.ts';
import { SIZE_HELP } from './limit.ts';
import { addPageOptions, PAGE_WORDS, type PageSettings, pageOf, tellNext } from './pages.ts';

interface SearchSettings extends PageSettings {
  readonly client?: string;
  readonly clientName?: string;
  readonly type?: string;
  readonly mime?: string;
  readonly category?: string;
  readonly from?: string;
  readonly to?: string;
  readonly minSize?: number;
  readonly maxSize?: number;
  readonly verified?: boolean;
  readonly sort?: NonNullable<SearchFilter['sort']>;
  readonly order?: NonNullable<SearchFilter['order']>;
}

function parseSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined) throw new InvalidArgumentError('Accepted: bytes, or a size such as 10MiB.');
  return bytes;
}

const addFilters = (command: Command): Command =>
  command
    .option('--client <name>', 'only files of this client')
    .option('--client-name <part>', 'only files of clients whose name contains this')
    .option('--type <extension>', 'only names with this extension, such as pdf')
    .option('--mime <type>', 'only files of this MIME type, such as image/png')
    .option('--category <name>', 'only files of this category')
    .option('--from <date>', 'modified at this time or later; days are in UTC')
    .option('--to <date>', 'modified at this time or earlier; a day is included')
    .addOption(new Option('--min-size <bytes>', `at least this large: ${SIZE_HELP}`).argParser(parseSize))
    .addOption(new Option('--max-size <bytes>', 'at most this large, written like --min-size').argParser(parseSize))
    .option('--verified', 'only verified files')
    .addOption(new Option('--sort <by>', 'default: relevance').choices(['name', 'size', 'date', 'relevance']))
    .addOption(new Option('--order <direction>', 'default: asc').choices(['asc', 'desc']));

/** @throws {UsageError} for an empty range, whose ends are probably swapped */
function refuseEmptyRange({ from, to, minSize = 0, maxSize = Number.POSITIVE_INFINITY }: SearchSettings): void {
  if (minSize > maxSize) throw new UsageError('--min-size is larger than --max-size: no file has such a size');
  const [first, last] = [from, to].map((date) => DAY.exec(date ?? '')?.[0]);
  if (first !== undefined && last !== undefined && first > last) {
    throw new UsageError('--from is later than --to: no file has such a date');
  }
}

const DAY = /^\d{4}-\d\d-\d\d/;

/** Refuses an unknown category: a mistyped one would look like an empty result. @throws {UsageError} */
async function requireCategory(db: DatabaseManager, name: string): Promise<void> {
  const known = (await db.categories.list()).map((category) => category.name);
  if (name === '' || known.includes(name)) return;
  const { files } = await db.files.search({ category: name, limit: 1 });
  if (files.length > 0) return; // files keep the name of a removed category
  const meant = nearest(name, known);
  const advice = meant === undefined ? '' : ` Did you mean ${meant}?`;
  throw new UsageError(
    `--category: got ${JSON.stringify(printable(name))}; accepted: one of ${known.join(', ')}.${advice}`,
  );
}

const DATE_WORDS = { accepted: 'a date such as 2025-03-01, or a time such as 2025-03-01T12:00:00Z' };

/** The library's filter for the typed options. */
async function filterOf(
  db: DatabaseManager,
  term: string | undefined,
  settings: SearchSettings,
): Promise<SearchFilter> {
  const { client, clientName, type, mime, category, from, to, minSize, maxSize, verified, sort, order } = settings;
  refuseEmptyRange(settings);
  if (category !== undefined) await requireCategory(db, category);
  return {
    ...{ term, clientName, category, minSize, maxSize, sort, order },
    clientId: client === undefined ? undefined : (await requireClient(db, client)).id,
    fileType: type,
    mimeType: mime,
    dateFrom: from,
    dateTo: to,
    verifiedOnly: verified,
    ...pageOf(settings),
  };
}

/** The path of a file, with its own name if the server stores it under another. */
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

export const search: CommandSpec<SearchSettings> = {
  name: 'search',
  summary: 'Find files by part of their name or path, in any case and script',
  flags: { name: '--client', dateFrom: '--from', dateTo: '--to', fileType: '--type', mimeType: '--mime' },
  words: { ...PAGE_WORDS, dateFrom: DATE_WORDS, dateTo: DATE_WORDS },
  example: 'search invoice --client laptop --type pdf --from 2025-01-01',
  configure: (command) => addPageOptions(addFilters(command.argument('<term>', 'a literal part of the name or path'))),
  run: ({ args: [term], options, json, withCatalog }) =>
    withCatalog(async (db) => {
      const found = await db.files.search(await filterOf(db, term, options));
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

/**
 * A page of a long list at its beginning, in its middle and at its end: pages continue from keys, so each must cost the
 * same. The suite makes cursors from rows that it reads itself, and checks each page against the rows that follow.
 */
import { deepStrictEqual } from 'node:assert/strict';
import type Database from 'better-sqlite3';
import type { CatalogFile, DatabaseManager } from '../lib/index.ts';
import { listName } from '../lib/search/search-filter.ts';
import { encodeCursor, type Key } from '../lib/values/pages.ts';
import type { BenchSizes } from './arguments.ts';
import type { Workplace } from './catalogue.ts';
import { openByHand } from './hand-written.ts';
import { takeTurns, withLatency } from './measure.ts';
import { type Figure, figure } from './report.ts';
import { quantile } from './statistics.ts';

const LIMIT = 100;
const CALLS = 50; // a round, at each depth
const MOST_MS = 5;
// Of a name and some of its numbers, as a person types it: 1,400 of a million files, all by the beginning of their
// name.
const TERM = 'invoice-a';
const PREFIX_RANK = 1;

type Page = { readonly files: readonly CatalogFile[]; readonly nextCursor: string | null };

/** A list with pages. */
interface PagedList {
  readonly name: string;
  readonly isPromised: boolean;
  readonly page: (cursor: string | null) => Promise<Page>;
  /** Its rows in order: the id last, before it the other keys. */
  readonly rows: Database.Statement<unknown[], Key[]>;
  readonly values: readonly unknown[];
  readonly cursorOf: (keys: readonly Key[]) => string;
}

function listsOf(db: DatabaseManager, file: Database.Database, clientId: string): PagedList[] {
  const rows = (columns: string, condition: string, order: string) =>
    file
      .prepare<unknown[], Key[]>(
        `SELECT ${columns}, lower(hex(ID)) FROM files WHERE ${condition} ORDER BY ${order} LIMIT ? OFFSET ?`,
      )
      .raw();
  const client = Buffer.from(clientId, 'hex');
  const path = `coalesce(OriginalPath, '')`;
  const byName = listName({ sort: 'name', descending: false });
  const byRelevance = listName({ sort: 'relevance', descending: false });
  return [
    {
      name: "one client's files",
      isPromised: true,
      page: (cursor) => db.files.forClient(clientId, { limit: LIMIT, cursor }),
      rows: rows(`FileName, ${path}`, 'ClientID = ?', `FileName, ${path}, ID`),
      values: [client],
      cursorOf: (keys) => encodeCursor('files.forClient', keys),
    },
    {
      name: 'all files',
      isPromised: true,
      page: (cursor) => db.files.list({ limit: LIMIT, cursor }),
      rows: rows('NULL', '1 = 1', 'ID'),
      values: [],
      cursorOf: (keys) => encodeCursor('files.list', keys.slice(1)),
    },
    {
      name: 'a search for a term',
      isPromised: false, // each page looks at all of its matches
      page: (cursor) => db.files.search({ term: TERM, limit: LIMIT, cursor }),
      rows: rows('FileName', 'FileName GLOB ?', 'FileName, ID'),
      values: [`${TERM}*`],
      cursorOf: (keys) => encodeCursor(byRelevance, [PREFIX_RANK, ...keys]),
    },
    {
      name: "a search of one client's files",
      isPromised: true,
      page: (cursor) => db.files.search({ clientId, limit: LIMIT, cursor }),
      rows: rows('FileName', 'ClientID = ?', 'FileName, ID'),
      values: [client],
      cursorOf: (keys) => encodeCursor(byName, keys),
    },
  ];
}

/** A page of a list and the cursor that leads to it. */
interface Depth {
  readonly name: string;
  readonly cursor: string | null;
}

/** The first page, the middle one and the last. @throws when a page does not hold the rows that it should */
async function depthsOf({ page, rows, values, cursorOf }: PagedList, count: number): Promise<Depth[]> {
  const deep = { middle: Math.floor(count / 2), last: count - LIMIT };
  const places = count < 2 * LIMIT ? { first: 0 } : { first: 0, ...deep };
  const depths: Depth[] = [];
  for (const [depth, place] of Object.entries(places)) {
    const [before] = place === 0 ? [] : rows.all(...values, 1, place - 1);
    const cursor = before === undefined ? null : cursorOf(before);
    const expected = rows.all(...values, LIMIT, place).map((keys) => keys.at(-1));
    const { files } = await page(cursor);
    deepStrictEqual(files.map(({ id }) => id), expected); // biome-ignore format: one line
    depths.push({ name: depth, cursor });
  }
  return depths;
}

async function measure(page: PagedList['page'], depths: readonly Depth[]): Promise<Record<string, number>> {
  const told: Record<string, number> = {};
  for (const { name, cursor } of depths) {
    const { call, milliseconds } = withLatency(() => page(cursor));
    for (let left = CALLS; left > 0; left -= 1) await call(null);
    told[`${name} page, p50`] = quantile(milliseconds, 0.5);
    told[`${name} page, p95`] = quantile(milliseconds, 0.95);
  }
  return told;
}

export async function pages(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const catalogue = await workplace.filled(sizes.files);
  const path = await workplace.copy(catalogue);
  const db = await workplace.open(path);
  const file = openByHand(path);
  const figures: Figure[] = [];
  for (const list of listsOf(db, file, catalogue.clientIds[0] ?? '')) {
    const count = list.rows.all(...list.values, -1, 0).length;
    const depths = await depthsOf(list, count);
    const told = (await takeTurns({ library: () => measure(list.page, depths) }, sizes)).figures.library;
    const where = `${list.name} (${count.toLocaleString('en-GB')})`;
    for (const [name, values] of Object.entries(told)) {
      const isHeld = list.isPromised && name.endsWith('p95');
      figures.push(figure('pages', `${where}, ${name}`, 'ms', values, isHeld ? { most: MOST_MS } : null));
    }
  }
  file.close();
  await db.close();
  await workplace.discard(path);
  return figures;
}

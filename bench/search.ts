/**
 * `db.files.search` on a filled catalogue: selective terms by one caller, beside a hand-written LIKE and, if it is
 * installed, plocate on the same names and paths; common terms and filters; and what the index adds to a save.
 */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseManager, SearchFilter } from '../lib/index.ts';
import { catchUpIndex, indexState } from '../lib/search/search-index.ts';
import type { BenchSizes } from './arguments.ts';
import type { StoredCatalogue, Workplace } from './catalogue.ts';
import { openByHand } from './hand-written.ts';
import { callers, takeTurns, timed } from './measure.ts';
import { note } from './notes.ts';
import { type Figure, figure } from './report.ts';
import { sampleFile, sampleFiles } from './sample-files.ts';
import { quantile, ratios } from './statistics.ts';

const MOST_P95_MS = 10;
const MOST_TIMES_PLOCATE = 3;
const TERMS = 200;
const SLOW_TERMS = 5;
const STRIDE = 7919; // prime: neighbouring terms are of distant files

/** Terms that few files match, of every kind a person types: a name, its end, a piece of a path. */
function selectiveTerms(files: number, count: number): string[] {
  return Array.from({ length: count }, (_, place) => {
    const { fileName, pathName } = sampleFile((place * STRIDE) % files, ['00'.repeat(16)]);
    const kinds = [fileName, fileName.slice(fileName.indexOf('-')), fileName.toUpperCase(), pathName.slice(9, 17)];
    return kinds[place % kinds.length] as string;
  });
}

async function latencies<Item>(items: readonly Item[], call: (item: Item) => unknown): Promise<number[]> {
  const measured: number[] = [];
  for (const item of items) {
    const start = performance.now();
    await call(item);
    measured.push(performance.now() - start);
  }
  return measured;
}

const quantiles = (measured: readonly number[]) => ({ p50: quantile(measured, 0.5), p95: quantile(measured, 0.95) });

/** plocate over the names and paths of a catalogue; null if it is not installed. */
async function plocateOver(files: number, directory: string): Promise<((term: string) => void) | null> {
  if (spawnSync('plocate-build', ['--version']).error !== undefined) return null;
  const [list, index] = [join(directory, 'paths.txt'), join(directory, 'plocate.db')];
  const lines = Array.from({ length: files }, (_, number) => {
    const { pathName, fileName } = sampleFile(number, ['00'.repeat(16)]);
    return `/${pathName}/${fileName}\n`;
  });
  await writeFile(list, lines.sort().join(''));
  const built = spawnSync('plocate-build', ['--plaintext', list, index]);
  if (built.status !== 0) throw new Error(`plocate-build: ${built.stderr}`);
  return (term) => void spawnSync('plocate', ['--database', index, '--ignore-case', term]);
}

const COMMON: Readonly<Record<string, SearchFilter>> = {
  'a term in a tenth of the names': { term: 'invoice' },
  'the same by size': { term: 'invoice', sort: 'size', order: 'desc' },
  'the same of one client': { term: 'invoice', clientName: 'workstation-007' },
  'a term in every path': { term: 'store/' },
  'two characters': { term: 'ü' },
  'one extension': { fileType: 'pdf' },
  'one day': { dateFrom: '2020-03-01', dateTo: '2020-03-01' },
  'every file': {},
};

/** The rounds of the library. */
const libraryRounds = (db: DatabaseManager, terms: readonly string[]) => ({
  library: async () => quantiles(await latencies(terms, (term) => db.files.search({ term }))),
  common: async () => {
    const measured: Record<string, number> = {};
    for (const [name, filter] of Object.entries(COMMON)) {
      measured[name] = quantile(await latencies([filter], (given) => db.files.search(given)), 0.5);
    }
    return measured;
  },
});

async function searches(db: DatabaseManager, catalogue: StoredCatalogue, sizes: BenchSizes, workplace: Workplace) {
  const terms = selectiveTerms(catalogue.files, TERMS);
  const byHand = openByHand(catalogue.path);
  const like = byHand.prepare('SELECT count(*) FROM files WHERE FileName LIKE ? OR PathName LIKE ?');
  const plocate = await plocateOver(catalogue.files, workplace.directory);
  if (plocate === null) note('plocate is not installed: no comparison with it');
  const { figures } = await takeTurns(
    {
      ...libraryRounds(db, terms),
      like: async () =>
        quantiles(await latencies(terms.slice(0, SLOW_TERMS), (term) => like.all(`%${term}%`, `%${term}%`))),
      plocate: async () => (plocate === null ? { p50: 0, p95: 0 } : quantiles(await latencies(terms, plocate))),
    },
    sizes,
  );
  byHand.close();
  return { figures, hasPlocate: plocate !== null };
}

/** What the index adds to a save: the same saves into a copy without its triggers. */
async function costOfIndex(catalogue: StoredCatalogue, sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const paths = { with: await workplace.copy(catalogue), without: await workplace.copy(catalogue) };
  const bare = openByHand(paths.without);
  const triggers = bare
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB 'search_*'")
    .pluck();
  for (const name of triggers.all()) bare.exec(`DROP TRIGGER ${name}`);
  bare.close();
  const [indexed, plain] = [await workplace.open(paths.with), await workplace.open(paths.without)];
  const save = async (db: DatabaseManager, round: number) => {
    const files = sampleFiles(catalogue.files + round * sizes.rows, sizes.rows, catalogue.clientIds);
    return { us: await timed(sizes.rows, () => callers(sizes.callers, files, (file) => db.files.save(file))) };
  };
  const { figures } = await takeTurns(
    { with: (round) => save(indexed, round), without: (round) => save(plain, round) },
    sizes,
  );
  await Promise.all([indexed.close(), plain.close()]);
  await workplace.discard(paths.with, paths.without);
  return [
    figure('search', `${sizes.callers} callers, a save with the index`, 'us', figures.with.us),
    figure('search', `${sizes.callers} callers, a save without`, 'us', figures.without.us),
    figure(
      'search',
      'a save with the index, in times of one without',
      'x',
      ratios(figures.with.us, figures.without.us),
    ),
  ];
}

/** Opens a copy in which every file is indexed. */
async function openIndexed(catalogue: StoredCatalogue, workplace: Workplace) {
  const path = await workplace.copy(catalogue);
  const db = await workplace.open(path);
  while ((await db.run(indexState, null)).waiting > 0) await db.run(catchUpIndex, null);
  return { path, db };
}

const lineOf =
  ({ files }: StoredCatalogue) =>
  (name: string, values: readonly number[], target: Figure['target'] = null, unit = 'ms'): Figure =>
    figure('search', `${files.toLocaleString('en-GB')} files, ${name}`, unit, values, target);

interface LibraryFigures {
  readonly library: Readonly<Record<'p50' | 'p95', readonly number[]>>;
  readonly common: Readonly<Record<string, readonly number[]>>;
}

function libraryLines(catalogue: StoredCatalogue, { library, common }: LibraryFigures): Figure[] {
  const line = lineOf(catalogue);
  return [
    line('a selective term, p50', library.p50),
    line('a selective term, p95', library.p95, { most: MOST_P95_MS }),
    ...Object.entries(common).map(([name, values]) => line(`first page and total: ${name}`, values)),
  ];
}

/** The library beside LIKE and plocate, and what the index costs. */
export async function search(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const catalogue = await workplace.filled(sizes.files);
  const { path, db } = await openIndexed(catalogue, workplace);
  const { figures, hasPlocate } = await searches(db, { ...catalogue, path }, sizes, workplace);
  await db.close();
  await workplace.discard(path);
  const line = lineOf(catalogue);
  const { library, like, plocate } = figures;
  return [
    ...libraryLines(catalogue, figures),
    line('LIKE by hand, p50', like.p50),
    ...(hasPlocate
      ? [
          line('plocate, its process included, p50', plocate.p50),
          line('in times of plocate, p50', ratios(library.p50, plocate.p50), { most: MOST_TIMES_PLOCATE }, 'x'),
        ]
      : []),
    ...(await costOfIndex(catalogue, sizes, workplace)),
  ];
}

/** The library's own figures. */
export async function searchAlone(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const catalogue = await workplace.filled(sizes.files);
  const { path, db } = await openIndexed(catalogue, workplace);
  const { figures } = await takeTurns(libraryRounds(db, selectiveTerms(catalogue.files, TERMS)), sizes);
  await db.close();
  await workplace.discard(path);
  return libraryLines(catalogue, figures);
}

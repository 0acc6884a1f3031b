/**
 * `db.files.saveMany`: files a second with everything kept, full durability, into an empty and a filled catalogue; and
 * where the time of one file goes, measured by leaving parts of the work out of a hand-written loop.
 */
import type Database from 'better-sqlite3';
import { checkFile } from '../lib/values/file-input.ts';
import type { BenchSizes } from './arguments.ts';
import type { StoredCatalogue, Workplace } from './catalogue.ts';
import { assertSameWork, catalogueBytes, countRows, openByHand, recordBatches, SaveLoop } from './hand-written.ts';
import { type LoopFigures, takeTurns, timed, watchLoop } from './measure.ts';
import { type Figure, figure, loopLines } from './report.ts';
import { sampleFiles } from './sample-files.ts';

const LEAST_PER_SECOND = 10_000;
const US_PER_SECOND = 1e6;
const BATCH = 512; // rows per transaction, as in saveMany

const nameOf = ({ files }: StoredCatalogue) => (files === 0 ? 'empty' : `${files.toLocaleString('en-GB')} files`);

type SavedRound = LoopFigures & { readonly us: number };

/** Saves rounds of new files; `close` says whether all of them are there, and keeps the file. */
async function library(catalogue: StoredCatalogue, rows: number, workplace: Workplace) {
  const path = await workplace.copy(catalogue);
  const db = await workplace.open(path);
  return {
    path,
    round: async (round: number): Promise<SavedRound> => {
      const files = sampleFiles(catalogue.files + round * rows, rows, catalogue.clientIds);
      let us = 0;
      const loop = await watchLoop(async () => {
        us = await timed(rows, () => db.files.saveMany(files));
      });
      return { us, ...loop };
    },
    close: async () => {
      const count = await db.files.count();
      await db.close();
      if ((count - catalogue.files) % rows !== 0) throw new Error('saveMany lost files');
    },
  };
}

const perSecond = (us: readonly number[]) => us.map((each) => US_PER_SECOND / each);

async function rate(catalogue: StoredCatalogue, sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const { path, round, close } = await library(catalogue, sizes.rows, workplace);
  const { figures } = await takeTurns({ library: round }, sizes);
  await close();
  await workplace.discard(path);
  const where = nameOf(catalogue);
  return [
    figure('save-many', `${where}, files a second`, '/s', perSecond(figures.library.us), { least: LEAST_PER_SECOND }),
    ...loopLines('save-many', where, figures.library),
  ];
}

/** What a hand-written loop leaves out. */
type Part = (file: Database.Database) => void;

function dropTriggers(file: Database.Database, pattern: string): void {
  const named = file.prepare<unknown[], string>(
    "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB ?",
  );
  for (const name of named.pluck().all(pattern)) file.exec(`DROP TRIGGER ${name}`);
}

const PARTS = {
  'the search index': (file) => dropTriggers(file, 'search_*'),
  'totals and use of quotas': (file) => dropTriggers(file, 'catalog_*'),
  'making commits durable': (file) => void file.pragma('synchronous = OFF'),
} as const satisfies Readonly<Record<string, Part>>;

/** A hand-written loop on its own copy, with some part of the work left out. */
async function loopWithout(part: Part | null, catalogue: StoredCatalogue, workplace: Workplace) {
  const path = await workplace.copy(catalogue);
  const file = openByHand(path);
  part?.(file);
  const loop = new SaveLoop(file);
  return { path, loop, close: () => void file.close() };
}

/** Where the time of a file goes: the cost of a part is the time that the loop saves without it. */
async function split(catalogue: StoredCatalogue, sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const { rows } = sizes;
  const scratch = catalogueBytes((await workplace.empty()).path);
  const ours = await library(catalogue, rows, workplace);
  const whole = await loopWithout(null, catalogue, workplace);
  const partial = new Map<string, Awaited<ReturnType<typeof loopWithout>>>();
  for (const [name, part] of Object.entries(PARTS)) {
    partial.set(name, await loopWithout(part, catalogue, workplace));
  }
  const filesOf = (round: number) => sampleFiles(catalogue.files + round * rows, rows, catalogue.clientIds);
  const replay = async (round: number, loop: SaveLoop) => {
    const batches = recordBatches(scratch, filesOf(round), BATCH);
    return { us: await timed(rows, () => loop.batches(batches)) };
  };
  const { figures, ran } = await takeTurns(
    {
      library: ours.round,
      checks: async (round) => {
        const files = filesOf(round);
        return { us: await timed(rows, () => files.forEach((file) => void checkFile(file))) };
      },
      whole: (round) => replay(round, whole.loop),
      ...Object.fromEntries(
        [...partial].map(([name, { loop }]) => [name, (round: number) => replay(round, loop)] as const),
      ),
    } as Record<string, (round: number) => Promise<{ readonly us: number }>>,
    sizes,
  );
  for (const { close } of [ours, whole, ...partial.values()]) await close();
  const saves = rows * ran;
  assertSameWork(countRows(catalogue.path), [
    { path: ours.path, saves },
    { path: whole.path, saves },
  ]);
  await workplace.discard(...[ours, whole, ...partial.values()].map(({ path }) => path));
  const usOf = (name: string) => figures[name]?.us ?? [];
  const less = (one: readonly number[], other: readonly number[]) =>
    one.map((us, place) => us - (other[place] ?? Number.NaN));
  const line = (name: string, values: readonly number[]) =>
    figure('save-many', `${nameOf(catalogue)}, a file: ${name}`, 'us', values);
  const parts = [...partial.keys()];
  const known = parts.map((name) => less(usOf('whole'), usOf(name)));
  const rest = usOf('whole').map((us, place) => us - known.reduce((sum, part) => sum + (part[place] ?? 0), 0));
  return [
    line('all of it', usOf('library')),
    line('checking its values', usOf('checks')),
    line('threads, messages and results, beyond the loop by hand', less(usOf('library'), usOf('whole'))),
    line(`its statements by hand, ${BATCH} files to a transaction`, usOf('whole')),
    ...parts.map((name, place) => line(`of them ${name}`, known[place] ?? [])),
    line('of them rows, indexes and everything else', rest),
  ];
}

/** How fast the filled catalogue itself was loaded. */
async function loading(catalogue: StoredCatalogue, workplace: Workplace): Promise<Figure> {
  const { files, seconds, at } = await workplace.loading(catalogue);
  const name = `loading ${nameOf(catalogue)} into an empty one, measured ${at.slice(0, 10)}, files a second`;
  return figure('save-many', name, '/s', [files / seconds], { least: LEAST_PER_SECOND });
}

/** The library's own figures. */
export const saveManyAlone = async (sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> => [
  ...(await rate(await workplace.empty(), sizes, workplace)),
  ...(await rate(await workplace.filled(sizes.files), sizes, workplace)),
];

/** The library, and where the time of a file goes. */
export async function saveMany(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const filled = await workplace.filled(sizes.files);
  return [
    await loading(filled, workplace),
    ...(await saveManyAlone(sizes, workplace)),
    ...(await split(filled, sizes, workplace)),
  ];
}

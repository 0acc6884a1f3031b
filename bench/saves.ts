/**
 * `db.files.save` with many callers and full durability, against a hand-written loop that commits each statement and
 * against the limit: the same statements, a round's callers to one transaction, on one thread. On an empty and on a
 * filled catalogue.
 */
import type { DatabaseManager } from '../lib/index.ts';
import type { BenchSizes } from './arguments.ts';
import { openCatalogue, type StoredCatalogue, type Workplace } from './catalogue.ts';
import { assertSameWork, catalogueBytes, countRows, openByHand, recordSaves, SaveLoop } from './hand-written.ts';
import { callers, LoopWatch, quantile, ratios, takeTurns, timed } from './measure.ts';
import { type Figure, figure } from './report.ts';
import { sampleFiles } from './sample-files.ts';

const LEAST_TIMES_AUTOCOMMIT = 8;
const LEAST_SHARE_OF_LIMIT = 0.85;
const MOST_LOOP_DELAY_MS = 10;
const MOST_LOOP_MAX_MS = 50;
const SLOWER = 20; // the committing loop makes a twentieth of the saves, or it would take all the time
const LEAST_LOOP_SAVES = 50;

interface Contest {
  readonly sizes: BenchSizes;
  readonly catalogue: StoredCatalogue;
  readonly empty: StoredCatalogue;
  readonly paths: Readonly<Record<'library' | 'autocommit' | 'limit', string>>;
}

/** What the library's rounds told beside their time. */
class Observed {
  readonly loop = new LoopWatch();
  readonly commitsPerSave: number[] = [];
  readonly p50: number[] = [];
  readonly p99: number[] = [];
}

async function libraryRound(
  db: DatabaseManager,
  files: ReturnType<typeof sampleFiles>,
  count: number,
  seen: Observed,
): Promise<number> {
  const before = db.stats().writes;
  const latencies: number[] = [];
  const save = async (file: (typeof files)[number]) => {
    const start = performance.now();
    await db.files.save(file);
    latencies.push(performance.now() - start);
  };
  const perSave = await seen.loop.during(() => timed(files.length, () => callers(count, files, save)));
  const { calls, rounds } = db.stats().writes;
  seen.commitsPerSave.push((rounds - before.rounds) / (calls - before.calls));
  seen.p50.push(quantile(latencies, 0.5));
  seen.p99.push(quantile(latencies, 0.99));
  return perSave;
}

async function contest({ sizes, catalogue, empty, paths }: Contest): Promise<Figure[]> {
  const { rows, rounds, callers: count } = sizes;
  const scratch = catalogueBytes(empty.path);
  const db = await openCatalogue(paths.library);
  const [autocommitFile, limitFile] = [openByHand(paths.autocommit), openByHand(paths.limit)];
  const [autocommit, limit] = [new SaveLoop(autocommitFile), new SaveLoop(limitFile)];
  const slowRows = Math.max(LEAST_LOOP_SAVES, Math.floor(rows / SLOWER));
  const seen = new Observed();
  const filesOf = (round: number, saves: number) =>
    sampleFiles(catalogue.files + round * rows, saves, catalogue.clientIds);
  const recorded = (round: number, saves: number) => recordSaves(scratch, filesOf(round, saves));

  const figures = await takeTurns(
    {
      library: (round) => libraryRound(db, filesOf(round, rows), count, seen),
      autocommit: (round) => {
        const saves = recorded(round, slowRows);
        return timed(slowRows, () => autocommit.autocommit(saves));
      },
      limit: (round) => {
        const saves = recorded(round, rows);
        return timed(rows, () => limit.grouped(saves, count));
      },
    },
    rounds,
  );
  await db.close();
  autocommitFile.close();
  limitFile.close();
  assertSameWork(countRows(catalogue.path), [
    { path: paths.library, saves: rows * (rounds + 1) },
    { path: paths.autocommit, saves: slowRows * (rounds + 1) },
    { path: paths.limit, saves: rows * (rounds + 1) },
  ]);
  return report(figures, seen, sizes, catalogue.files);
}

function report(
  { library, autocommit, limit }: Record<'library' | 'autocommit' | 'limit', number[]>,
  { loop, commitsPerSave, p50, p99 }: Observed,
  { callers: count }: BenchSizes,
  files: number,
): Figure[] {
  const where = files === 0 ? 'empty' : `${files.toLocaleString('en-GB')} files`;
  const line = (name: string, unit: string, values: readonly number[], target: Figure['target'] = null) =>
    figure('saves', `${where}, ${name}`, unit, values, target);
  return [
    line(`${count} callers, a save`, 'us', library),
    line('loop that commits each statement, a save', 'us', autocommit),
    line(`limit: ${count} to a transaction by hand, a save`, 'us', limit),
    line('times as fast as the loop', 'x', ratios(autocommit, library), { least: LEAST_TIMES_AUTOCOMMIT }),
    line('share of the limit', 'x', ratios(limit, library), { least: LEAST_SHARE_OF_LIMIT }),
    line('commits a save', '', commitsPerSave.slice(1)),
    line('latency of a save, p50', 'ms', p50.slice(1)),
    line('latency of a save, p99', 'ms', p99.slice(1)),
    line('event-loop delay p50', 'ms', loop.all('p50')),
    line('event-loop delay p99', 'ms', loop.all('p99'), { most: MOST_LOOP_DELAY_MS }),
    line('event-loop delay max', 'ms', loop.all('max'), { most: MOST_LOOP_MAX_MS }),
    line('event loop busy', 'x', loop.all('busy')),
  ];
}

export async function saves(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const empty = await workplace.empty();
  const figures: Figure[] = [];
  for (const catalogue of [empty, await workplace.filled(sizes.files)]) {
    const paths = {
      library: await workplace.copy(catalogue),
      autocommit: await workplace.copy(catalogue),
      limit: await workplace.copy(catalogue),
    };
    figures.push(...(await contest({ sizes, catalogue, empty, paths })));
    await workplace.discard(...Object.values(paths));
  }
  return figures;
}

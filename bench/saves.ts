/**
 * `db.files.save` with many callers and full durability, against a hand-written loop that commits each statement and
 * against the limit: the same statements, one transaction for all callers, on one thread. On an empty and on a
 * filled catalogue.
 */

import type { DatabaseManager } from '../lib/index.ts';
import type { FileInput } from '../lib/values/file-input.ts';
import type { BenchSizes } from './arguments.ts';
import type { StoredCatalogue, Workplace } from './catalogue.ts';
import { assertSameWork, catalogueBytes, countRows, openByHand, recordSaves, SaveLoop } from './hand-written.ts';
import { callers, type LoopFigures, takeTurns, timed, watchLoop, withLatency } from './measure.ts';
import { type Figure, figure, loopLines } from './report.ts';
import { sampleFiles } from './sample-files.ts';
import { quantile, ratios } from './statistics.ts';

const LEAST_TIMES_AUTOCOMMIT = 8;
const LEAST_SHARE_OF_LIMIT = 0.85;
const SLOWER = 20; // the committing loop makes a twentieth of the saves, or it would take all the time
const LEAST_LOOP_SAVES = 50;

interface Contest {
  readonly sizes: BenchSizes;
  readonly workplace: Workplace;
  readonly catalogue: StoredCatalogue;
}

type SavedRound = LoopFigures & Readonly<Record<'us' | 'commits' | 'p50' | 'p99', number>>;

async function libraryRound(db: DatabaseManager, files: readonly FileInput[], count: number): Promise<SavedRound> {
  const before = db.stats().writes;
  const { call, milliseconds } = withLatency((file: FileInput) => db.files.save(file));
  let us = 0;
  const loop = await watchLoop(async () => {
    us = await timed(files.length, () => callers(count, files, call));
  });
  const { calls, rounds } = db.stats().writes;
  const commits = (rounds - before.rounds) / (calls - before.calls);
  return { us, commits, p50: quantile(milliseconds, 0.5), p99: quantile(milliseconds, 0.99), ...loop };
}

const whereOf = ({ files }: StoredCatalogue) => (files === 0 ? 'empty' : `${files.toLocaleString('en-GB')} files`);

/** A line of this suite. */
const lineOf =
  (where: string) =>
  (name: string, unit: string, values: readonly number[], target: Figure['target'] = null): Figure =>
    figure('saves', `${where}, ${name}`, unit, values, target);

/** New files for each round; no two rounds of a run save the same. */
const filesOf = ({ catalogue, sizes }: Contest, round: number, saves: number) =>
  sampleFiles(catalogue.files + round * sizes.rows, saves, catalogue.clientIds);

const sideLines = (where: string, library: Readonly<Record<keyof SavedRound, readonly number[]>>): Figure[] => {
  const line = lineOf(where);
  return [
    line('commits a save', '', library.commits),
    line('latency of a save, p50', 'ms', library.p50),
    line('latency of a save, p99', 'ms', library.p99),
    ...loopLines('saves', where, library),
  ];
};

async function alone(contest: Contest): Promise<Figure[]> {
  const { sizes, workplace, catalogue } = contest;
  const path = await workplace.copy(catalogue);
  const db = await workplace.open(path);
  const { figures, ran } = await takeTurns(
    { library: (round) => libraryRound(db, filesOf(contest, round, sizes.rows), sizes.callers) },
    sizes,
  );
  const saved = (await db.files.count()) - catalogue.files;
  await db.close();
  await workplace.discard(path);
  if (saved !== ran * sizes.rows) throw new Error(`only ${saved} of ${ran * sizes.rows} files were saved`);
  const where = whereOf(catalogue);
  return [
    lineOf(where)(`${sizes.callers} callers, a save`, 'us', figures.library.us),
    ...sideLines(where, figures.library),
  ];
}

async function againstLoops(contest: Contest): Promise<Figure[]> {
  const { sizes, workplace, catalogue } = contest;
  const { rows, callers: count } = sizes;
  const paths = {
    library: await workplace.copy(catalogue),
    autocommit: await workplace.copy(catalogue),
    limit: await workplace.copy(catalogue),
  };
  const scratch = catalogueBytes((await workplace.empty()).path);
  const db = await workplace.open(paths.library);
  const [autocommitFile, limitFile] = [openByHand(paths.autocommit), openByHand(paths.limit)];
  const [autocommit, limit] = [new SaveLoop(autocommitFile), new SaveLoop(limitFile)];
  const slowRows = Math.max(LEAST_LOOP_SAVES, Math.floor(rows / SLOWER));
  const recorded = (round: number, saves: number) => recordSaves(scratch, filesOf(contest, round, saves));

  const { figures, ran } = await takeTurns(
    {
      library: (round) => libraryRound(db, filesOf(contest, round, rows), count),
      autocommit: async (round) => {
        const saves = recorded(round, slowRows);
        return { us: await timed(slowRows, () => autocommit.autocommit(saves)) };
      },
      limit: async (round) => {
        const saves = recorded(round, rows);
        return { us: await timed(rows, () => limit.grouped(saves, count)) };
      },
    },
    sizes,
  );
  await db.close();
  autocommitFile.close();
  limitFile.close();
  assertSameWork(countRows(catalogue.path), [
    { path: paths.library, saves: rows * ran },
    { path: paths.autocommit, saves: slowRows * ran },
    { path: paths.limit, saves: rows * ran },
  ]);
  await workplace.discard(...Object.values(paths));
  const { library } = figures;
  const [slow, best] = [figures.autocommit.us, figures.limit.us];
  const where = whereOf(catalogue);
  const line = lineOf(where);
  return [
    line(`${count} callers, a save`, 'us', library.us),
    line('loop that commits each statement, a save', 'us', slow),
    line(`limit: ${count} to a transaction by hand, a save`, 'us', best),
    line('times as fast as the loop', 'x', ratios(slow, library.us), { least: LEAST_TIMES_AUTOCOMMIT }),
    line('share of the limit', 'x', ratios(best, library.us), { least: LEAST_SHARE_OF_LIMIT }),
    ...sideLines(where, library),
  ];
}

const onBoth =
  (contest: (contest: Contest) => Promise<Figure[]>) =>
  async (sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> => [
    ...(await contest({ sizes, workplace, catalogue: await workplace.empty() })),
    ...(await contest({ sizes, workplace, catalogue: await workplace.filled(sizes.files) })),
  ];

/** The library beside the hand-written loops. */
export const saves = onBoth(againstLoops);

/** The library's own figures. */
export const savesAlone = onBoth(alone);

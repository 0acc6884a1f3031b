/**
 * `db.files.save` with many callers and full durability, against a hand-written loop that commits each statement and
 * against the limit: the same statements, a round's callers to one transaction, on one thread. On an empty and on a
 * filled catalogue.
 */

import type { DatabaseManager } from '../lib/index.ts';
import type { FileInput } from '../lib/values/file-input.ts';
import type { BenchSizes } from './arguments.ts';
import { openCatalogue, type StoredCatalogue, type Workplace } from './catalogue.ts';
import { assertSameWork, catalogueBytes, countRows, openByHand, recordSaves, SaveLoop } from './hand-written.ts';
import { callers, takeTurns, timed, watchLoop, withLatency } from './measure.ts';
import { type Figure, figure, loopLines } from './report.ts';
import { sampleFiles } from './sample-files.ts';
import { quantile, ratios } from './statistics.ts';

const LEAST_TIMES_AUTOCOMMIT = 8;
const LEAST_SHARE_OF_LIMIT = 0.85;
const SLOWER = 20; // the committing loop makes a twentieth of the saves, or it would take all the time
const LEAST_LOOP_SAVES = 50;

interface Contest {
  readonly sizes: BenchSizes;
  readonly catalogue: StoredCatalogue;
  readonly empty: StoredCatalogue;
  readonly paths: Readonly<Record<'library' | 'autocommit' | 'limit', string>>;
}

async function libraryRound(db: DatabaseManager, files: readonly FileInput[], count: number) {
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

async function contest({ sizes, catalogue, empty, paths }: Contest): Promise<Figure[]> {
  const { rows, rounds, callers: count } = sizes;
  const scratch = catalogueBytes(empty.path);
  const db = await openCatalogue(paths.library);
  const [autocommitFile, limitFile] = [openByHand(paths.autocommit), openByHand(paths.limit)];
  const [autocommit, limit] = [new SaveLoop(autocommitFile), new SaveLoop(limitFile)];
  const slowRows = Math.max(LEAST_LOOP_SAVES, Math.floor(rows / SLOWER));
  const filesOf = (round: number, saves: number) =>
    sampleFiles(catalogue.files + round * rows, saves, catalogue.clientIds);
  const recorded = (round: number, saves: number) => recordSaves(scratch, filesOf(round, saves));

  const { figures, ran } = await takeTurns(
    {
      library: (round) => libraryRound(db, filesOf(round, rows), count),
      autocommit: async (round) => {
        const saves = recorded(round, slowRows);
        return { us: await timed(slowRows, () => autocommit.autocommit(saves)) };
      },
      limit: async (round) => {
        const saves = recorded(round, rows);
        return { us: await timed(rows, () => limit.grouped(saves, count)) };
      },
    },
    rounds,
  );
  await db.close();
  autocommitFile.close();
  limitFile.close();
  assertSameWork(countRows(catalogue.path), [
    { path: paths.library, saves: rows * ran },
    { path: paths.autocommit, saves: slowRows * ran },
    { path: paths.limit, saves: rows * ran },
  ]);
  const { library } = figures;
  const [slow, best] = [figures.autocommit.us, figures.limit.us];
  const where = catalogue.files === 0 ? 'empty' : `${catalogue.files.toLocaleString('en-GB')} files`;
  const line = (name: string, unit: string, values: readonly number[], target: Figure['target'] = null) =>
    figure('saves', `${where}, ${name}`, unit, values, target);
  return [
    line(`${count} callers, a save`, 'us', library.us),
    line('loop that commits each statement, a save', 'us', slow),
    line(`limit: ${count} to a transaction by hand, a save`, 'us', best),
    line('times as fast as the loop', 'x', ratios(slow, library.us), { least: LEAST_TIMES_AUTOCOMMIT }),
    line('share of the limit', 'x', ratios(best, library.us), { least: LEAST_SHARE_OF_LIMIT }),
    line('commits a save', '', library.commits),
    line('latency of a save, p50', 'ms', library.p50),
    line('latency of a save, p99', 'ms', library.p99),
    ...loopLines('saves', where, library),
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

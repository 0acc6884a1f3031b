/**
 * Statistics of a catalogue of ten thousand files and of one of the requested size, in alternation: they come from
 * totals that every save updates, so the larger one must not cost more.
 */
import type { DatabaseManager } from '../lib/index.ts';
import type { BenchSizes } from './arguments.ts';
import type { Workplace } from './catalogue.ts';
import { takeTurns, timed } from './measure.ts';
import { type Figure, figure } from './report.ts';
import { ratios } from './statistics.ts';

const FEW_FILES = 10_000;
const CALLS = 100; // a round
const MOST_TIMES = 1.5;

type Call = (db: DatabaseManager) => Promise<unknown>;

const CALLED = {
  'storage()': (db) => db.analytics.storage(),
  'transfers()': (db) => db.analytics.transfers(),
  'growth()': (db) => db.analytics.growth(),
  'clients()': (db) => db.analytics.clients(),
  'activity()': (db) => db.analytics.activity(),
  'count() and totalBytes()': (db) => Promise.all([db.files.count(), db.files.totalBytes()]),
} as const satisfies Readonly<Record<string, Call>>;

/** Microseconds of each call, one after the other by one caller. */
async function round(db: DatabaseManager): Promise<Record<string, number>> {
  const times: Record<string, number> = {};
  for (const [name, call] of Object.entries(CALLED)) {
    times[name] = await timed(CALLS, async () => {
      for (let left = CALLS; left > 0; left -= 1) await call(db);
    });
  }
  return times;
}

export async function storage(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const paths = {
    few: await workplace.copy(await workplace.filled(FEW_FILES)),
    many: await workplace.copy(await workplace.filled(sizes.files)),
  };
  const [few, many] = [await workplace.open(paths.few), await workplace.open(paths.many)];
  const { figures } = await takeTurns({ few: () => round(few), many: () => round(many) }, sizes);
  await Promise.all([few.close(), many.close()]);
  await workplace.discard(paths.few, paths.many);
  const [at, than] = [sizes.files, FEW_FILES].map((files) => `${files.toLocaleString('en-GB')} files`);
  return Object.keys(CALLED).flatMap((name) => {
    const [large = [], small = []] = [figures.many[name], figures.few[name]];
    const target = name === 'storage()' ? { most: MOST_TIMES } : null;
    return [
      figure('storage', `${name}, ${than}`, 'us', small),
      figure('storage', `${name}, ${at}`, 'us', large),
      figure('storage', `${name}, times that of ${than}`, 'x', ratios(large, small), target),
    ];
  });
}

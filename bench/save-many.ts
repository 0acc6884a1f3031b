/** `db.files.saveMany`: files a second with everything kept, full durability, into an empty and a filled catalogue. */
import type { BenchSizes } from './arguments.ts';
import { openCatalogue, type StoredCatalogue, type Workplace } from './catalogue.ts';
import { takeTurns, timed, watchLoop } from './measure.ts';
import { type Figure, figure, loopLines } from './report.ts';
import { sampleFiles } from './sample-files.ts';

const LEAST_PER_SECOND = 10_000;
const US_PER_SECOND = 1e6;

async function contest(catalogue: StoredCatalogue, sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const { rows, rounds } = sizes;
  const path = await workplace.copy(catalogue);
  const db = await openCatalogue(path);
  const { figures } = await takeTurns(
    {
      library: async (round) => {
        const files = sampleFiles(catalogue.files + round * rows, rows, catalogue.clientIds);
        let us = 0;
        const loop = await watchLoop(async () => {
          us = await timed(rows, () => db.files.saveMany(files));
        });
        return { perSecond: US_PER_SECOND / us, ...loop };
      },
    },
    rounds,
  );
  const count = await db.files.count();
  await db.close();
  await workplace.discard(path);
  if ((count - catalogue.files) % rows !== 0) throw new Error('saveMany lost files');
  const where = catalogue.files === 0 ? 'empty' : `${catalogue.files.toLocaleString('en-GB')} files`;
  const { perSecond } = figures.library;
  return [
    figure('save-many', `${where}, files a second`, '/s', perSecond, { least: LEAST_PER_SECOND }),
    ...loopLines('save-many', where, figures.library),
  ];
}

export async function saveMany(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const empty = await contest(await workplace.empty(), sizes, workplace);
  return [...empty, ...(await contest(await workplace.filled(sizes.files), sizes, workplace))];
}

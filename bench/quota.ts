/**
 * What quotas cost: reserving room, and committing it beside a plain save; and how long the audits take that count
 * every version and every file again, while a server continues to save.
 */
import type { DatabaseManager, FileInput } from '../lib/index.ts';
import type { BenchSizes } from './arguments.ts';
import type { Workplace } from './catalogue.ts';
import { callers, takeTurns, timed, watchLoop, withLatency } from './measure.ts';
import { type Figure, figure, loopLines } from './report.ts';
import { sampleFile, sampleFiles } from './sample-files.ts';
import { quantile, ratios } from './statistics.ts';

const SAVERS = 8; // a server with some clients at work, not one at its limit
const QUOTA_BYTES = 2 ** 50; // a limit that is checked and never reached
const MS_PER_SECOND = 1_000;

/** Returns files that were never saved before. */
class FreshFiles {
  readonly #clientIds: readonly string[];
  #next: number;

  constructor(first: number, clientIds: readonly string[]) {
    this.#next = first;
    this.#clientIds = clientIds;
  }

  take(count: number): FileInput[] {
    const files = sampleFiles(this.#next, count, this.#clientIds);
    this.#next += count;
    return files;
  }

  one(): FileInput {
    this.#next += 1;
    return sampleFile(this.#next - 1, this.#clientIds);
  }
}

type Reserved = readonly [file: FileInput, reservation: Awaited<ReturnType<DatabaseManager['quotas']['reserve']>>];

async function reserveEach(db: DatabaseManager, files: readonly FileInput[], count: number): Promise<Reserved[]> {
  const reserved: Reserved[] = [];
  await callers(count, files, async (file) => {
    reserved.push([file, await db.quotas.reserve(file.clientId, Number(file.fileSize))]);
  });
  return reserved;
}

/** Does some work while others save. */
async function beside(db: DatabaseManager, fresh: FreshFiles, work: () => Promise<unknown>) {
  const saving = withLatency((file: FileInput) => db.files.save(file));
  let isWorking = true;
  const saver = async () => {
    while (isWorking) await saving.call(fresh.one());
  };
  let seconds = 0;
  const loop = await watchLoop(async () => {
    const savers = Promise.all(Array.from({ length: SAVERS }, saver));
    const start = performance.now();
    await work();
    seconds = (performance.now() - start) / MS_PER_SECOND;
    isWorking = false;
    await savers;
  });
  const { milliseconds } = saving;
  return { seconds, saveP99: quantile(milliseconds, 0.99), saveMax: quantile(milliseconds, 1), ...loop };
}

/** @throws when use, reservations or totals differ from the rows: then the figures measure something else */
async function assertExact(db: DatabaseManager): Promise<void> {
  const { driftBytes } = await db.quotas.audit();
  const { differences } = await db.analytics.audit();
  const isHeld = (await db.quotas.list({ limit: 1_000 })).quotas.some(({ reservedBytes }) => reservedBytes > 0);
  if (driftBytes !== 0 || differences.length > 0 || isHeld) throw new Error('quotas or totals have drifted');
}

export async function quota(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const { rows, callers: count } = sizes;
  const catalogue = await workplace.filled(sizes.files);
  const path = await workplace.copy(catalogue);
  const db = await workplace.open(path);
  for (const id of catalogue.clientIds) await db.quotas.set(id, { quotaBytes: QUOTA_BYTES });
  const fresh = new FreshFiles(catalogue.files, catalogue.clientIds);
  const { figures } = await takeTurns(
    {
      save: async () => {
        const files = fresh.take(rows);
        return { us: await timed(rows, () => callers(count, files, (file) => db.files.save(file))) };
      },
      reserved: async () => {
        const files = fresh.take(rows);
        let reserved: Reserved[] = [];
        const reserveUs = await timed(rows, async () => {
          reserved = await reserveEach(db, files, count);
        });
        const commitUs = await timed(rows, () => callers(count, reserved, ([file, held]) => held.commit(file)));
        return { reserveUs, commitUs };
      },
      use: () => beside(db, fresh, () => db.quotas.audit()),
      totals: () => beside(db, fresh, () => db.analytics.audit()),
    },
    sizes,
  );
  await assertExact(db);
  await db.close();
  await workplace.discard(path);
  const where = `${catalogue.files.toLocaleString('en-GB')} files`;
  const line = (name: string, unit: string, values: readonly number[]) => figure('quota', name, unit, values);
  const audit = (name: string, told: typeof figures.use) => [
    line(`${name}, ${where}`, 's', told.seconds),
    line(`${name}, a save beside it, p99`, 'ms', told.saveP99),
    line(`${name}, a save beside it, max`, 'ms', told.saveMax),
    ...loopLines('quota', name, told),
  ];
  const { save, reserved, use, totals } = figures;
  return [
    line(`${count} callers, a reservation`, 'us', reserved.reserveUs),
    line(`${count} callers, a commit of one`, 'us', reserved.commitUs),
    line(`${count} callers, a save without one`, 'us', save.us),
    line('a commit in times of a save', 'x', ratios(reserved.commitUs, save.us)),
    ...audit('audit of use', use),
    ...audit('audit of totals', totals),
  ];
}

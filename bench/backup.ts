/**
 * Backups of a catalogue that is in use: how long each part takes, how long a save waits meanwhile, and whether the
 * event loop is delayed. Savers and readers continue all the time.
 */
import { rm } from 'node:fs/promises';
import type { FileInput } from '../lib/values/file-input.ts';
import type { BenchSizes } from './arguments.ts';
import type { Workplace } from './catalogue.ts';
import { takeTurns, watchLoop, withLatency } from './measure.ts';
import { type Figure, figure, loopLines } from './report.ts';
import { sampleFile } from './sample-files.ts';
import { quantile } from './statistics.ts';

const CALLERS = 8; // a server with some clients at work, not one at its limit
const MS_PER_SECOND = 1_000;

export async function backup(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const catalogue = await workplace.filled(sizes.files);
  const path = await workplace.copy(catalogue);
  const backupDir = `${path}-backups`;
  // A restore makes writers wait until the previous state is copied and verified: over 30 s at a million files.
  const db = await workplace.open(path, { backupDir, acquireTimeoutMs: 600_000 });
  let next = catalogue.files;

  /** Does some work while others save and look up. */
  const beside = async (work: () => Promise<unknown>) => {
    const saving = withLatency((file: FileInput) => db.files.save(file));
    let isWorking = true;
    const caller = async () => {
      while (isWorking) {
        next += 1;
        await saving.call(sampleFile(next, catalogue.clientIds));
        await db.files.list({ limit: 1 });
      }
    };
    let seconds = 0;
    const loop = await watchLoop(async () => {
      const callers = Promise.all(Array.from({ length: CALLERS }, caller));
      const start = performance.now();
      await work();
      seconds = (performance.now() - start) / MS_PER_SECOND;
      isWorking = false;
      await callers;
    });
    const { milliseconds } = saving;
    return { seconds, saveP99: quantile(milliseconds, 0.99), saveMax: quantile(milliseconds, 1), ...loop };
  };

  const last = async () => (await db.backups.list())[0]?.path ?? '';
  const rounds = {
    create: () => beside(() => db.backups.create()),
    'create, compressed': () => beside(() => db.backups.create({ compress: true })),
    verify: () => beside(async () => db.backups.verify(await last())),
    drill: () => beside(() => db.backups.drill()),
    'integrity check': () => beside(() => db.maintenance.checkIntegrity({ full: true })),
    'create, drill and check at once': () =>
      beside(() =>
        Promise.all([db.backups.create(), db.backups.drill(), db.maintenance.checkIntegrity({ full: true })]),
      ),
    restore: () => beside(async () => db.backups.restore(await last())),
  };
  const { figures } = await takeTurns(rounds, sizes, { warmsUp: false }); // each takes seconds or minutes
  await db.close();
  await workplace.discard(path);
  await rm(backupDir, { recursive: true, force: true });
  return Object.entries(figures).flatMap(([name, told]) => [
    figure('backup', `${name}, ${sizes.files} files`, 's', told.seconds),
    figure('backup', `${name}, a save beside it, p99`, 'ms', told.saveP99),
    figure('backup', `${name}, a save beside it, max`, 'ms', told.saveMax),
    ...loopLines('backup', name, told),
  ]);
}

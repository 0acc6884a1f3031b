/**
 * Concurrent savers and lookups, as on a server in the middle of a backup run: the throughput and latency of both, and
 * the delay of the event loop.
 */
import type { FileInput } from '../lib/values/file-input.ts';
import type { BenchSizes } from './arguments.ts';
import type { Workplace } from './catalogue.ts';
import { callers, takeTurns, watchLoop, withLatency } from './measure.ts';
import { type Figure, figure, loopLines } from './report.ts';
import { sampleFile, sampleFiles } from './sample-files.ts';
import { quantile } from './statistics.ts';

const STRIDE = 7919;
const MS_PER_SECOND = 1_000;

export async function mixed(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const { rows, callers: count } = sizes;
  const catalogue = await workplace.filled(sizes.files);
  const path = await workplace.copy(catalogue);
  const db = await workplace.open(path);

  const round = async (number: number) => {
    const files = sampleFiles(catalogue.files + number * rows, rows, catalogue.clientIds);
    const saving = withLatency((file: FileInput) => db.files.save(file));
    const finding = withLatency(({ clientId, fileName, originalPath }: FileInput) =>
      db.files.find(clientId, fileName, originalPath),
    );
    let isSaving = true;
    const lookUp = async (caller: number) => {
      for (let call = caller; isSaving; call += count) {
        await finding.call(sampleFile((call * STRIDE) % catalogue.files, catalogue.clientIds));
      }
    };
    const start = performance.now();
    const loop = await watchLoop(async () => {
      const lookups = Array.from({ length: count }, (_, caller) => lookUp(caller));
      await callers(count, files, saving.call);
      isSaving = false;
      await Promise.all(lookups);
    });
    const seconds = (performance.now() - start) / MS_PER_SECOND;
    return {
      saves: saving.milliseconds.length / seconds,
      lookups: finding.milliseconds.length / seconds,
      saveP50: quantile(saving.milliseconds, 0.5),
      saveP99: quantile(saving.milliseconds, 0.99),
      lookupP50: quantile(finding.milliseconds, 0.5),
      lookupP99: quantile(finding.milliseconds, 0.99),
      ...loop,
    };
  };

  const { library } = (await takeTurns({ library: round }, sizes)).figures;
  await db.close();
  await workplace.discard(path);
  const where = `${count} savers beside ${count} lookups`;
  const line = (name: string, unit: string, values: readonly number[]) =>
    figure('mixed', `${where}, ${name}`, unit, values);
  return [
    line('saves a second', '/s', library.saves),
    line('lookups a second', '/s', library.lookups),
    line('latency of a save, p50', 'ms', library.saveP50),
    line('latency of a save, p99', 'ms', library.saveP99),
    line('latency of a lookup, p50', 'ms', library.lookupP50),
    line('latency of a lookup, p99', 'ms', library.lookupP99),
    ...loopLines('mixed', where, library),
  ];
}

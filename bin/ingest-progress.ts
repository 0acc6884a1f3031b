/**
 * How far an ingest has come. The total grows while a second walk counts ahead, so that nobody waits for the counting.
 */
import type { Logger } from 'pino';
import { formatBytes, formatCount, formatDuration } from './format.ts';
import type { IngestProgress } from './ingest.ts';
import { hasBars, progressBar } from './progress.ts';
import { countFiles } from './walk.ts';

export interface ShownIngest {
  readonly onProgress: (progress: IngestProgress) => void;
  /** Takes the bar away. */
  stop(): Promise<void>;
}

/** How long it will still take, from the time the files so far took. */
function timeLeft(startedAt: number, done: number, total: number): string {
  if (done === 0) return '';
  return `  ${formatDuration(((Date.now() - startedAt) / done) * Math.max(0, total - done))} left`;
}

function bar(folder: string): ShownIngest {
  const shown = progressBar();
  const counting = new AbortController();
  const startedAt = Date.now();
  let counted = 0;
  const counts = countFiles(folder, counting.signal, (files) => {
    counted = files;
  });
  return {
    onProgress({ files, bytes }) {
      const total = Math.max(counted, files); // it may have overtaken the counting
      const words = `${formatCount(files)} of ${formatCount(total)} files  ${formatBytes(bytes)} read`;
      shown.show({ done: files, total, words: words + timeLeft(startedAt, files, total) });
    },
    async stop() {
      counting.abort();
      await counts;
      shown.stop();
    },
  };
}

function lines(logger: Logger): ShownIngest {
  let told = 0;
  return {
    onProgress({ files, bytes }) {
      if (files === told) return;
      told = files;
      logger.debug({ files, bytes }, 'progress');
    },
    stop: async () => undefined,
  };
}

/** Shows the progress of cataloguing a folder. */
export const showIngest = (folder: string, logger: Logger): ShownIngest => (hasBars() ? bar(folder) : lines(logger));

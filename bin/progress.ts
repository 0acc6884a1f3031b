/**
 * How far an ingest has come: a bar on a terminal, lines of the log elsewhere. The total grows while a second walk counts
 * ahead, so that nobody waits for the counting.
 */
import { SingleBar } from 'cli-progress';
import type { Logger } from 'pino';
import { formatBytes, formatCount, formatDuration } from './format.ts';
import type { IngestProgress } from './ingest.ts';
import { countFiles } from './walk.ts';

export interface Progress {
  update(progress: IngestProgress): void;
  /** Takes the bar away. */
  stop(): Promise<void>;
}

const FORMAT = '{bar} {percentage}%  {value} of {total} files  {read} read  {left}';

/** How long it will still take, from the time the files so far took. */
function timeLeft(startedAt: number, done: number, total: number): string {
  if (done === 0) return '';
  return `${formatDuration(((Date.now() - startedAt) / done) * Math.max(0, total - done))} left`;
}

function bar(folder: string): Progress {
  const shown = new SingleBar({
    format: FORMAT,
    stream: process.stderr,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 30,
    emptyOnZero: true,
    clearOnComplete: true,
    formatValue: (value, _options, type) => (type === 'percentage' ? String(value) : formatCount(value)),
  });
  const counting = new AbortController();
  const startedAt = Date.now();
  shown.start(0, 0, { read: formatBytes(0), left: '' });
  const counted = countFiles(folder, counting.signal, (files) => shown.setTotal(files));
  return {
    update({ files, bytes }) {
      if (files > shown.getTotal()) shown.setTotal(files); // it overtook the counting
      shown.update(files, { read: formatBytes(bytes), left: timeLeft(startedAt, files, shown.getTotal()) });
    },
    async stop() {
      counting.abort();
      await counted;
      shown.stop();
    },
  };
}

function lines(logger: Logger): Progress {
  let told = 0;
  return {
    update({ files, bytes }) {
      if (files === told) return;
      told = files;
      logger.debug({ files, bytes }, 'progress');
    },
    stop: async () => undefined,
  };
}

const isTerminal = () => process.stderr.isTTY && process.env['TERM'] !== 'dumb';

/** Shows the progress of cataloguing a folder. */
export const showProgress = (folder: string, logger: Logger): Progress => (isTerminal() ? bar(folder) : lines(logger));

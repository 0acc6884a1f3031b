/** How far a check of the whole file has come: a bar on a terminal, lines of the log elsewhere. */
import { SingleBar } from 'cli-progress';
import type { Logger } from 'pino';
import type { IntegrityProgress } from '../lib/index.ts';

export interface CheckBar {
  readonly onProgress: (progress: IntegrityProgress) => void;
  /** Takes the bar away. */
  stop(): void;
}

function bar(): CheckBar {
  const shown = new SingleBar({
    format: '{bar} {value} of {total}  {step}',
    stream: process.stderr,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 30,
    emptyOnZero: true,
    clearOnComplete: true,
  });
  shown.start(0, 0, { step: '' });
  return {
    onProgress({ step, done, total }) {
      shown.setTotal(total);
      shown.update(done, { step });
    },
    stop: () => shown.stop(),
  };
}

const lines = (logger: Logger): CheckBar => ({
  onProgress: (progress) => logger.debug({ ...progress }, 'checking'),
  stop: () => undefined,
});

const isTerminal = () => process.stderr.isTTY && process.env['TERM'] !== 'dumb';

/** Shows the progress of a check. */
export const showCheck = (logger: Logger): CheckBar => (isTerminal() ? bar() : lines(logger));

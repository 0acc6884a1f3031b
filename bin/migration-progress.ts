/** How far a migration has come: a bar on a terminal, a line of the log for each step elsewhere. */
import { SingleBar } from 'cli-progress';
import type { Logger } from 'pino';
import type { MigrationProgress } from '../lib/index.ts';
import { formatCount } from './format.ts';

export interface MigrationBar {
  readonly onProgress: (progress: MigrationProgress) => void;
  /** Takes the bar away. */
  stop(): void;
}

const labelOf = ({ version, name, step }: MigrationProgress) =>
  step === 'statements' ? `${version} ${name}` : `${version} ${name}: ${step.replace(/^.*\./, '')}`;

function bar(): MigrationBar {
  const shown = new SingleBar({
    format: '{bar} {percentage}%  {step}  {value} of {total}',
    stream: process.stderr,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 30,
    emptyOnZero: true,
    clearOnComplete: true,
    formatValue: (value, _options, type) => (type === 'percentage' ? String(value) : formatCount(value)),
  });
  shown.start(0, 0, { step: '' });
  return {
    onProgress(progress) {
      shown.setTotal(progress.total);
      shown.update(progress.done, { step: labelOf(progress) });
    },
    stop: () => shown.stop(),
  };
}

function lines(logger: Logger): MigrationBar {
  let last = '';
  return {
    onProgress(progress) {
      const label = labelOf(progress);
      if (label === last) return;
      last = label;
      logger.info({ ...progress }, 'migrating');
    },
    stop: () => undefined,
  };
}

const isTerminal = () => process.stderr.isTTY && process.env['TERM'] !== 'dumb';

/** Shows the progress of migrations. */
export const showMigration = (logger: Logger): MigrationBar => (isTerminal() ? bar() : lines(logger));

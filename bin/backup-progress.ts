/** How far a backup or a restore has come: a bar or a line on a terminal, lines of the log elsewhere. */
import { SingleBar } from 'cli-progress';
import type { Logger } from 'pino';
import type { RestoreStep, SnapshotProgress } from '../lib/index.ts';
import { formatBytes } from './format.ts';
import { tell } from './output.ts';

export interface BackupBar {
  readonly onProgress: (progress: SnapshotProgress) => void;
  /** Takes the bar away. */
  stop(): void;
}

const LABELS = { copy: 'copying', check: 'checking' } as const;

function bar(): BackupBar {
  const shown = new SingleBar({
    format: '{bar} {percentage}%  {label}  {value} of {total}',
    stream: process.stderr,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 30,
    emptyOnZero: true,
    clearOnComplete: true,
    formatValue: (value, _options, type) => (type === 'percentage' ? String(value) : formatBytes(value)),
  });
  shown.start(0, 0, { label: '' });
  return {
    onProgress({ step, done, total }) {
      shown.setTotal(total);
      shown.update(done, { label: LABELS[step] });
    },
    stop: () => shown.stop(),
  };
}

const lines = (logger: Logger): BackupBar => ({
  onProgress: (progress) => logger.debug({ ...progress }, 'backup'),
  stop: () => undefined,
});

const isTerminal = () => process.stderr.isTTY && process.env['TERM'] !== 'dumb';

/** Shows the progress of a backup. */
export const showBackup = (logger: Logger): BackupBar => (isTerminal() ? bar() : lines(logger));

const STEPS: Readonly<Record<RestoreStep, string>> = {
  read: 'reading and verifying the backup',
  migrate: 'bringing it up to date',
  check: 'checking the result',
  safety: 'keeping the present state as a backup',
  swap: 'putting it in place',
  health: 'checking the restored catalogue',
};

/** Tells which part of a restore begins. */
export const tellRestore = ({ step }: { readonly step: RestoreStep }): void => tell(`${STEPS[step]} …`);

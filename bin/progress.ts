/** How far a long piece of work has come: a bar on a terminal, lines of the log elsewhere. */
import { SingleBar } from 'cli-progress';

/** What a bar shows: how far it is filled, and the words beside it. */
export interface Position {
  readonly done: number;
  readonly total: number;
  readonly words: string;
}

export interface ProgressBar {
  show(position: Position): void;
  /** Takes the bar away. */
  stop(): void;
}

/** Whether messages go to a terminal that can redraw a line. */
export const hasBars = (): boolean => process.stderr.isTTY && process.env['TERM'] !== 'dumb';

export function progressBar(): ProgressBar {
  const bar = new SingleBar({
    format: '{bar} {percentage}%  {words}',
    stream: process.stderr,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 30,
    emptyOnZero: true,
    clearOnComplete: true,
  });
  bar.start(0, 0, { words: '' });
  return {
    show({ done, total, words }) {
      bar.setTotal(total);
      bar.update(done, { words });
    },
    stop: () => bar.stop(),
  };
}

/** Runs work whose steps are shown on a terminal, and logged elsewhere. */
export async function withProgress<Step, Result>(
  as: { readonly shown: (step: Step) => Position; readonly logged: (step: Step) => void },
  work: (onProgress: (step: Step) => void) => Promise<Result>,
): Promise<Result> {
  if (!hasBars()) return work(as.logged);
  const bar = progressBar();
  try {
    return await work((step) => bar.show(as.shown(step)));
  } finally {
    bar.stop();
  }
}

/** Clean stops: the first SIGINT or SIGTERM asks the work to stop, a second one ends the process at once. */

/** Exit codes of processes stopped by a signal, as in shells: 128 plus the signal's number. */
const CODES = { SIGINT: 130, SIGTERM: 143 } as const;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** The result, and the exit code if a signal stopped the work. */
export interface Interruptible<Result> {
  readonly result: Result;
  readonly stoppedBy: number | undefined;
}

/** Runs work that a signal may stop early; the work decides what it returns then. */
export async function interruptible<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Interruptible<Result>> {
  const controller = new AbortController();
  let stoppedBy: number | undefined;
  const stop = (name: (typeof SIGNALS)[number]) => {
    stoppedBy = CODES[name];
    forget();
    controller.abort();
  };
  // Without a listener the default applies: the process ends.
  const forget = () => SIGNALS.map((name) => process.off(name, stop));
  for (const name of SIGNALS) process.on(name, stop);
  try {
    const result = await work(controller.signal);
    return { result, stoppedBy };
  } finally {
    forget();
  }
}

/** Runs work that aborts on a signal; the result is undefined if it was stopped. */
export const unlessStopped = <Result>(
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Interruptible<Result | undefined>> =>
  interruptible(async (signal) => {
    try {
      return await work(signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  });

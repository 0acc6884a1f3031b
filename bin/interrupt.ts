/** Stopping cleanly: the first SIGINT or SIGTERM asks the work to stop, a second one ends the process at once. */

/** Exit codes of processes that a signal stopped, as shells tell them: 128 and the signal's number. */
const CODES = { SIGINT: 130, SIGTERM: 143 } as const;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** What was done, and the exit code when a signal stopped it. */
export interface Interruptible<Result> {
  readonly result: Result;
  readonly stoppedBy: number | undefined;
}

/** Does work that a signal may stop early; the work decides what it still returns. */
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
  // Without a listener the system's own answer is back: the process ends.
  const forget = () => SIGNALS.map((name) => process.off(name, stop));
  for (const name of SIGNALS) process.on(name, stop);
  try {
    const result = await work(controller.signal);
    return { result, stoppedBy };
  } finally {
    forget();
  }
}

/** Does work that gives up when a signal comes: its result, undefined when it was stopped. */
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

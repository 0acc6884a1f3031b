/**
 * How figures are taken on a machine that others use as well: contestants take turns, round by round, in an order that
 * rotates; the first round warms up and is dropped; what is reported is the median of the rounds, their spread, and
 * ratios of rounds that ran next to each other.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';

/** The median of some rounds, and the lowest and highest of them. */
export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** The value below which `share` (0 to 1) of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const summary = (values: readonly number[]): Summary => ({
  median: quantile(values, 0.5),
  low: Math.min(...values),
  high: Math.max(...values),
});

/** One round of a contestant; resolves with its figure, such as microseconds a call. */
export type Round = (round: number) => Promise<number> | number;

/** Runs one warm-up round and `rounds` more of each contestant, taking turns; the figures by contestant. */
export async function takeTurns<Name extends string>(
  contestants: Readonly<Record<Name, Round>>,
  rounds: number,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(contestants) as Name[];
  const figures = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round <= rounds; round += 1) {
    const first = round % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const figure = await contestants[name](round);
      if (round > 0) figures[name].push(figure);
    }
  }
  return figures;
}

/** How many times `theirs` the rounds of `ours` took, round by round. */
export const ratios = (theirs: readonly number[], ours: readonly number[]): number[] =>
  theirs.map((figure, round) => figure / (ours[round] ?? Number.NaN));

/** Microseconds a call of some work. */
export async function timed(calls: number, work: () => Promise<unknown> | unknown): Promise<number> {
  const start = performance.now();
  await work();
  return ((performance.now() - start) * 1_000) / calls;
}

/** `count` callers that each make the next call as soon as their last one was answered. */
export async function callers<Item>(
  count: number,
  items: readonly Item[],
  call: (item: Item) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < items.length) await call(items[next++] as Item);
  };
  await Promise.all(Array.from({ length: count }, caller));
}

const RESOLUTION_MS = 1;
const NANOSECONDS_PER_MS = 1e6;

/** How late the event loop was, in milliseconds, and how busy: 0 to 1. */
export interface LoopFigures {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly busy: number;
}

/** Watches the event loop over many rounds, only while `during` runs: the other contestants block it on purpose. */
export class LoopWatch {
  readonly #rounds: LoopFigures[] = [];

  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    // A monitor that is enabled again counts the pause as one delay: each round has its own.
    const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    const before = performance.eventLoopUtilization();
    delay.enable();
    const result = await work();
    delay.disable();
    const { utilization: busy } = performance.eventLoopUtilization(before);
    // The monitor reports the time between two ticks of its timer; what is beyond the timer's own period is delay.
    const late = (nanoseconds: number) => Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS);
    const [p50, p99] = [late(delay.percentile(50)), late(delay.percentile(99))];
    this.#rounds.push({ p50, p99, max: late(delay.max), busy });
    return result;
  }

  /** One figure of every round but the first, which warmed up. */
  all(figure: keyof LoopFigures): number[] {
    return this.#rounds.slice(1).map((round) => round[figure]);
  }
}

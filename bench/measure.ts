/**
 * How to measure on a machine that others use as well: contestants take turns in a rotating order. The first turn is a
 * warm-up and is dropped, and so are turns in which other processes took the processors. The report has the median of
 * the remaining turns, their spread, and ratios of rounds that ran next to each other.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { BenchSizes } from './arguments.ts';
import { OthersWatch } from './others.ts';

/** The result of a round: figures by name. */
export type RoundFigures = Readonly<Record<string, number>>;

/** One round of a contestant; `number` counts rounds from 0, those that are dropped included. */
export type Round<Names extends RoundFigures> = (number: number) => Promise<Names> | Names;

type Collected<Contestants> = {
  [Name in keyof Contestants]: Contestants[Name] extends Round<infer Names> ? Record<keyof Names, number[]> : never;
};

/** The results of the contestants: for each figure, a list of the rounds that count. */
export interface Turns<Contestants> {
  readonly figures: Collected<Contestants>;
  /** Rounds that each contestant ran, dropped ones included. */
  readonly ran: number;
}

const QUIET = 0.2; // processors that others may use in a turn that counts

interface Turn {
  readonly others: number;
  readonly figures: Readonly<Record<string, RoundFigures>>;
}

/**
 * Runs one turn to warm up, unless told not to, then turns until `rounds` of them were quiet, or `attempts` times as
 * many; the quietest count. A note on stderr says if other processes used much of the processors.
 */
export async function takeTurns<Contestants extends Readonly<Record<string, Round<RoundFigures>>>>(
  contestants: Contestants,
  { rounds, attempts }: Pick<BenchSizes, 'rounds' | 'attempts'>,
  { warmsUp = true }: { readonly warmsUp?: boolean } = {},
): Promise<Turns<Contestants>> {
  const turns: Turn[] = [];
  const isQuiet = ({ others }: Turn) => others <= QUIET;
  let ran = 0;
  while (turns.length < rounds * attempts && turns.filter(isQuiet).length < rounds) {
    const turn = await takeTurn(contestants, ran);
    if (ran > 0 || !warmsUp) turns.push(turn);
    ran += 1;
  }
  const counting = turns.sort((a, b) => a.others - b.others).slice(0, rounds);
  if (attempts > 1) OthersWatch.tell(counting.map(({ others }) => others));
  const collected = Object.keys(contestants).map((name) => [name, columns(counting, name)]);
  return { ran, figures: Object.fromEntries(collected) };
}

async function takeTurn(contestants: Readonly<Record<string, Round<RoundFigures>>>, number: number): Promise<Turn> {
  const names = Object.keys(contestants);
  const first = number % names.length;
  const watch = new OthersWatch();
  const figures: Record<string, RoundFigures> = {};
  for (const name of [...names.slice(first), ...names.slice(0, first)]) {
    figures[name] = (await contestants[name]?.(number)) ?? {};
  }
  return { figures, others: watch.processors() };
}

function columns(turns: readonly Turn[], contestant: string): Record<string, number[]> {
  const names = Object.keys(turns[0]?.figures[contestant] ?? {});
  const column = (name: string) => turns.map(({ figures }) => figures[contestant]?.[name] ?? Number.NaN);
  return Object.fromEntries(names.map((name) => [name, column(name)]));
}

/** Microseconds per call of some work. */
export async function timed(calls: number, work: () => Promise<unknown> | unknown): Promise<number> {
  const start = performance.now();
  await work();
  return ((performance.now() - start) * 1_000) / calls;
}

/** `count` callers, each of which makes its next call as soon as its last one is answered. */
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
export type LoopFigures = {
  readonly loopP50: number;
  readonly loopP99: number;
  readonly loopMax: number;
  readonly loopBusy: number;
};

/** Does some work and measures the event loop meanwhile. */
export async function watchLoop(work: () => Promise<unknown>): Promise<LoopFigures> {
  // A monitor that is enabled again counts the pause as one delay: each round has its own.
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  const before = performance.eventLoopUtilization();
  delay.enable();
  await work();
  delay.disable();
  const { utilization: loopBusy } = performance.eventLoopUtilization(before);
  // The monitor reports the time between two ticks of its timer; whatever exceeds the timer's period is delay.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS);
  const [loopP50, loopP99] = [late(delay.percentile(50)), late(delay.percentile(99))];
  return { loopP50, loopP99, loopMax: late(delay.max), loopBusy };
}

/** Wraps a call to record the time of each, in milliseconds. */
export function withLatency<Item>(call: (item: Item) => Promise<unknown>): {
  readonly call: (item: Item) => Promise<void>;
  readonly milliseconds: number[];
} {
  const milliseconds: number[] = [];
  return {
    milliseconds,
    call: async (item) => {
      const start = performance.now();
      await call(item);
      milliseconds.push(performance.now() - start);
    },
  };
}

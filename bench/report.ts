/** Figures as they are reported: one line each in a plain table, or all of them as JSON. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import Database from 'better-sqlite3';
import type { LoopFigures } from './measure.ts';
import { type Summary, summary } from './statistics.ts';

/** What a figure is held against. */
export type Target = { readonly least: number } | { readonly most: number };

/** One line of the report. */
export interface Figure extends Summary {
  readonly suite: string;
  readonly name: string;
  readonly unit: string;
  readonly target: Target | null;
}

/** A figure of one value a round. */
export function figure(
  suite: string,
  name: string,
  unit: string,
  rounds: readonly number[],
  target: Target | null = null,
): Figure {
  return { suite, name, unit, target, ...summary(rounds) };
}

const MOST_LOOP_P99_MS = 10;
const MOST_LOOP_MAX_MS = 50;

/** The lines that tell how the event loop fared. */
export function loopLines(
  suite: string,
  where: string,
  { loopP50, loopP99, loopMax, loopBusy }: Readonly<Record<keyof LoopFigures, readonly number[]>>,
): Figure[] {
  return [
    figure(suite, `${where}, event-loop delay p50`, 'ms', loopP50),
    figure(suite, `${where}, event-loop delay p99`, 'ms', loopP99, { most: MOST_LOOP_P99_MS }),
    figure(suite, `${where}, event-loop delay max`, 'ms', loopMax, { most: MOST_LOOP_MAX_MS }),
    figure(suite, `${where}, event loop busy`, 'x', loopBusy),
  ];
}

/** Whether a figure reaches its target; null without one. */
function reaches({ median, target }: Figure): boolean | null {
  if (target === null) return null;
  return 'least' in target ? median >= target.least : median <= target.most;
}

const SMALL = 0.1; // commits a save are few: 0.016

const number = (value: number) => {
  const size = Math.abs(value);
  const digits = size >= 1_000 ? 0 : size >= 100 ? 1 : size >= SMALL || size === 0 ? 2 : 3;
  return value.toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits });
};

const targetText = (target: Target | null) => {
  if (target === null) return '';
  return 'least' in target ? `>= ${number(target.least)}` : `<= ${number(target.most)}`;
};

const VERDICTS = new Map<boolean | null, string>([
  [true, 'ok'],
  [false, 'MISSED'],
  [null, ''],
]);

const HEADINGS = ['figure', 'median', 'unit', 'rounds from - to', 'target', ''];

/** The figures as a table for a terminal of any width. */
export function table(figures: readonly Figure[]): string {
  const cells = figures.map((entry) => [
    `${entry.suite}: ${entry.name}`,
    number(entry.median),
    entry.unit,
    `${number(entry.low)} - ${number(entry.high)}`,
    targetText(entry.target),
    VERDICTS.get(reaches(entry)) ?? '',
  ]);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...cells.map((line) => (line[column] ?? '').length)),
  );
  const line = (texts: readonly string[]) =>
    texts
      .map((text, column) => (column === 1 ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(HEADINGS), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line), ''].join('\n');
}

/** How many of the promises are kept, and which are not. */
export function verdict(figures: readonly Figure[]): string {
  const promised = figures.filter(({ target }) => target !== null);
  const missed = promised.filter((entry) => reaches(entry) === false);
  const lines = missed.map(
    ({ suite, name, median, unit, target }) =>
      `  missed: ${suite}: ${name}: promised ${targetText(target)} ${unit}, found ${number(median)}`,
  );
  return [`${promised.length - missed.length} of ${promised.length} promises kept`, ...lines].join('\n');
}

function memoryGiB(): number | null {
  try {
    const kibibytes = /MemTotal:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    return kibibytes === undefined ? null : Math.round(Number(kibibytes) / 1024 ** 2);
  } catch {
    return null; // not Linux
  }
}

/** What the figures were taken on. */
export function machine(): Record<string, string | number | null> {
  const memory = new Database(':memory:');
  const sqlite = String(memory.prepare('SELECT sqlite_version()').pluck().get());
  memory.close();
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? null,
    memoryGiB: memoryGiB(),
    kernel: `${process.platform} ${release()}`,
    node: process.version,
    sqlite,
  };
}

/** The whole report as JSON. */
export const asJson = (figures: readonly Figure[]): string =>
  `${JSON.stringify({ machine: machine(), figures: figures.map((entry) => ({ ...entry, ok: reaches(entry) })) }, null, 2)}\n`;

/** The report of figures: one line each in a plain table, or all of them as JSON. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import Database from 'better-sqlite3';
import type { Comparison } from './comparison.ts';
import type { LoopFigures } from './measure.ts';
import { type Summary, summary } from './statistics.ts';

/** What a figure is compared with. */
export type Target = { readonly least: number } | { readonly most: number };

/** One line of the report. */
export interface Figure extends Summary {
  readonly suite: string;
  readonly name: string;
  readonly unit: string;
  readonly target: Target | null;
}

/** A figure with one value per round. */
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

/** The lines about the event loop. */
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

const SMALL = 0.1; // commits per save are few: 0.016

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

/** Texts in columns for a terminal of any width; the columns named are aligned to the right. */
function layOut(
  headings: readonly string[],
  cells: readonly (readonly string[])[],
  right: ReadonlySet<number>,
): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((line) => (line[column] ?? '').length)),
  );
  const line = (texts: readonly string[]) =>
    texts
      .map((text, column) => {
        const width = widths[column] ?? 0;
        return right.has(column) ? text.padStart(width) : text.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [line(headings), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line), ''].join('\n');
}

const spread = ({ low, high }: Summary) => `${number(low)} - ${number(high)}`;

/** The figures as a table. */
export function table(figures: readonly Figure[]): string {
  const cells = figures.map((entry) => [
    `${entry.suite}: ${entry.name}`,
    number(entry.median),
    entry.unit,
    spread(entry),
    targetText(entry.target),
    VERDICTS.get(reaches(entry)) ?? '',
  ]);
  return layOut(['figure', 'median', 'unit', 'rounds from - to', 'target', ''], cells, new Set([1]));
}

/** The figures of two libraries as a table: medians, their rounds, and the first divided by the second. */
export function comparisonTable([now, beside]: readonly [string, string], comparisons: readonly Comparison[]): string {
  const cells = comparisons.map((entry) => [
    `${entry.suite}: ${entry.name}`,
    entry.unit,
    number(entry.now.median),
    spread(entry.now),
    number(entry.beside.median),
    spread(entry.beside),
    number(entry.ratio.median),
    spread(entry.ratio),
    entry.verdict ?? '',
  ]);
  const headings = ['figure', 'unit', now, 'from - to', beside, 'from - to', `${now} / ${beside}`, 'from - to', ''];
  return layOut(headings, cells, new Set([2, 4, 6]));
}

/** Which figures are worse than those of the other library in every round. */
export function worsened(comparisons: readonly Comparison[]): string {
  const worse = comparisons.filter(({ verdict: found }) => found === 'worse');
  const lines = worse.map(({ suite, name, ratio }) => `  worse: ${suite}: ${name}: ${number(ratio.median)} times`);
  return [`${worse.length} of ${comparisons.length} figures worse by more than the rounds differ`, ...lines].join('\n');
}

/** How many of the targets are met, and which are missed. */
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

/** The machine that the figures are from. */
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

/** Figures with whether they reach their target. */
const judgedFigures = (figures: readonly (Figure | Comparison)[]) =>
  figures.map((entry) => ('target' in entry ? { ...entry, ok: reaches(entry) } : entry));

/** The content of a report: figures of this tree, or comparisons with a commit. */
export type Told =
  | { readonly figures: readonly Figure[] }
  | { readonly beside: string; readonly figures: readonly Comparison[] };

/** The whole report as JSON. */
export const asJson = (told: Told): string =>
  `${JSON.stringify({ machine: machine(), ...told, figures: judgedFigures(told.figures) }, null, 2)}\n`;

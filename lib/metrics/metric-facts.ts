/** The facts behind metrics, and the kinds of rows in their tables. */
import type { CallLogFigures } from '../sql/call-log.ts';
import type { EngineStats } from '../sql/engine.ts';
import type { HistogramFigures } from '../sql/histogram.ts';
import type { CatalogueFigures } from './metrics-procedures.ts';

/** Committed saves of this catalogue object, by result. */
export interface SaveCounts {
  /** Saves that stored a file or a new version. */
  readonly stored: number;
  /** Saves that found no change. */
  readonly unchanged: number;
  /** Bytes of the stored files. */
  readonly bytes: number;
  /** Saves that made a client's use cross its warning threshold. */
  readonly warnings: number;
}

/** Sizes from the file system, in bytes; null if unknown. */
export interface FileFigures {
  readonly databaseBytes: number | null;
  readonly walBytes: number | null;
  readonly freeDiskBytes: number | null;
  /** The size of the last verified backup. */
  readonly backupBytes: number | null;
}

/** All facts behind metrics, at one instant. */
export interface MetricFacts {
  readonly libraryVersion: string;
  /** Seconds since 1970. */
  readonly openedAt: number;
  readonly stats: EngineStats;
  readonly log: CallLogFigures;
  readonly saves: SaveCounts;
  /** Null if the database did not answer in time. */
  readonly catalogue: CatalogueFigures | null;
  readonly files: FileFigures;
}

/** A value with the labels that distinguish it. */
export interface Sample<Value> {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: Value;
}

interface MetricBase {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** A row of the table of metrics: its description, and how its values follow from the facts. */
export type Metric =
  | (MetricBase & {
      readonly type: 'counter' | 'gauge';
      readonly values: (facts: MetricFacts) => readonly Sample<number>[];
    })
  | (MetricBase & {
      readonly type: 'histogram';
      /** The divisor of bounds and sums: 1,000 for milliseconds. */
      readonly divisor: number;
      readonly values: (facts: MetricFacts) => readonly Sample<HistogramFigures>[];
    });

type Values<Value> = (facts: MetricFacts) => readonly Sample<Value>[];

export const counter = (name: string, help: string, labels: readonly string[], values: Values<number>): Metric => ({
  name,
  help,
  labels,
  type: 'counter',
  values,
});

export const gauge = (name: string, help: string, labels: readonly string[], values: Values<number>): Metric => ({
  name,
  help,
  labels,
  type: 'gauge',
  values,
});

/** A histogram of milliseconds, shown in seconds. */
export const seconds = (
  name: string,
  help: string,
  labels: readonly string[],
  values: Values<HistogramFigures>,
): Metric => ({ name, help, labels, type: 'histogram', divisor: 1_000, values });

/** A histogram of counts. */
export const counts = (name: string, help: string, values: Values<HistogramFigures>): Metric => ({
  name,
  help,
  labels: [],
  type: 'histogram',
  divisor: 1,
  values,
});

/** One value without labels, or none if it is unknown. */
export const known = (value: number | null | undefined): readonly Sample<number>[] =>
  value === null || value === undefined ? [] : [{ value }];

/** One value per key of a record; the key becomes a label. */
export const each = <Value>(label: string, values: Readonly<Record<string, Value>>): readonly Sample<Value>[] =>
  Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }));

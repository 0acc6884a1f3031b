/** What metrics are made of, and the kinds of rows their table has. */
import type { CallLogFigures } from '../sql/call-log.ts';
import type { EngineStats } from '../sql/engine.ts';
import type { HistogramFigures } from '../sql/histogram.ts';
import type { CatalogueFigures } from './metrics-procedures.ts';

/** Saves that were committed through this catalogue object, by what they did. */
export interface SaveCounts {
  /** That stored a file, or a new version of one. */
  readonly stored: number;
  /** That found nothing new. */
  readonly unchanged: number;
  /** Bytes of the files that were stored. */
  readonly bytes: number;
  /** That made a client's use cross its warning threshold. */
  readonly warnings: number;
}

/** What the file system tells, in bytes; null where it could not be asked. */
export interface FileFigures {
  readonly databaseBytes: number | null;
  readonly walBytes: number | null;
  readonly freeDiskBytes: number | null;
  /** Of the last backup that was made and verified. */
  readonly backupBytes: number | null;
}

/** Everything metrics are made of, at one instant. */
export interface MetricFacts {
  readonly libraryVersion: string;
  /** Seconds since 1970. */
  readonly openedAt: number;
  readonly stats: EngineStats;
  readonly log: CallLogFigures;
  readonly saves: SaveCounts;
  /** Null when the database could not be asked in time. */
  readonly catalogue: CatalogueFigures | null;
  readonly files: FileFigures;
}

/** A value with the labels that tell it from its neighbours. */
export interface Sample<Value> {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: Value;
}

interface MetricBase {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** A row of the table of metrics: what it is, and how its values follow from the facts. */
export type Metric =
  | (MetricBase & {
      readonly type: 'counter' | 'gauge';
      readonly values: (facts: MetricFacts) => readonly Sample<number>[];
    })
  | (MetricBase & {
      readonly type: 'histogram';
      /** What bounds and sums are divided by: 1,000 for milliseconds. */
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

/** One value without labels, or none where it is not known. */
export const known = (value: number | null | undefined): readonly Sample<number>[] =>
  value === null || value === undefined ? [] : [{ value }];

/** A value for each of a record's keys, which become a label. */
export const each = <Value>(label: string, values: Readonly<Record<string, Value>>): readonly Sample<Value>[] =>
  Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }));

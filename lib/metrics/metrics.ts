/**
 * `db.metrics()`: every metric in Prometheus' text format, by prom-client, in a separate registry. It answers within a
 * second in every state of the catalogue, and omits what it cannot find out in time. The engine does the counting; no
 * code here runs between two scrapes.
 */

import { Counter, Gauge, type Metric as Registered, Registry } from 'prom-client';
import { sizeOf } from '../runtime/files.ts';
import type { Engine } from '../sql/engine.ts';
import type { HistogramFigures } from '../sql/histogram.ts';
import { CATALOGUE_METRICS } from './catalogue-metrics.ts';
import { ENGINE_METRICS } from './engine-metrics.ts';
import type { FileFigures, Metric, MetricFacts, Sample, SaveCounts } from './metric-facts.ts';
import { type CatalogueFigures, catalogueFigures } from './metrics-procedures.ts';

// Together under a second: Prometheus gives up after ten, people earlier.
const ASK_MS = 600;
const STAT_MS = 200;

/** Every metric; docs/API.md lists them. */
const METRICS: readonly Metric[] = [...ENGINE_METRICS, ...CATALOGUE_METRICS];

/** The sources of metrics. */
export interface MetricsHost {
  readonly engine: Engine;
  readonly libraryVersion: string;
  /** Seconds since 1970. */
  readonly openedAt: number;
  readonly saves: () => SaveCounts;
}

const NO_SIZES = { databaseBytes: null, walBytes: null, freeDiskBytes: null };

/** Null for an unknown value: it is omitted, because a missing figure is recognised as missing. */
const orNull = <Value>(value: Promise<Value>): Promise<Value | null> => value.catch(() => null);

const sizeOrNull = async (path: string) => (await sizeOf(path)) ?? null;

/** Returns the result of the work, or `late` if it takes too long. */
async function within<Value>(ms: number, work: Promise<Value>, late: Value): Promise<Value> {
  const { promise, resolve } = Promise.withResolvers<Value>();
  const timer = setTimeout(() => resolve(late), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The metrics of one catalogue. */
export class Metrics {
  readonly #host: MetricsHost;
  readonly #registry = new Registry();
  #facts: MetricFacts | undefined;
  #asking: Promise<CatalogueFigures | null> | undefined;

  constructor(host: MetricsHost) {
    this.#host = host;
    for (const metric of METRICS) this.#register(metric);
  }

  /** The text. Never throws because of the state of the catalogue. */
  async text(): Promise<string> {
    const { engine, libraryVersion, openedAt, saves } = this.#host;
    const [catalogue, sizes] = await Promise.all([
      within(ASK_MS, this.#ask(), null),
      within(STAT_MS, this.#measure(), NO_SIZES),
    ]);
    const backup = catalogue?.maintenance.find(({ kind, ok }) => kind === 'backup' && ok === 1);
    const files = {
      ...sizes,
      backupBytes: backup?.detail ? await within(STAT_MS, sizeOrNull(backup.detail), null) : null,
    };
    const [stats, log] = [engine.stats(), engine.callLog()];
    // Collecting is synchronous, so no other scrape can replace these facts before every value is taken.
    this.#facts = { libraryVersion, openedAt, stats, log, saves: saves(), catalogue, files };
    return this.#registry.metrics();
  }

  /** Queries the database, unless an earlier scrape is still waiting: queries must not pile up. */
  #ask(): Promise<CatalogueFigures | null> {
    const { engine } = this.#host;
    if (engine.stats().state !== 'open') return Promise.resolve(null);
    this.#asking ??= orNull(engine.run(catalogueFigures, null, { signal: AbortSignal.timeout(ASK_MS) })).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #measure(): Promise<Omit<FileFigures, 'backupBytes'>> {
    const { file } = this.#host.engine;
    if (file === undefined) return NO_SIZES;
    const [figures, freeDiskBytes] = await Promise.all([orNull(file.figures()), orNull(file.freeBytes())]);
    if (figures === null || figures.identity === null) return { ...NO_SIZES, freeDiskBytes };
    const { databaseBytes, walBytes } = figures;
    return { databaseBytes, walBytes, freeDiskBytes };
  }

  #collect<Value>(values: (facts: MetricFacts) => readonly Sample<Value>[]): readonly Sample<Value>[] {
    return this.#facts === undefined ? [] : values(this.#facts);
  }

  #register(metric: Metric): void {
    const { name, help, labels, type, values } = metric;
    if (type === 'histogram') {
      const get = async () => ({
        name,
        help,
        type,
        values: this.#collect(values).flatMap((sample) => series(metric, sample)),
      });
      // The part of a metric that a registry needs: prom-client's own histogram costs 350 ns per observation and
      // accepts no counts.
      this.#registry.registerMetric({ name, get } as unknown as Registered);
      return;
    }
    const collect = () => this.#collect(values);
    const shared = { name, help, labelNames: labels, registers: [this.#registry] };
    if (type === 'gauge') {
      new Gauge({
        ...shared,
        collect() {
          empty(this, labels);
          for (const { labels: of = {}, value } of collect()) this.set(of, value);
        },
      });
      return;
    }
    new Counter({
      ...shared,
      collect() {
        this.reset();
        for (const { labels: of = {}, value } of collect()) this.inc(of, value);
      },
    });
  }
}

/** Removes all values: a reset alone leaves a metric without labels at 0, which does not mean unknown. */
function empty(metric: Gauge | Counter, labels: readonly string[]): void {
  metric.reset();
  if (labels.length === 0) metric.remove();
}

/** The lines of a histogram: the number of values up to each bound, their sum and their number. */
function series(
  { name, divisor }: Extract<Metric, { type: 'histogram' }>,
  { labels = {}, value: { bounds, counts, sum } }: Sample<HistogramFigures>,
) {
  let total = 0;
  const buckets = counts.map((count, bucket) => {
    total += count;
    const bound = bounds[bucket];
    const le = bound === undefined ? '+Inf' : String(bound / divisor);
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: total };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum / divisor },
    { metricName: `${name}_count`, labels, value: total },
  ];
}

/**
 * Reports whether the catalogue is healthy. Answers within a second in any state, and never throws: a failed question
 * is an issue, or unknown because of another issue. Reads no rows; it checks the whole file only on request, in a
 * separate process with its own deadline.
 */
import type { Logger } from 'pino';
import { DatabaseError } from '../errors.ts';
import type { Integrity } from '../maintenance/integrity.ts';
import type { EngineStats, FileFigures } from '../sql/engine.ts';
import { checkBoolean, checkObject, checkSignal, optional } from '../validation.ts';
import type { Memory } from './check.ts';
import { issueOf } from './issue.ts';
import { type Facts, gatherFacts, type Source } from './questions.ts';
import { type HealthIssue, type HealthOptions, type HealthReport, reportOf } from './report.ts';
import { lacksConnection } from './verdict.ts';

/** Milliseconds for a report without a check of the file: a second, less a margin for a busy machine. */
export const HEALTH_DEADLINE_MS = 900;

const REMEMBERED_MS = 300_000; // long enough for several scrapes to report refused calls and lost connections

/** The examined catalogue. */
export interface HealthHost extends Source {
  /** Total number of connections. */
  readonly poolSize: number;
  readonly integrity: Integrity;
  readonly logger: Logger;
  /** Stores the day's sizes, in bytes, for growth. */
  readonly recordSizes: (sizes: { readonly databaseBytes: number; readonly freeDiskBytes: number }) => Promise<void>;
}

/** Measures how much a counter has grown in the last minutes. */
class Recent {
  #seen = 0;
  #grown: readonly { readonly at: number; readonly by: number }[] = [];

  look(counter: number, at: number): number {
    if (counter > this.#seen) this.#grown = [...this.#grown, { at, by: counter - this.#seen }];
    this.#seen = counter;
    this.#grown = this.#grown.filter((growth) => at - growth.at < REMEMBERED_MS);
    return this.#grown.reduce((sum, { by }) => sum + by, 0);
  }
}

const HEALTH_KEYS = new Set(['full', 'signal']);

interface Wanted {
  readonly full: boolean;
  readonly signal: AbortSignal | undefined;
  readonly issues: readonly HealthIssue[];
}

function readOptions(options: unknown): Wanted {
  try {
    const given = checkObject(options, 'options', HEALTH_KEYS);
    const full = optional(given['full'], (value) => checkBoolean(value, 'full')) ?? false;
    return { full, signal: checkSignal(given['signal']), issues: [] };
  } catch (error) {
    return { full: false, signal: undefined, issues: [ofTheCall(issueOf(error))] };
  }
}

const ofTheCall = (issue: HealthIssue): HealthIssue => ({
  ...issue,
  hint: `${issue.hint} The fault is in the call, not the catalogue.`,
});

const refusedIn = ({ reads, writes }: EngineStats) => reads.refused + writes.refused;

/** Examines one catalogue, and keeps state between two reports. */
export class Health {
  readonly #host: HealthHost;
  readonly #refused = new Recent();
  readonly #lost = new Recent();
  #opened: string | null = null;

  constructor(host: HealthHost) {
    this.#host = host;
    // Not awaited, now or later: an unknown value is not judged.
    const remember = ({ identity }: FileFigures) => {
      this.#opened = identity;
    };
    host.engine.file?.figures().then(remember, () => undefined);
  }

  /** Never throws: even an unacceptable option is an issue. */
  async examine(options: HealthOptions = {}): Promise<HealthReport> {
    const { full, signal, issues } = readOptions(options);
    const more = [...issues, ...(full ? await this.#checkFile(signal) : [])];
    const facts = await gatherFacts(this.#host, HEALTH_DEADLINE_MS, signal);
    if (signal?.aborted) more.push(givenUp());
    this.#keepSizes(facts);
    return reportOf({ facts, thresholds: this.#host.thresholds, memory: this.#memory(facts) }, more);
  }

  #memory({ at, stats }: Facts): Memory {
    const { readers, writers } = stats; // the same pool if there is only one connection
    return {
      opened: this.#opened,
      refused: this.#refused.look(refusedIn(stats), at),
      lost: this.#lost.look(this.#host.poolSize === 1 ? writers.lost : readers.lost + writers.lost, at),
      unrecorded: this.#host.integrity.unrecorded,
      readOnly: this.#host.readOnly,
      deadlineMs: HEALTH_DEADLINE_MS,
    };
  }

  /** The history holds the verdict; returns the reason if there is none. */
  async #checkFile(signal: AbortSignal | undefined): Promise<HealthIssue[]> {
    try {
      await this.#host.integrity.check({ full: true, signal });
      return [];
    } catch (error) {
      // Other checks report a closed or missing database.
      const isTold = error instanceof DatabaseError && ['CATALOG_CLOSED', 'CATALOG_NOT_FOUND'].includes(error.code);
      return isTold || signal?.aborted ? [] : [issueOf(error)];
    }
  }

  /** Once a day, and not awaited: growth uses earlier days. */
  #keepSizes({ sizes, files, freeBytes, stats }: Facts): void {
    const { readOnly, recordSizes, logger } = this.#host;
    const isDue = 'value' in sizes && sizes.value?.hasToday === false;
    if (readOnly || stats.state !== 'open' || !isDue || !('value' in files) || !('value' in freeBytes)) return;
    const { databaseBytes } = files.value;
    recordSizes({ databaseBytes, freeDiskBytes: freeBytes.value }).catch((error: unknown) => {
      if (!lacksConnection(error)) logger.warn({ err: error }, 'could not store the sizes of the day');
    });
  }
}

const givenUp = (): HealthIssue => ({
  code: 'CATALOG_TIMEOUT',
  severity: 'warn',
  message: 'the health check was stopped before it finished',
  hint: 'Its signal fired; missing results are unknown.',
});

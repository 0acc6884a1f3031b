/**
 * Whether the catalogue is well. Promises to answer within a second in any state, and never to throw: what could not be
 * found out is an issue of the report, or unknown because of another's. Looks at no rows; a check of the whole file is only
 * done when asked for, by a process of its own with a deadline of its own.
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

/** Milliseconds a report without a check of the file may take: a second, less what a busy machine adds. */
export const HEALTH_DEADLINE_MS = 900;

const REMEMBERED_MS = 300_000; // refused calls and lost connections are told for five minutes: several looks of a monitor

/** The catalogue that is examined. */
export interface HealthHost extends Source {
  /** Connections in all. */
  readonly poolSize: number;
  readonly integrity: Integrity;
  readonly logger: Logger;
  /** Keeps the day's sizes, in bytes: growth is told from them. */
  readonly recordSizes: (sizes: { readonly databaseBytes: number; readonly freeDiskBytes: number }) => Promise<void>;
}

/** Notices by how much a counter has grown in the last minutes. */
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
  hint: `${issue.hint} The call is at fault, not the catalogue.`,
});

const refusedIn = ({ reads, writes }: EngineStats) => reads.refused + writes.refused;

/** Examines one catalogue, and remembers what it has to between two looks. */
export class Health {
  readonly #host: HealthHost;
  readonly #refused = new Recent();
  readonly #lost = new Recent();
  #opened: string | null = null;

  constructor(host: HealthHost) {
    this.#host = host;
    // Not waited for, here or later: what is not known is not judged.
    const remember = ({ identity }: FileFigures) => {
      this.#opened = identity;
    };
    host.engine.file?.figures().then(remember, () => undefined);
  }

  /** Never throws: an option that is not accepted is an issue as well. */
  async examine(options: HealthOptions = {}): Promise<HealthReport> {
    const { full, signal, issues } = readOptions(options);
    const more = [...issues, ...(full ? await this.#checkFile(signal) : [])];
    const facts = await gatherFacts(this.#host, HEALTH_DEADLINE_MS, signal);
    if (signal?.aborted) more.push(givenUp());
    this.#keepSizes(facts);
    return reportOf({ facts, thresholds: this.#host.thresholds, memory: this.#memory(facts) }, more);
  }

  #memory({ at, stats }: Facts): Memory {
    const { readers, writers } = stats; // one and the same where there is one connection in all
    return {
      opened: this.#opened,
      refused: this.#refused.look(refusedIn(stats), at),
      lost: this.#lost.look(this.#host.poolSize === 1 ? writers.lost : readers.lost + writers.lost, at),
      unrecorded: this.#host.integrity.unrecorded,
      readOnly: this.#host.readOnly,
      deadlineMs: HEALTH_DEADLINE_MS,
    };
  }

  /** The verdict is read from the history; what is returned kept it from being found. */
  async #checkFile(signal: AbortSignal | undefined): Promise<HealthIssue[]> {
    try {
      await this.#host.integrity.check({ full: true, signal });
      return [];
    } catch (error) {
      // That it is closed, or gone, other checks tell.
      const isTold = error instanceof DatabaseError && ['CATALOG_CLOSED', 'CATALOG_NOT_FOUND'].includes(error.code);
      return isTold || signal?.aborted ? [] : [issueOf(error)];
    }
  }

  /** Once a day, and not waited for: growth is told from the days before. */
  #keepSizes({ sizes, files, freeBytes, stats }: Facts): void {
    const { readOnly, recordSizes, logger } = this.#host;
    const isDue = 'value' in sizes && sizes.value?.hasToday === false;
    if (readOnly || stats.state !== 'open' || !isDue || !('value' in files) || !('value' in freeBytes)) return;
    const { databaseBytes } = files.value;
    recordSizes({ databaseBytes, freeDiskBytes: freeBytes.value }).catch((error: unknown) => {
      if (!lacksConnection(error)) logger.warn({ err: error }, 'the sizes of the day could not be kept');
    });
  }
}

const givenUp = (): HealthIssue => ({
  code: 'CATALOG_TIMEOUT',
  severity: 'warn',
  message: 'the examination was given up before it was finished',
  hint: 'Its signal fired; what is not known is unknown.',
});

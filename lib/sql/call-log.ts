/**
 * Measures an engine's calls since it was opened. It keeps names of procedures and codes of errors only: no input, no
 * result, no message.
 */
import { DatabaseError, type ErrorCode } from '../errors.ts';
import { Histogram, type HistogramFigures } from './histogram.ts';
import type { Intent } from './procedure.ts';

/** How long the calls of one procedure took to be answered, in milliseconds. */
export interface CallFigures {
  /** `other` for names that no call has succeeded with yet, so that the list never outgrows the registry. */
  readonly procedure: string;
  readonly intent: Intent;
  readonly ok: HistogramFigures;
  readonly failed: HistogramFigures;
}

/** How long transactions over several calls held a connection, in milliseconds. */
interface TransactionFigures {
  readonly intent: Intent;
  readonly committed: HistogramFigures;
  readonly rolledBack: HistogramFigures;
}

/** The queues for a connection; transactions over several calls wait in their own. */
export type Queue = 'reads' | 'writes' | 'transactions';

/** Failed calls by error: `other` is an error from outside the library, such as the reason of a signal. */
export type Failure = ErrorCode | 'other';

/** Everything that a {@link CallLog} has measured. */
export interface CallLogFigures {
  readonly calls: readonly CallFigures[];
  readonly transactions: readonly TransactionFigures[];
  /** Calls that threw, by code, including those that never reached a connection. */
  readonly failures: Readonly<Partial<Record<Failure, number>>>;
  /** How long calls waited for a connection, in milliseconds. */
  readonly waits: Readonly<Record<Queue, HistogramFigures>>;
  /** How many calls were sent together: a batch of reads on one snapshot, a group of writes in one commit. */
  readonly rounds: Readonly<Record<'batch' | 'group', HistogramFigures>>;
}

// A lookup takes 5 us of a busy engine and 70 us of an idle one, a durable commit 0.2 to 20 ms, a timeout seconds.
const DURATIONS_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1_000, 5_000, 30_000];
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const OTHER = 'other';

const durations = () => new Histogram(DURATIONS_MS);
const sizes = () => new Histogram(SIZES);

class Outcomes {
  readonly ok = durations();
  readonly failed = durations();
}

/** The measurements of one engine. */
export class CallLog {
  readonly #calls: Readonly<Record<Intent, Map<string, Outcomes>>> = { read: new Map(), write: new Map() };
  readonly #transactions: Readonly<Record<Intent, Outcomes>> = { read: new Outcomes(), write: new Outcomes() };
  readonly #failures = new Map<Failure, number>();
  readonly waits: Readonly<Record<Queue, Histogram>> = {
    reads: durations(),
    writes: durations(),
    transactions: durations(),
  };
  readonly rounds: Readonly<Record<'batch' | 'group', Histogram>> = { batch: sizes(), group: sizes() };

  /** A connection answered a call this many milliseconds after it was made. */
  answered(name: string, intent: Intent, ok: boolean, ms: number): void {
    const calls = this.#calls[intent];
    const known = calls.get(name);
    const outcomes = known ?? outcomesOf(calls, ok ? name : OTHER);
    (ok ? outcomes.ok : outcomes.failed).observe(ms);
  }

  /** A call threw, at any stage. */
  threw(error: unknown): void {
    const failure = error instanceof DatabaseError ? error.code : OTHER;
    this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1);
  }

  /** A transaction over several calls returned its connection. */
  ended(intent: Intent, committed: boolean, ms: number): void {
    const { ok, failed } = this.#transactions[intent];
    (committed ? ok : failed).observe(ms);
  }

  figures(): CallLogFigures {
    const { reads, writes, transactions } = this.waits;
    const intents = ['read', 'write'] as const;
    return {
      calls: intents.flatMap((intent) =>
        [...this.#calls[intent]].map(([name, { ok, failed }]) => ({
          procedure: name,
          intent,
          ok: ok.figures(),
          failed: failed.figures(),
        })),
      ),
      transactions: intents.map((intent) => {
        const { ok, failed } = this.#transactions[intent];
        return { intent, committed: ok.figures(), rolledBack: failed.figures() };
      }),
      failures: Object.fromEntries(this.#failures),
      waits: { reads: reads.figures(), writes: writes.figures(), transactions: transactions.figures() },
      rounds: { batch: this.rounds.batch.figures(), group: this.rounds.group.figures() },
    };
  }
}

function outcomesOf(calls: Map<string, Outcomes>, name: string): Outcomes {
  const found = calls.get(name) ?? new Outcomes();
  calls.set(name, found);
  return found;
}

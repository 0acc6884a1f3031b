/**
 * Checks of the whole file while it is in use: the routine one (every page, every index against its table, every
 * foreign key) and SQLite's complete one. Each runs in a separate process with a deadline, so that the server's
 * connections keep working; the history keeps its verdict. Verdicts that cannot be stored are remembered until the next
 * one.
 */
import { stat } from 'node:fs/promises';
import type { Logger } from 'pino';
import { DatabaseError, NotFoundError, reviveError, type WireError } from '../errors.ts';
import { runChild } from '../runtime/child-process.ts';
import { assertOpen, type CallOptions, type Engine } from '../sql/engine.ts';
import { now } from '../values/dates.ts';
import { type MaintenanceKind, type MaintenanceRecord, recordMaintenance } from './history.ts';

/** The order for the process; plain data. */
export interface IntegrityOrder {
  readonly database: string;
  readonly kind: 'routine' | 'full';
}

/** The progress of a check. */
export interface IntegrityProgress {
  /** `pages`, `index NAME`, `integrity` or `foreign keys`. */
  readonly step: string;
  /** Steps done, of `total`. */
  readonly done: number;
  readonly total: number;
}

/** What the process found. */
export interface IntegrityFindings {
  readonly problems: readonly string[];
  /** Null if damage prevented the count. */
  readonly foreignKeyViolations: number | null;
}

/** A line the process prints. */
export type IntegrityLine =
  | IntegrityProgress
  | { readonly findings: IntegrityFindings }
  | { readonly error: WireError };

/** The verdict on the whole file. */
export interface IntegrityReport {
  /** Whether the file is sound; violated foreign keys damage no page and do not count here. */
  readonly ok: boolean;
  /** Messages of SQLite and of this library; empty for a sound file. */
  readonly problems: string[];
  /** Rows that reference a missing row; null if damage prevented the count. */
  readonly foreignKeyViolations: number | null;
  /** Whether it was SQLite's complete `integrity_check`, which also proves that each index holds the right rows. */
  readonly full: boolean;
  readonly startedAt: string;
  readonly durationMs: number;
}

export interface IntegrityOptions extends CallOptions {
  /** Run SQLite's complete `integrity_check`, which takes about ten times as long. Default false. */
  readonly full?: boolean | undefined;
  /** Called when a step begins and when the last one has ended. */
  readonly onProgress?: ((progress: IntegrityProgress) => void) | undefined;
}

/** The catalogue that is checked. */
export interface IntegrityHost {
  readonly engine: Engine;
  readonly database: string;
  readonly readOnly: boolean;
  readonly logger: Logger;
  /** Milliseconds a check may take. */
  readonly deadlineMs: number;
}

const RECORD_MS = 5_000; // a verdict is not worth waiting longer for a busy writer

const late = ({ database }: IntegrityOrder, deadlineMs: number) =>
  new DatabaseError('CATALOG_TIMEOUT', `the check of ${database} did not finish within ${deadlineMs} ms`, {
    hint: 'The file is large or the disk is slow: raise thresholds.checkMs. No problem was found.',
  });

interface Run {
  readonly deadlineMs: number;
  readonly onProgress: (progress: IntegrityProgress) => void;
  readonly signal: AbortSignal | undefined;
}

/** Runs the process to its end, or kills it: at the deadline, on the signal, or if the listener threw. */
async function runProcess(order: IntegrityOrder, { deadlineMs, onProgress, signal }: Run): Promise<IntegrityFindings> {
  const failed = `could not check ${order.database}`;
  const answer = (await runChild({
    script: 'maintenance/integrity-process',
    order,
    deadlineMs,
    late: () => late(order, deadlineMs),
    failed,
    signal,
    onLine: (line) => {
      if ('step' in line) onProgress(line as IntegrityProgress);
    },
  })) as IntegrityLine;
  if ('error' in answer) throw reviveError(answer.error);
  if ('findings' in answer) return answer.findings;
  throw new DatabaseError('CATALOG_IO', failed);
}

/** Checks a catalogue and remembers the verdicts. */
export class Integrity {
  readonly #host: IntegrityHost;
  readonly #unrecorded = new Map<MaintenanceKind, MaintenanceRecord>();

  constructor(host: IntegrityHost) {
    this.#host = host;
  }

  /** The last verdicts that could not be stored in the history. */
  get unrecorded(): ReadonlyMap<MaintenanceKind, MaintenanceRecord> {
    return this.#unrecorded;
  }

  /**
   * Checks the whole file.
   * @throws {DatabaseError} CATALOG_TIMEOUT after the deadline, CATALOG_NOT_FOUND if the file is gone, CATALOG_CLOSED,
   *   CATALOG_BUSY, CATALOG_IO; the reason of the signal. There is no verdict then
   */
  async check({ full = false, onProgress = () => undefined, signal }: IntegrityOptions): Promise<IntegrityReport> {
    const { engine, database, deadlineMs, logger } = this.#host;
    signal?.throwIfAborted();
    assertOpen(engine);
    await assertThere(database);
    const [startedAt, start] = [now(), performance.now()];
    const order: IntegrityOrder = { database, kind: full ? 'full' : 'routine' };
    const { problems, foreignKeyViolations } = await runProcess(order, { deadlineMs, onProgress, signal });
    const durationMs = Math.round(performance.now() - start);
    const ok = problems.length === 0;
    const record = { startedAt, durationMs };
    await this.#record({ ...record, kind: full ? 'integrity' : 'check', ok, detail: problems.join('; ') || null });
    if (foreignKeyViolations !== null) {
      const detail = foreignKeyViolations === 0 ? null : String(foreignKeyViolations);
      await this.#record({ ...record, kind: 'foreign-keys', ok: foreignKeyViolations === 0, detail });
    }
    logger.info({ kind: order.kind, ok, problems: problems.length, foreignKeyViolations, durationMs }, 'checked');
    return { ok, problems: [...problems], foreignKeyViolations, full, startedAt, durationMs };
  }

  // The verdict still counts: damage may be the very reason why the file cannot be written.
  async #record(record: MaintenanceRecord): Promise<void> {
    const { engine, readOnly, logger } = this.#host;
    try {
      if (!readOnly) {
        await engine.run(recordMaintenance, record, { signal: AbortSignal.timeout(RECORD_MS) });
        this.#unrecorded.delete(record.kind);
        return;
      }
    } catch (error) {
      logger.warn({ err: error, kind: record.kind }, 'could not store the verdict of a check');
    }
    this.#unrecorded.set(record.kind, record);
  }
}

async function assertThere(database: string): Promise<void> {
  try {
    await stat(database);
  } catch (cause) {
    throw new NotFoundError(database, { cause, hint: 'The file was removed or moved while it was open.' });
  }
}

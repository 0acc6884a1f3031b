/**
 * Audits recount figures from the rows. Each outcome goes into the maintenance history, so that health can report when
 * an audit ran and what it found.
 */
import type { Logger } from 'pino';
import type { Executor } from '../sql/engine.ts';
import { now } from '../values/dates.ts';
import { type MaintenanceRecord, recordMaintenance } from './history.ts';

/** What is recounted, and its name in messages. */
const AUDITED = { 'quota-audit': 'quotas', 'totals-audit': 'totals' } as const;

/** A finished audit. */
interface AuditOutcome {
  readonly kind: keyof typeof AUDITED;
  readonly startedAt: string;
  readonly durationMs: number;
  /** Figures that differ from the rows and were not repaired. */
  readonly differences: number;
}

const recordOf = ({ kind, startedAt, durationMs, differences }: AuditOutcome): MaintenanceRecord => ({
  kind,
  startedAt,
  durationMs,
  ok: differences === 0,
  detail: differences === 0 ? null : `${differences} ${AUDITED[kind]} that differ`,
});

/** The catalogue that is audited. */
export interface AuditHost {
  readonly readOnly: boolean;
  readonly logger: Logger;
}

/** Records the audits of one catalogue. */
export class AuditRecorder {
  readonly #host: AuditHost;

  constructor(host: AuditHost) {
    this.#host = host;
  }

  /**
   * Runs an audit and records its outcome through the same executor. An audit that throws has no outcome; a failure to
   * record the outcome is only logged, because the result is still right.
   */
  async record<Result>(
    executor: Executor,
    kind: AuditOutcome['kind'],
    audit: () => Promise<Result>,
    differencesIn: (result: Result) => number,
  ): Promise<Result> {
    const [startedAt, start] = [now(), performance.now()];
    const result = await audit();
    const { readOnly, logger } = this.#host;
    if (readOnly) return result;
    const durationMs = performance.now() - start;
    const row = recordOf({ kind, startedAt, durationMs, differences: differencesIn(result) });
    await executor.run(recordMaintenance, row).catch((error: unknown) => {
      logger.warn({ err: error, kind }, 'could not record the outcome of an audit');
    });
    return result;
  }
}

/** What health, audits and the checks of the whole file are told of an open catalogue, by parts of it they may not import. */
import { recordSizes } from '../analytics/storage-procedures.ts';
import { Health } from '../health/health.ts';
import { auditRecord, recordMaintenance } from '../maintenance/history.ts';
import { Integrity } from '../maintenance/integrity.ts';
import { standingOf } from '../migrations/journal.ts';
import { schemaState } from '../migrations/schema-state.ts';
import { dayOf, now } from '../values/dates.ts';
import type { ModuleContext } from './modules.ts';
import type { OpenedFile } from './open.ts';

/** The checks of an open catalogue. */
export function createIntegrity({ engine, options, logger }: OpenedFile): Integrity {
  const { database, readOnly, thresholds } = options;
  const log = logger.child({ module: 'health' });
  return new Integrity({ engine, database, readOnly, logger: log, deadlineMs: thresholds.checkMs });
}

/** The health of an open catalogue. */
export function createHealth({ engine, options, logger }: OpenedFile, integrity: Integrity): Health {
  const { database, readOnly, thresholds, poolSize } = options;
  return new Health({
    engine,
    database,
    readOnly,
    poolSize,
    thresholds,
    integrity,
    logger: logger.child({ module: 'health' }),
    standing: async (call) => standingOf(await engine.run(schemaState, null, call)),
    recordSizes: async (sizes) => {
      const measuredAt = now();
      const day = { date: dayOf(measuredAt), measuredAt, storageBytes: null };
      await engine.run(recordSizes, { ...sizes, ...day });
    },
  });
}

/** Keeps when figures were counted anew; what cannot be kept is logged, since the count is right all the same. */
export const auditKeeper =
  ({ options, logger }: OpenedFile): ModuleContext['onAudited'] =>
  async (executor, outcome) => {
    if (options.readOnly) return;
    await executor.run(recordMaintenance, auditRecord(outcome)).catch((error: unknown) => {
      logger.child({ module: 'health' }).warn({ err: error, kind: outcome.kind }, 'an audit could not be kept');
    });
  };

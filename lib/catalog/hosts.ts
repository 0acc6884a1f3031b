/** What health, audits and the checks of the whole file are told of an open catalogue, by parts of it they may not import. */
import { recordSizes } from '../analytics/storage-procedures.ts';
import { Health } from '../health/health.ts';
import type { HealthIssue } from '../health/report.ts';
import { auditRecord, recordMaintenance } from '../maintenance/history.ts';
import { Integrity } from '../maintenance/integrity.ts';
import { standingOf } from '../migrations/journal.ts';
import { schemaState } from '../migrations/schema-state.ts';
import { secondName } from '../pool/file-place.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import { now } from '../values/dates.ts';
import { foreignTriggersOf, named } from './foreign-triggers.ts';
import type { ModuleContext } from './modules.ts';
import type { OpenedFile } from './open.ts';

/** The checks of an open catalogue. */
export function createIntegrity({ engine, options, logger }: OpenedFile): Integrity {
  const { database, readOnly, thresholds } = options;
  const log = logger.child({ module: 'health' });
  return new Integrity({ engine, database, readOnly, logger: log, deadlineMs: thresholds.checkMs });
}

const warning = (code: HealthIssue['code'], message: string, hint: string): HealthIssue => ({
  code,
  severity: 'warn',
  message,
  hint,
});

async function nameIssues(database: string): Promise<HealthIssue[]> {
  const second = await secondName(database);
  if (second === undefined) return [];
  const message = `${second.message}: changes of one are lost to the other`;
  return [warning('HEALTH_SECOND_NAME', message, second.hint)];
}

async function triggerIssues(engine: Executor, call: CallOptions): Promise<HealthIssue[]> {
  const triggers = await foreignTriggersOf(engine, call);
  if (triggers.length === 0) return [];
  const message = `triggers that this release did not make are on tables of the catalogue: ${named(triggers)}`;
  const hint = 'They run with every change. All is well if they are yours and end; drop those that you do not know.';
  return [warning('HEALTH_FOREIGN_TRIGGER', message, hint)];
}

/** What health cannot know by itself; what cannot be asked now is left out. */
async function remarksOf(database: string, engine: Executor, call: CallOptions): Promise<HealthIssue[]> {
  const found = await Promise.allSettled([nameIssues(database), triggerIssues(engine, call)]);
  return found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
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
    remarks: (call) => remarksOf(database, engine, call),
    standing: async (call) => standingOf(await engine.run(schemaState, null, call)),
    recordSizes: async (sizes) => {
      const measuredAt = now();
      const day = { date: measuredAt.slice(0, 10), measuredAt, storageBytes: null };
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

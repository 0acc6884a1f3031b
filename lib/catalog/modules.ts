/** The modules a catalogue hands out, over an engine or over the connection of a transaction. */
import { type Analytics, createAnalytics, type Surroundings } from '../analytics/analytics.ts';
import { type Categories, createCategories } from '../core/categories.ts';
import { type Clients, createClients } from '../core/clients.ts';
import { createFiles, type Files } from '../core/files.ts';
import { createRawSql, type RawSql, type ReadApart } from '../core/raw-sql.ts';
import type { Stored } from '../core/save-file.ts';
import { createVersions, type Versions } from '../core/versions.ts';
import { DatabaseError } from '../errors.ts';
import type { AuditOutcome } from '../maintenance/history.ts';
import { standingOf } from '../migrations/journal.ts';
import { schemaState } from '../migrations/schema-state.ts';
import { createQuotas, type Quotas } from '../quota/quotas.ts';
import { createSearch, type Search } from '../search/search.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import { isProcedure, type Procedure } from '../sql/procedure.ts';
import { checkCallOptions, refuse } from '../validation.ts';
import { now } from '../values/dates.ts';

/** What works on `db` and, inside a transaction, on `tx` alike. */
export interface CatalogModules extends RawSql {
  readonly clients: Clients;
  readonly files: Files & Search;
  readonly versions: Versions;
  readonly categories: Categories;
  readonly quotas: Quotas;
  readonly analytics: Analytics;
  /**
   * Runs a procedure of the caller's own, from a module given in the option `procedureModules`.
   * @throws what the procedure throws; nothing was changed then
   */
  run<Input, Output>(procedure: Procedure<Input, Output>, input: Input, options?: CallOptions): Promise<Output>;
}

/** What the modules need beside something that runs procedures. */
export interface ModuleContext extends Surroundings {
  readonly defaultQuotaBytes: number | null;
  /** Hears of each save: of one on `db` once it is committed. */
  readonly onSaved: (stored: Stored) => void;
  /** Runs a read in a process of its own; left out inside a transaction, whose changes no process sees. */
  readonly readApart?: ReadApart | undefined;
  /** Keeps that figures were counted anew, through the executor that counted them; never throws. */
  readonly onAudited: (executor: Executor, outcome: AuditOutcome) => Promise<void>;
}

/** Counts anew and has it kept; counting that fails is no audit. */
async function audited<Result>(
  kind: AuditOutcome['kind'],
  count: () => Promise<Result>,
  differencesIn: (result: Result) => number,
  keep: (outcome: AuditOutcome) => Promise<void>,
): Promise<Result> {
  const [startedAt, start] = [now(), performance.now()];
  const result = await count();
  await keep({ kind, startedAt, durationMs: performance.now() - start, differences: differencesIn(result) });
  return result;
}

/** The error itself, or that the schema was changed under an open catalogue, where that is why. */
async function explained(error: unknown, executor: Executor): Promise<unknown> {
  if (!(error instanceof DatabaseError) || error.code !== 'CATALOG_SQL') return error;
  const state = await executor.run(schemaState, null).catch(() => undefined); // then the error itself says most
  const problem = state === undefined ? undefined : standingOf(state).problem;
  if (problem === undefined) return error;
  return new DatabaseError(problem.code, problem.message, { hint: problem.hint, cause: error });
}

/** Runs procedures of this library: no statement of theirs is wrong on the schema they were written for. */
const explaining = (executor: Executor): Executor => ({
  run: async (procedure, input, options) => {
    try {
      return await executor.run(procedure, input, options);
    } catch (error) {
      throw await explained(error, executor);
    }
  },
});

/** Every module over one executor; each call's options are checked before anything is queued. */
export function createModules(executor: Executor, context: ModuleContext): CatalogModules {
  const checked: Executor = {
    run: async (procedure, input, options) => executor.run(procedure, input, checkCallOptions(options)),
  };
  const ours = explaining(checked);
  const quotas = createQuotas(ours, context.onSaved);
  const analytics = createAnalytics(ours, context);
  const keep = (outcome: AuditOutcome) => context.onAudited(executor, outcome);
  return {
    ...createRawSql(checked, context.readApart),
    clients: createClients(ours, context.defaultQuotaBytes),
    files: { ...createFiles(ours, context.onSaved), ...createSearch(ours) },
    versions: createVersions(ours),
    categories: createCategories(ours),
    quotas: {
      ...quotas,
      audit: (options) =>
        audited(
          'quota-audit',
          () => quotas.audit(options),
          ({ clients, repaired }) => clients.length - repaired,
          keep,
        ),
    },
    analytics: {
      ...analytics,
      audit: (options) =>
        audited(
          'totals-audit',
          () => analytics.audit(options),
          ({ differences, repaired }) => differences.length - repaired,
          keep,
        ),
    },
    run: async (procedure, input, options) =>
      isProcedure(procedure) ? checked.run(procedure, input, options) : refuse('procedure', procedure, 'a procedure'),
  };
}

/** The modules of a catalogue, on an engine or on the connection of a transaction. */
import { type Analytics, analyticsOf, type Surroundings } from '../analytics/analytics.ts';
import { type Categories, categoriesOf } from '../core/categories.ts';
import { type Clients, clientsOf } from '../core/clients.ts';
import { type Files, filesOf } from '../core/files.ts';
import { type RawSql, type ReadApart, rawSqlOf } from '../core/raw-sql.ts';
import type { Stored } from '../core/save-file.ts';
import { type Versions, versionsOf } from '../core/versions.ts';
import type { AuditRecorder } from '../maintenance/audits.ts';
import { type Quotas, quotasOf } from '../quota/quotas.ts';
import { type Search, searchOf } from '../search/search.ts';
import type { Dialect } from '../sql/dialect.ts';
import type { CallOptions } from '../sql/engine.ts';
import { isProcedure, type Procedure } from '../sql/procedure.ts';
import { refuse } from '../validation.ts';
import type { CatalogExecutor } from './executor.ts';

/** The calls of `db` that also work on `tx`, inside a transaction. */
export interface CatalogModules extends RawSql {
  /** The machines that are backed up, and their keys. */
  readonly clients: Clients;
  /** The files that the server received, each with its current version. */
  readonly files: Files & Search;
  /** The versions of files: list them, choose the current one, prune them by a policy. */
  readonly versions: Versions;
  /** Categories of files and their extensions. */
  readonly categories: Categories;
  /** Limits of clients, and reservations for uploads. */
  readonly quotas: Quotas;
  /** Statistics: what the catalogue holds, its activity, its growth and forecasts. */
  readonly analytics: Analytics;
  /**
   * Runs a procedure of the caller, from a module listed in the option `procedureModules`.
   * @throws what the procedure throws; nothing was changed then
   */
  run<Input, Output>(procedure: Procedure<Input, Output>, input: Input, options?: CallOptions): Promise<Output>;
}

/**
 * What the modules need besides an executor.
 * @internal
 */
export interface ModuleContext extends Surroundings {
  readonly defaultQuotaBytes: number | null;
  readonly dialect: Dialect;
  /** Whether all calls run in one transaction, which cannot be divided. */
  readonly inTransaction: boolean;
  /** Called after each save; on `db`, after its commit. */
  readonly onSaved: (stored: Stored) => void;
  readonly audits: AuditRecorder;
  /** Runs a read in a separate process; omitted inside a transaction, whose changes no other process sees. */
  readonly readApart?: ReadApart | undefined;
}

/**
 * Builds every module on one executor. The methods are independent functions, which also work when detached from their
 * module.
 * @internal
 */
export function modulesOf(executor: CatalogExecutor, context: ModuleContext): CatalogModules {
  const { defaultQuotaBytes, dialect, inTransaction, onSaved, audits, readApart } = context;
  const { unexplained } = executor;
  const quotas = quotasOf(executor, onSaved);
  const analytics = analyticsOf(executor, context);
  return {
    ...rawSqlOf(unexplained, dialect, readApart),
    clients: clientsOf(executor, { defaultQuotaBytes, inTransaction }),
    files: { ...filesOf(executor, onSaved), ...searchOf(executor) },
    versions: versionsOf(executor),
    categories: categoriesOf(executor),
    quotas: {
      ...quotas,
      audit: (options) =>
        audits.record(
          executor,
          'quota-audit',
          () => quotas.audit(options),
          ({ clients, repaired }) => clients.length - repaired,
        ),
    },
    analytics: {
      ...analytics,
      audit: (options) =>
        audits.record(
          executor,
          'totals-audit',
          () => analytics.audit(options),
          ({ differences, repaired }) => differences.length - repaired,
        ),
    },
    run: async (procedure, input, options) =>
      isProcedure(procedure)
        ? unexplained.run(procedure, input, options)
        : refuse('procedure', procedure, 'a procedure'),
  };
}

/** The modules that a catalogue hands out, over an engine or over the connection of a transaction. */
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

/** What works on `db` and, inside a transaction, on `tx` alike. */
export interface CatalogModules extends RawSql {
  /** The machines that are backed up, and their keys. */
  readonly clients: Clients;
  /** What the server has received, each file with its current version. */
  readonly files: Files & Search;
  /** Every version of a file, which one is current, and which ones a policy keeps. */
  readonly versions: Versions;
  /** What kinds of files there are, and which extensions belong to each. */
  readonly categories: Categories;
  /** How much each client may store, and room that is held for uploads. */
  readonly quotas: Quotas;
  /** What the catalogue holds, what happened when, and when it will be full. */
  readonly analytics: Analytics;
  /**
   * Runs a procedure of the caller's own, from a module given in the option `procedureModules`.
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
  /** Whether everything happens in one transaction, which no call can divide. */
  readonly inTransaction: boolean;
  /** Is told of each save; on `db`, once it is committed. */
  readonly onSaved: (stored: Stored) => void;
  readonly audits: AuditRecorder;
  /** Runs a read in a process of its own; left out inside a transaction, whose changes no other process sees. */
  readonly readApart?: ReadApart | undefined;
}

/**
 * Builds every module over one executor. The methods are functions of their own: they work when they are taken off their
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

/**
 * Runs migrations in one transaction, which holds the write lock of the file. umzug orders them, each runs with its
 * journal row, and progress is reported meanwhile. The transaction stores all of them or none.
 */
import { hostname, userInfo } from 'node:os';
import type { Umzug } from 'umzug';
import { DatabaseError } from '../errors.ts';
import { reportAdoption } from '../legacy/adoption/adopt-rows.ts';
import type { MigrationProgress } from '../options/types.ts';
import { LIBRARY_VERSION } from '../runtime/version.ts';
import { baseSchema } from '../schema/base-schema.ts';
import { type Direction, type Migration, orderedName, type Work, type WorkContext } from '../schema/migration.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import { ADOPTED } from './journal.ts';
import { MIGRATIONS } from './migration-list.ts';
import { isApplied, recordMigration, runStatements } from './migration-procedures.ts';
import { schemaState } from './schema-state.ts';

/** A completed migration. */
export interface RanMigration {
  readonly version: number;
  readonly name: string;
  readonly durationMs: number;
}

export interface RunSettings extends CallOptions {
  readonly context: WorkContext;
  /** Refuse undeclared statements that can lose data. */
  readonly block: boolean;
  readonly onProgress?: ((progress: MigrationProgress) => void) | undefined;
}

const whoAmI = () => {
  try {
    return `${userInfo().username}@${hostname()} (process ${process.pid})`;
  } catch {
    return `process ${process.pid}`; // the user id has no name, as in many containers
  }
};

const add = (totals: Record<string, number>, counts: Readonly<Record<string, number>>) => {
  for (const [kind, by] of Object.entries(counts)) if (by > 0) totals[kind] = (totals[kind] ?? 0) + by;
};

/** A run; `ran` and `counts` hold its results. */
export class MigrationRun {
  readonly ran: RanMigration[] = [];
  /** Counts of affected rows, by kind. */
  readonly counts: Record<string, number> = {};
  readonly #connection: Executor;
  readonly #settings: RunSettings;
  readonly #start = performance.now();

  constructor(connection: Executor, settings: RunSettings) {
    this.#connection = connection;
    this.#settings = settings;
  }

  /** Runs one migration with its journal row. */
  async apply(migration: Migration, direction: Direction): Promise<void> {
    const { version, name } = migration;
    const start = performance.now();
    const adopted = direction === 'up' ? await this.#up(migration) : await this.#down(migration);
    const durationMs = Math.round(performance.now() - start);
    const appliedBy = `${adopted}${whoAmI()}`;
    const record = { version, direction, appliedBy, libraryVersion: LIBRARY_VERSION, durationMs };
    await this.#connection.run(recordMigration, record);
    this.ran.push({ version, name, durationMs });
  }

  /** Returns the author for the journal: an old server applied this version, or should have. */
  async #up(migration: Migration): Promise<string> {
    const complete = this.#settings.context.legacy && migration.version < baseSchema.length;
    const made = await this.#statements(migration, 'up', complete);
    const counts = await this.#work(migration, 'up');
    if (migration.work !== undefined) {
      await this.#connection.run(reportAdoption, { context: this.#settings.context, counts });
    }
    add(this.counts, counts);
    if (!complete) return '';
    return made === 0 ? `${ADOPTED} as it was: ` : `${ADOPTED} and completed: `;
  }

  async #down(migration: Migration): Promise<string> {
    add(this.counts, await this.#work(migration, 'down'));
    await this.#statements(migration, 'down', false);
    return '';
  }

  #statements({ version, name }: Migration, direction: Direction, complete: boolean): Promise<number> {
    this.#settings.signal?.throwIfAborted();
    this.#tell({ version, name, step: 'statements', done: 0, total: 0 });
    return this.#connection.run(runStatements, { version, direction, complete, block: this.#settings.block });
  }

  async #work(migration: Migration, direction: Direction): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const work of migration.work?.[direction] ?? []) await this.#workThrough(migration, direction, work, counts);
    return counts;
  }

  async #workThrough(
    migration: Migration,
    direction: Direction,
    work: Work,
    counts: Record<string, number>,
  ): Promise<void> {
    const { version, name, declares } = migration;
    const { context, block, signal } = this.#settings;
    const watch = { migration: `${version} (${name})`, declared: block ? (declares?.[direction] ?? []) : null };
    let state: unknown = null;
    let isFinished = false;
    while (!isFinished) {
      signal?.throwIfAborted();
      const result = await this.#connection.run(work, { context, state, watch });
      ({ state, finished: isFinished } = result);
      add(counts, result.counts);
      this.#tell({ version, name, step: work.name, done: result.done, total: result.total });
    }
  }

  #tell(progress: Omit<MigrationProgress, 'elapsedMs'>): void {
    this.#settings.onProgress?.({ ...progress, elapsedMs: Math.round(performance.now() - this.#start) });
  }
}

/** The migrations in umzug's form, and our journal in the form that umzug reads. */
export async function umzugOver(
  apply: (migration: Migration, direction: Direction) => Promise<void>,
  executor: Executor,
): Promise<Umzug<Executor>> {
  const { Umzug } = await import('umzug');
  return new Umzug<Executor>({
    migrations: MIGRATIONS.map((migration) => ({
      name: orderedName(migration),
      up: () => apply(migration, 'up'),
      down: () => apply(migration, 'down'),
    })),
    context: executor,
    storage: journalStorage(executor),
    logger: undefined,
  });
}

/** Our journal as umzug's storage: umzug reads it, and instead of writing, verifies the row that is already written. */
function journalStorage(executor: Executor) {
  const verify = async (name: string, wanted: boolean) => {
    const found = await executor.run(isApplied, Number.parseInt(name, 10));
    if (found !== wanted) throw new DatabaseError('CATALOG_MIGRATION_FAILED', `${name} did not change the journal`);
  };
  return {
    executed: async () => (await executor.run(schemaState, null)).journal.map(orderedName),
    logMigration: ({ name }: { name: string }) => verify(name, true),
    unlogMigration: ({ name }: { name: string }) => verify(name, false),
  };
}

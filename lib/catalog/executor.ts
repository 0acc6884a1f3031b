/** Runs the calls of a catalogue's modules on an engine or on the connection of a transaction. */
import { DatabaseError } from '../errors.ts';
import { standingOf } from '../migrations/journal.ts';
import { schemaState } from '../migrations/schema-state.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import type { Procedure } from '../sql/procedure.ts';
import { checkCallOptions } from '../validation.ts';

/** Checks the options of each call before queueing it, and explains errors caused by the schema. */
export class CatalogExecutor implements Executor {
  readonly #executor: Executor;

  /** Runs the caller's SQL and procedures. They may be wrong on any schema, so their errors are not explained. */
  readonly unexplained: Executor;

  constructor(executor: Executor) {
    this.#executor = executor;
    this.unexplained = {
      run: async (procedure, input, options) => executor.run(procedure, input, checkCallOptions(options)),
    };
  }

  /**
   * Runs a procedure of this library. Its statements are right for its schema, so if SQLite refuses one, another
   * process has changed the schema since the catalogue was opened, and the error says so.
   */
  async run<Input, Output>(procedure: Procedure<Input, Output>, input: Input, options?: CallOptions): Promise<Output> {
    try {
      return await this.#executor.run(procedure, input, checkCallOptions(options));
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  async #explained(error: unknown): Promise<unknown> {
    if (!(error instanceof DatabaseError) || error.code !== 'CATALOG_SQL') return error;
    // If the schema cannot be read either, the original error says most.
    const state = await this.#executor.run(schemaState, null).catch(() => undefined);
    const problem = state === undefined ? undefined : standingOf(state).problem;
    if (problem === undefined) return error;
    return new DatabaseError(problem.code, problem.message, { hint: problem.hint, cause: error });
  }
}

/**
 * Finishes the work that closed or killed processes left: files to index, and clients marked for deletion. Opening
 * checks for such work and does it between the caller's writes.
 */
import type { Logger } from 'pino';
import { finishLeftDeletions, leftDeletions } from '../core/client-deletion.ts';
import { DatabaseError } from '../errors.ts';
import { catchUpIndex, hasBacklog } from '../search/search-index.ts';
import type { Engine } from '../sql/engine.ts';

interface LeftWork {
  readonly module: string;
  readonly failed: string;
  isLeft(engine: Engine): Promise<boolean>;
  finish(engine: Engine): Promise<unknown>;
}

const INDEXING: LeftWork = {
  module: 'search',
  failed: 'could not bring the search index up to date',
  isLeft: (engine) => engine.run(hasBacklog, null),
  // Each portion is a separate short write, so opening does not wait for a million files. Searches stay exact.
  async finish(engine) {
    for (let isLeft = true; isLeft; ) isLeft = await engine.run(catchUpIndex, null);
  },
};

const DELETIONS: LeftWork = {
  module: 'clients',
  failed: 'could not finish the deletion of a client',
  isLeft: async (engine) => (await leftDeletions(engine)).length > 0,
  finish: finishLeftDeletions,
};

interface OpenedCatalog {
  readonly engine: Engine;
  logger(module: string): Logger;
}

async function begin(catalog: OpenedCatalog, { module, failed, isLeft, finish }: LeftWork): Promise<void> {
  const log = (err: unknown) => {
    const isClosed = err instanceof DatabaseError && err.code === 'CATALOG_CLOSED'; // the next opening finishes it
    if (!isClosed) catalog.logger(module).warn({ err }, failed);
  };
  try {
    if (await isLeft(catalog.engine)) void finish(catalog.engine).catch(log);
  } catch (error) {
    log(error);
  }
}

/**
 * Starts to finish the work. Resolves when it is known whether there is any: next to the first calls of the caller,
 * these questions would open a second connection. Never throws; failures are logged.
 */
export async function beginLeftWork(catalog: OpenedCatalog): Promise<void> {
  for (const work of [INDEXING, DELETIONS]) await begin(catalog, work);
}

/**
 * Works off what waits to be indexed after a catalogue was migrated, or its index rebuilt: portion by portion, each a
 * short write of its own among those of others, so that opening does not wait for a million files. Searches are exact
 * meanwhile and grow faster. What is left when the catalogue is closed is finished when it is opened next.
 */
import { DatabaseError } from '../errors.ts';
import type { Executor } from '../sql/engine.ts';
import { catchUpIndex, hasBacklog } from './search-index.ts';

const isClosed = (error: unknown) => error instanceof DatabaseError && error.code === 'CATALOG_CLOSED';

/** Begins to work off the backlog, if there is one; never throws. */
export async function workOffBacklog(executor: Executor, onError: (error: unknown) => void): Promise<void> {
  try {
    let isLeft = await executor.run(hasBacklog, null);
    while (isLeft) isLeft = await executor.run(catchUpIndex, null);
  } catch (error) {
    if (!isClosed(error)) onError(error);
  }
}

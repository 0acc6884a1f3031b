/** The owner's side of an exclusively held database. exclusive-thread.ts does the work. */
import { DatabaseError, reviveError, type WireError } from '../../errors.ts';
import { startThread } from '../../runtime/thread.ts';
import type { ContentMark } from '../marks.ts';

/** The order for the thread. */
export interface ExclusiveOrder {
  readonly path: string;
  /** Milliseconds to wait until nobody else has the database open. */
  readonly waitMs: number;
  /** One Int32; any value except 0 makes the thread release the database. */
  readonly gate: SharedArrayBuffer;
}

/** The answers of the thread. */
export type ExclusiveMessage =
  | { readonly kind: 'held'; readonly found: ContentMark }
  | { readonly kind: 'failed'; readonly error: WireError };

type Outcome<Result> = { readonly value: Result } | { readonly error: unknown };

/**
 * Runs `use` while nobody else has a database open or can open it, even if it is renamed meanwhile.
 * @throws what `use` throws; an SQLite error or CATALOG_BUSY if exclusive access is impossible
 */
export function whileExclusive<Result>(
  path: string,
  waitMs: number,
  use: (found: ContentMark) => Promise<Result>,
): Promise<Result> {
  const gate = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const data: ExclusiveOrder = { path, waitMs, gate };
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const worker = startThread('backup/restore/exclusive-thread', { name: 'catalog-exclusive', data });
  let outcome: Outcome<Result> | undefined;
  const work = async (found: ContentMark) => {
    outcome = await use(found).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    const state = new Int32Array(gate);
    Atomics.store(state, 0, 1);
    Atomics.notify(state, 0);
  };
  worker.on('message', (message: ExclusiveMessage) => {
    if (message.kind === 'held') void work(message.found);
    else outcome ??= { error: reviveError(message.error) };
  });
  worker.on('error', (error) => {
    outcome ??= { error };
  });
  // Its connection is closed only now.
  worker.on('exit', () => {
    outcome ??= { error: new DatabaseError('CATALOG_IO', `the thread that kept ${path} ended early`) };
    if ('value' in outcome) resolve(outcome.value);
    else reject(outcome.error);
  });
  return promise;
}

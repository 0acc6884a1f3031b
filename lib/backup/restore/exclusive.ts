/** The owner's side of a database that is kept from everybody else: see exclusive-thread.ts for how. */
import { DatabaseError, reviveError, type WireError } from '../../errors.ts';
import { startThread } from '../../runtime/thread.ts';
import type { ContentMark } from '../marks.ts';

/** What the thread is told. */
export interface ExclusiveOrder {
  readonly path: string;
  /** Milliseconds to wait until nobody else has the database open. */
  readonly waitMs: number;
  /** One Int32; the thread lets go when it is not 0. */
  readonly gate: SharedArrayBuffer;
}

/** What the thread answers. */
export type ExclusiveMessage =
  | { readonly kind: 'held'; readonly found: ContentMark }
  | { readonly kind: 'failed'; readonly error: WireError };

type Outcome<Result> = { readonly value: Result } | { readonly error: unknown };

/**
 * Works while nobody else has a database open, or can open it: under whatever name it gets meanwhile.
 * @throws what `use` throws; SQLite's own error, or CATALOG_BUSY, when the database could not be had for oneself
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
  // Only then is its connection closed.
  worker.on('exit', () => {
    outcome ??= { error: new DatabaseError('CATALOG_IO', `the thread that kept ${path} ended early`) };
    if ('value' in outcome) resolve(outcome.value);
    else reject(outcome.error);
  });
  return promise;
}

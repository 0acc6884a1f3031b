/**
 * Saving a stream of files: rows are taken as fast as the writer commits them, so that a source of any length needs
 * little memory, and a bad row costs only itself.
 */
import { DatabaseError } from '../errors.ts';
import type { SaveResult } from './save-file.ts';

const WINDOW = 512; // rows under way at once: a full group and no more
const PROGRESS_EVERY = 256; // rows between two reports

/** How far a stream has come, in rows. */
export interface SaveProgress {
  readonly saved: number;
  readonly unchanged: number;
  readonly failed: number;
}

/** What became of a stream of files. */
export interface SaveManyResult {
  /** Versions stored. */
  readonly saved: number;
  /** Rows that `ifChanged` found nothing new in. */
  readonly unchanged: number;
  /** Rows that were refused, in the order given; `index` counts from 0. */
  readonly failed: { readonly index: number; readonly error: DatabaseError }[];
}

/** After these no later row can fare better. */
const HOPELESS: ReadonlySet<string> = new Set([
  'CATALOG_CLOSED',
  'CATALOG_CORRUPT',
  'CATALOG_FULL',
  'CATALOG_IO',
  'CATALOG_READ_ONLY',
]);

const endsTheStream = (error: unknown) =>
  !(error instanceof DatabaseError) || (HOPELESS.has(error.code) && !error.retryable);

export interface SaveManyWork<Row> {
  readonly rows: Iterable<Row> | AsyncIterable<Row>;
  readonly save: (row: Row) => Promise<SaveResult>;
  readonly onProgress: ((progress: SaveProgress) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Counts what is under way and lets others wait for room; racing hundreds of promises a row would cost more than it. */
class Window {
  readonly #size: number;
  #count = 0;
  #left: (() => void) | undefined;

  constructor(size: number) {
    this.#size = size;
  }

  async enter(): Promise<void> {
    await this.#until(this.#size - 1);
    this.#count += 1;
  }

  leave(): void {
    this.#count -= 1;
    this.#left?.();
  }

  empty(): Promise<void> {
    return this.#until(0);
  }

  async #until(most: number): Promise<void> {
    while (this.#count > most) {
      await new Promise<void>((resolve) => {
        this.#left = resolve;
      });
    }
  }
}

/** Takes rows from a source until it ends or a stop is asked for, even while it keeps the taker waiting. */
class Source<Row> {
  readonly #iterator: Iterator<Row> | AsyncIterator<Row>;
  #stopped: { readonly reason: unknown } | undefined;
  #wake: ((reason: unknown) => void) | undefined;

  constructor(rows: Iterable<Row> | AsyncIterable<Row>) {
    this.#iterator = Symbol.asyncIterator in rows ? rows[Symbol.asyncIterator]() : rows[Symbol.iterator]();
  }

  stop(reason: unknown): void {
    this.#stopped ??= { reason };
    this.#wake?.(reason);
  }

  /** @throws what the source throws, or why it was stopped */
  async next(): Promise<IteratorResult<Row>> {
    if (this.#stopped !== undefined) throw this.#stopped.reason;
    const next = await new Promise<IteratorResult<Row>>((resolve, reject) => {
      this.#wake = reject;
      Promise.resolve(this.#iterator.next()).then(resolve, reject);
    });
    this.#wake = undefined;
    return next.done ? next : { done: false, value: await next.value };
  }

  /** Lets the source clean up; one that still owes a row does so when it has come to it. */
  async end(): Promise<void> {
    const ended = Promise.resolve(this.#iterator.return?.()).catch(() => undefined);
    if (this.#wake === undefined) await ended;
  }
}

/**
 * Saves every row in the order given.
 * @throws what the source or `onProgress` throws, the signal's reason, or an error no row is to blame for; what was
 *   saved stays saved
 */
export async function saveEach<Row>({ rows, save, onProgress, signal }: SaveManyWork<Row>): Promise<SaveManyResult> {
  signal?.throwIfAborted();
  const failed: { index: number; error: DatabaseError }[] = [];
  const counts = { saved: 0, unchanged: 0 };
  const underWay = new Window(WINDOW);
  const source = new Source(rows);
  let fault: { readonly error: unknown } | undefined;
  const give = (error: unknown) => {
    fault ??= { error };
    source.stop(error);
  };
  const report = () => onProgress?.({ ...counts, failed: failed.length });
  const saveOne = async (row: Row, index: number) => {
    try {
      const { changed } = await save(row);
      counts[changed ? 'saved' : 'unchanged'] += 1;
    } catch (error) {
      if (endsTheStream(error)) return give(error);
      failed.push({ index, error: error as DatabaseError });
    }
    try {
      if ((counts.saved + counts.unchanged + failed.length) % PROGRESS_EVERY === 0) report();
    } catch (error) {
      give(error);
    }
  };
  const onAbort = () => source.stop(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    let index = 0;
    for (let next = await source.next(); !next.done; next = await source.next()) {
      await underWay.enter();
      void saveOne(next.value, index++).finally(() => underWay.leave());
    }
  } catch (error) {
    await source.end();
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await underWay.empty();
  }
  if (fault !== undefined) throw fault.error;
  report();
  return { ...counts, failed: failed.sort((a, b) => a.index - b.index) };
}

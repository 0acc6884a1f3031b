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

/**
 * Saves every row in the order given.
 * @throws what the source throws, the signal's reason, or an error no row is to blame for; what was saved stays saved
 */
export async function saveEach<Row>({ rows, save, onProgress, signal }: SaveManyWork<Row>): Promise<SaveManyResult> {
  const failed: { index: number; error: DatabaseError }[] = [];
  const counts = { saved: 0, unchanged: 0 };
  const underWay = new Window(WINDOW);
  let hopeless: unknown;
  const report = () => onProgress?.({ ...counts, failed: failed.length });
  const saveOne = async (row: Row, index: number) => {
    try {
      const { changed } = await save(row);
      counts[changed ? 'saved' : 'unchanged'] += 1;
    } catch (error) {
      if (endsTheStream(error)) hopeless ??= error;
      else failed.push({ index, error: error as DatabaseError });
    }
    if ((counts.saved + counts.unchanged + failed.length) % PROGRESS_EVERY === 0) report();
  };
  try {
    let index = 0;
    for await (const row of rows) {
      signal?.throwIfAborted();
      if (hopeless !== undefined) throw hopeless;
      await underWay.enter();
      void saveOne(row, index++).finally(() => underWay.leave());
    }
  } finally {
    await underWay.empty();
  }
  if (hopeless !== undefined) throw hopeless;
  report();
  return { ...counts, failed: failed.sort((a, b) => a.index - b.index) };
}

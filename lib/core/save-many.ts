/**
 * Saves a stream of files: takes rows as fast as the writer commits them, so that a source of any length needs little
 * memory, and a bad row affects only itself.
 */
import { ConflictError, DatabaseError } from '../errors.ts';
import type { FileToSave } from '../values/file-input.ts';
import type { BatchOutcome, SaveOutcome } from './save-file.ts';

const BATCH = 512; // rows of one transaction: other writers wait about 50 ms
const PROGRESS_EVERY = 256; // rows between two reports

/** The progress of a stream, in rows. */
export interface SaveProgress {
  readonly saved: number;
  readonly unchanged: number;
  readonly failed: number;
}

/** The result of a stream of files. */
export interface SaveManyResult {
  /** Versions stored. */
  readonly saved: number;
  /** Rows that `ifChanged` found unchanged. */
  readonly unchanged: number;
  /** Refused rows, in order; `index` counts from 0. */
  readonly failed: { readonly index: number; readonly error: DatabaseError }[];
}

/** After these errors, later rows would fail too. */
const HOPELESS: ReadonlySet<string> = new Set([
  'CATALOG_CLOSED',
  'CATALOG_CORRUPT',
  'CATALOG_FULL',
  'CATALOG_IO',
  'CATALOG_READ_ONLY',
]);

const endsTheStream = (error: unknown): boolean =>
  !(error instanceof DatabaseError) || (HOPELESS.has(error.code) && !error.retryable);

/**
 * Whether an error of a batch concerns all later ones. A conflict of a row is part of the batch's outcome; a conflict
 * of the batch itself is with a transaction: it would wait for the caller's own, or that has ended.
 */
const endsTheBatches = (error: unknown): boolean => endsTheStream(error) || error instanceof ConflictError;

/** After these errors, retrying row by row would fail too or could store a row twice. */
const concernsEveryRow = (error: DatabaseError) => error.retryable || error.code === 'CATALOG_INDETERMINATE';

export interface SaveManyWork<Row> {
  readonly rows: Iterable<Row> | AsyncIterable<Row>;
  /** @throws {ValidationError} */
  readonly check: (row: Row) => FileToSave;
  readonly saveBatch: (files: readonly FileToSave[]) => Promise<BatchOutcome>;
  readonly saveOne: (file: FileToSave) => Promise<SaveOutcome>;
  readonly onProgress: ((progress: SaveProgress) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Takes rows from a source until it ends or is stopped, even while waiting for a row. */
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

  /** @throws what the source throws, or the reason of the stop */
  async next(): Promise<IteratorResult<Row>> {
    this.#throwIfStopped();
    const next = await new Promise<IteratorResult<Row>>((resolve, reject) => {
      this.#wake = reject;
      Promise.resolve(this.#iterator.next())
        // An ordinary iterable may hold promises of rows.
        .then(
          async (found): Promise<IteratorResult<Row>> =>
            found.done ? found : { done: false, value: await found.value },
        )
        .then(resolve, reject);
    });
    this.#wake = undefined;
    this.#throwIfStopped(); // a stop requested while waiting for the row
    return next;
  }

  #throwIfStopped(): void {
    if (this.#stopped !== undefined) throw this.#stopped.reason;
  }

  /** Lets the source clean up; if it still owes a row, it cleans up after that. */
  async end(): Promise<void> {
    const ended = Promise.resolve(this.#iterator.return?.()).catch(() => undefined);
    if (this.#wake === undefined) await ended;
  }
}

interface Waiting {
  readonly index: number;
  readonly file: FileToSave;
}

/** Saves rows in order: collects the next batch while one is being saved. */
class Batches {
  readonly #work: Pick<SaveManyWork<never>, 'saveBatch' | 'saveOne' | 'onProgress'>;
  readonly #onFault: (error: unknown) => void;
  readonly #failed: { index: number; error: DatabaseError }[] = [];
  readonly #counts = { saved: 0, unchanged: 0 };
  #waiting: Waiting[] = [];
  #hasFailed = false;
  #underWay: Promise<void> | undefined;
  #reported = 0;

  constructor(
    work: Pick<SaveManyWork<never>, 'saveBatch' | 'saveOne' | 'onProgress'>,
    onFault: (error: unknown) => void,
  ) {
    this.#work = work;
    this.#onFault = onFault;
  }

  get result(): SaveManyResult {
    return { ...this.#counts, failed: this.#failed.toSorted((a, b) => a.index - b.index) };
  }

  /** Accepts a row; resolves when there is room for another. */
  async add(waiting: Waiting): Promise<void> {
    if (this.#hasFailed) return;
    this.#waiting.push(waiting);
    this.#underWay ??= this.#saveWaiting();
    if (this.#waiting.length >= BATCH) await this.#underWay;
  }

  refuse(index: number, error: DatabaseError): void {
    this.#failed.push({ index, error });
    this.#report(PROGRESS_EVERY);
  }

  /** Resolves when all accepted rows are done. */
  async end(): Promise<void> {
    while (this.#underWay !== undefined) await this.#underWay;
  }

  // Resolves after one batch, while the next is already running.
  async #saveWaiting(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    try {
      await this.#save(batch);
    } catch (error) {
      // Later rows of the stream must not be stored without it.
      this.#hasFailed = true;
      this.#waiting = [];
      this.#onFault(error);
    }
    try {
      this.#report(PROGRESS_EVERY);
    } catch (error) {
      this.#onFault(error);
    }
    this.#underWay = this.#waiting.length === 0 ? undefined : this.#saveWaiting();
  }

  async #save(batch: readonly Waiting[]): Promise<void> {
    try {
      const { versions, unchanged, failed } = await this.#work.saveBatch(batch.map(({ file }) => file));
      this.#counts.saved += versions;
      this.#counts.unchanged += unchanged;
      for (const { place, error } of failed) this.#refuse(batch[place], error);
    } catch (error) {
      if (endsTheBatches(error)) throw error;
      if (batch.length > 1 && !concernsEveryRow(error as DatabaseError)) return this.#saveEach(batch);
      for (const row of batch) this.#refuse(row, error);
    }
  }

  // A statement failed after a write: nothing of the batch is stored, and one of its rows is to blame.
  async #saveEach(batch: readonly Waiting[]): Promise<void> {
    for (const row of batch) {
      try {
        const { versions } = await this.#work.saveOne(row.file);
        this.#counts[versions === 0 ? 'unchanged' : 'saved'] += 1;
      } catch (error) {
        if (endsTheStream(error)) throw error;
        this.#refuse(row, error);
      }
    }
  }

  #refuse(row: Waiting | undefined, error: unknown): void {
    if (row !== undefined) this.#failed.push({ index: row.index, error: error as DatabaseError });
  }

  #report(after: number): void {
    const { saved, unchanged } = this.#counts;
    const rows = saved + unchanged + this.#failed.length;
    if (rows - this.#reported < after) return;
    this.#reported = rows;
    this.#work.onProgress?.({ saved, unchanged, failed: this.#failed.length });
  }

  /** Returns the result. */
  reportEnd(): void {
    this.#report(Number.NEGATIVE_INFINITY);
  }
}

/**
 * Saves all rows in order.
 * @throws what the source or `onProgress` throws, the signal's reason, or an error that no row caused; saved rows stay
 *   saved
 */
export async function saveEach<Row>(work: SaveManyWork<Row>): Promise<SaveManyResult> {
  const { rows, check, signal } = work;
  signal?.throwIfAborted();
  const source = new Source(rows);
  let fault: { readonly error: unknown } | undefined;
  const batches = new Batches(work, (error) => {
    fault ??= { error };
    source.stop(error);
  });
  const onAbort = () => source.stop(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    let index = 0;
    for (let next = await source.next(); !next.done; next = await source.next()) {
      const file = checked(check, next.value);
      if (file instanceof DatabaseError) batches.refuse(index++, file);
      else await batches.add({ index: index++, file });
    }
  } catch (error) {
    await source.end();
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await batches.end();
  }
  if (fault !== undefined) throw fault.error;
  batches.reportEnd();
  return batches.result;
}

/** The checked row, or its error. */
function checked<Row>(check: (row: Row) => FileToSave, row: Row): FileToSave | DatabaseError {
  try {
    return check(row);
  } catch (error) {
    if (endsTheStream(error)) throw error;
    return error as DatabaseError;
  }
}

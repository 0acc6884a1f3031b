/** The owner's side of a swap. See swap-thread.ts for the work, and for what other processes see. */
import { DatabaseError, reviveError, type WireError } from '../../errors.ts';
import { startThread } from '../../runtime/thread.ts';
import type { ContentMark } from '../marks.ts';

/** The order for the thread. */
export interface SwapOrder {
  readonly source: string;
  readonly target: string;
  /** Milliseconds to wait for the write lock. */
  readonly lockTimeoutMs: number;
  /** One Int32 that holds a {@link GATE}. */
  readonly gate: SharedArrayBuffer;
}

/** Whether the thread, which holds the lock, may continue. */
export const GATE = { shut: 0, open: 1, cancelled: 2 } as const;

/** The messages of the thread. */
export type SwapMessage =
  | { readonly kind: 'locked'; readonly found: ContentMark }
  | { readonly kind: 'swapped' | 'done' }
  | { readonly kind: 'failed'; readonly error: WireError };

const LOCK_TIMEOUT_MS = 60_000; // other processes' transactions are short; the catalogue stays unchanged meanwhile

/** A failed swap, and whether the live file has the new content nevertheless. */
export class SwapFailure extends Error {
  override name = 'SwapFailure';
  /** null if unknown. */
  readonly swapped: boolean | null;
  override readonly cause: unknown;

  constructor(swapped: boolean | null, cause: unknown) {
    super('the content was not exchanged');
    this.swapped = swapped;
    this.cause = cause;
  }
}

function swapThread(data: SwapOrder) {
  try {
    return startThread('backup/restore/swap-thread', { name: 'catalog-swap', data });
  } catch (cause) {
    throw new SwapFailure(false, cause);
  }
}
/** Runs while no other connection of any process can write; receives the mark of the content to be replaced. */
export type WhileLocked = (found: ContentMark) => Promise<void>;

/** A swap under way. */
class Swap {
  readonly #gate = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #whileLocked: WhileLocked;
  #phase: 'begun' | 'open' | 'swapped' | 'done' = 'begun';
  #failure: { readonly error: unknown } | undefined;
  #calledOff: { readonly error: unknown } | undefined;

  constructor(whileLocked: WhileLocked) {
    this.#whileLocked = whileLocked;
  }

  run(source: string, target: string, lockTimeoutMs: number): Promise<void> {
    const data: SwapOrder = { source, target, lockTimeoutMs, gate: this.#gate };
    return new Promise((resolve, reject) => {
      const worker = swapThread(data);
      worker.on('message', (message: SwapMessage) => void this.#hear(message));
      worker.on('error', (error) => {
        this.#failure ??= { error };
      });
      worker.on('exit', () => {
        if (this.#phase === 'done') resolve();
        else reject(this.#outcome());
      });
    });
  }

  async #hear(message: SwapMessage): Promise<void> {
    if (message.kind === 'failed') this.#failure = { error: reviveError(message.error) };
    else if (message.kind !== 'locked') this.#phase = message.kind;
    else await this.#locked(message.found);
  }

  async #locked(found: ContentMark): Promise<void> {
    try {
      await this.#whileLocked(found);
      this.#phase = 'open';
      this.#let(GATE.open);
    } catch (error) {
      this.#calledOff = { error };
      this.#let(GATE.cancelled);
    }
  }

  #let(state: number): void {
    const gate = new Int32Array(this.#gate);
    Atomics.store(gate, 0, state);
    Atomics.notify(gate, 0);
  }

  #outcome(): SwapFailure {
    if (this.#calledOff !== undefined) return new SwapFailure(false, this.#calledOff.error);
    const cause = this.#failure?.error ?? new DatabaseError('CATALOG_IO', 'the thread of the restore ended early');
    // Without a message from the thread, it may have ended after the last step.
    const isKnown = this.#failure !== undefined || this.#phase !== 'open';
    return new SwapFailure(isKnown ? this.#phase === 'swapped' : null, cause);
  }
}

/**
 * Copies the content of `source`, which nobody else has open, into the live database at `target`.
 * @param whileLocked cancels the swap by throwing
 * @param lockTimeoutMs how long to wait for the write lock
 * @throws {SwapFailure}
 */
export const swapContent = (
  source: string,
  target: string,
  whileLocked: WhileLocked,
  lockTimeoutMs = LOCK_TIMEOUT_MS,
): Promise<void> => new Swap(whileLocked).run(source, target, lockTimeoutMs);

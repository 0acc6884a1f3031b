/**
 * Copies the content of one database into another one in use, through SQLite's backup API and on a separate thread. It
 * holds the write lock of the live file from the first step to the last, so every reader in every process sees the old
 * content or the new one. With the lock held, it waits for the owner's permission to copy.
 */
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { DatabaseError, toWireError } from '../../errors.ts';
import { type ContentMark, contentMark } from '../marks.ts';
import { GATE, type SwapMessage, type SwapOrder } from './swap.ts';

const PAGES_A_STEP = 2_000;
const LOCK_POLL_MS = 2;
const CHECKPOINT_WAIT_MS = 5_000; // for readers of the old content

const { source, target, lockTimeoutMs, gate } = workerData as SwapOrder;
const state = new Int32Array(gate);
const send = (message: SwapMessage) => parentPort?.postMessage(message);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The mark of the present content. The caller holds the lock, so nobody changes it before the swap. */
function markNow(): ContentMark {
  const database = new Database(target, { readonly: true, fileMustExist: true });
  try {
    database.pragma('trusted_schema = OFF');
    return contentMark((query) => database.prepare(query).pluck().get() ?? null);
  } finally {
    database.close();
  }
}

/** Makes one attempt; returns false if another writer had the lock and nothing was done. */
async function attempt(database: Database.Database): Promise<boolean> {
  let isLocked = false;
  const { totalPages } = await database.backup(target, {
    progress: () => {
      // The previous step took the lock and copied nothing.
      if (!isLocked) {
        isLocked = true;
        send({ kind: 'locked', found: markNow() });
        Atomics.wait(state, 0, GATE.shut);
      }
      if (Atomics.load(state, 0) === GATE.cancelled) throw new Error('the owner cancelled the swap');
      return PAGES_A_STEP;
    },
  });
  return totalPages > 0;
}

async function swap(): Promise<void> {
  const database = new Database(source, { readonly: true, fileMustExist: true });
  try {
    const deadline = performance.now() + lockTimeoutMs;
    // If the file is locked at the first step, the API reports success with nothing copied.
    while (!(await attempt(database))) {
      if (performance.now() > deadline) {
        throw new DatabaseError(
          'CATALOG_BUSY',
          `other writers kept the lock for ${lockTimeoutMs} ms; nothing was changed`,
        );
      }
      await pause(LOCK_POLL_MS);
    }
  } finally {
    database.close();
  }
}

/**
 * Moves the new content from the log into the file and flushes it to disk, because the API's own connection does not
 * flush.
 */
function settle(): void {
  const database = new Database(target, { fileMustExist: true, timeout: CHECKPOINT_WAIT_MS });
  try {
    database.pragma('trusted_schema = OFF');
    database.pragma('synchronous = FULL');
    database.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    database.close();
  }
}

try {
  await swap();
  send({ kind: 'swapped' });
  settle();
  send({ kind: 'done' });
} catch (error) {
  send({ kind: 'failed', error: toWireError(error) });
}

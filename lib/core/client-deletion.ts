/**
 * Deletes clients in slices, and finishes deletions of processes that died. The mark names the deleting process, so
 * that others leave a live process to its work; several processes may still delete one client together.
 */
import { DatabaseError } from '../errors.ts';
import { hasEnded, THIS_PROCESS } from '../runtime/process-identity.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import {
  beginDeletion,
  deleteClientSlice,
  listDeletions,
  type PendingDeletion,
  unnamedOf,
} from './client-deletion-procedures.ts';
import type { Deletion } from './freed-paths.ts';

const MOST_RETRIES = 5; // of a slice that met a lock or a full queue

/**
 * Milliseconds without a slice after which a deletion counts as abandoned: a process on another machine cannot be
 * checked.
 */
const LEFT_AFTER_MS = 60_000;

/** Deletions under way in this process, by client. */
const underWay = new Map<string, number>();

async function nextSlice(executor: Executor, id: string, options: CallOptions) {
  for (let retries = 0; ; retries += 1) {
    try {
      return await executor.run(deleteClientSlice, { id, owner: THIS_PROCESS }, options);
    } catch (error) {
      if (!(error instanceof DatabaseError && error.retryable) || retries >= MOST_RETRIES) throw error;
    }
  }
}

/** Removes a marked client slice by slice. @throws the error of a slice; the client then stays marked */
async function removeMarked(executor: Executor, id: string, { signal }: CallOptions): Promise<Deletion> {
  const paths = new Set<string>();
  let [deleted, bytes] = [0, 0];
  underWay.set(id, (underWay.get(id) ?? 0) + 1);
  try {
    for (let isFinished = false; !isFinished; ) {
      signal?.throwIfAborted();
      const slice = await nextSlice(executor, id, { signal });
      isFinished = slice.finished;
      deleted += slice.deleted;
      bytes += slice.bytes;
      for (const path of slice.paths) paths.add(path);
    }
  } finally {
    const others = (underWay.get(id) ?? 1) - 1;
    if (others === 0) underWay.delete(id);
    else underWay.set(id, others);
  }
  return { deleted, bytes, paths: await executor.run(unnamedOf, [...paths], { signal }) };
}

/** Deletes a client; `whole` does it in one transaction, however many files it has. */
export async function deleteClient(
  executor: Executor,
  id: string,
  { whole, ...options }: CallOptions & { readonly whole: boolean },
): Promise<Deletion> {
  const deletion = await executor.run(beginDeletion, { id, owner: THIS_PROCESS, whole }, options);
  return deletion ?? removeMarked(executor, id, options);
}

/** Whether no process works on a deletion. */
function isLeft({ clientId, owner, touchedAt }: PendingDeletion): boolean {
  if (owner === THIS_PROCESS && underWay.has(clientId)) return false;
  if (owner === THIS_PROCESS || hasEnded(owner)) return true;
  // A date that is none, or lies ahead because a clock was, says nothing of a process that works.
  return !(Math.abs(Date.now() - Date.parse(touchedAt)) <= LEFT_AFTER_MS);
}

/** The deletions that nobody works on. */
export const leftDeletions = async (executor: Executor, options: CallOptions = {}): Promise<PendingDeletion[]> =>
  (await executor.run(listDeletions, null, options)).filter(isLeft);

/**
 * Finishes the abandoned deletions; returns how many.
 * @throws the first failure; it keeps no other deletion from being finished
 */
export async function finishLeftDeletions(executor: Executor, options: CallOptions = {}): Promise<number> {
  const left = await leftDeletions(executor, options);
  const failures: unknown[] = [];
  for (const { clientId } of left) {
    await removeMarked(executor, clientId, options).catch((error: unknown) => failures.push(error));
    options.signal?.throwIfAborted();
  }
  if (failures.length > 0) throw failures[0];
  return left.length;
}

/**
 * Makes a verified copy of a database in use. SQLite makes the copy, so it includes changes that are only in the log.
 * The copy has a temporary name that only its owner may read until another process has verified it; then it gets its
 * final name, and with a reason, a manifest. A failed snapshot leaves no files.
 */

import { dirname } from 'node:path';
import { DatabaseError, reviveError, type WireError } from '../errors.ts';
import { assertRoom, type FreeBytes, freeBytes, saysFull } from '../runtime/disk-space.ts';
import { makePrivateFolder } from '../runtime/private-file.ts';
import { startThread } from '../runtime/thread.ts';
import { codeOf } from '../runtime/thrown.ts';
import { check, type Findings } from './checker.ts';
import { greatestSequence } from './list.ts';
import { type CatalogCounts, type Manifest, manifestPath } from './manifest.ts';
import { following } from './marks.ts';
import {
  assertFree,
  assertNoLog,
  createPrivate,
  databaseBytes,
  partialPath,
  publish,
  publishBackup,
  removeDatabase,
  removeDeadPartials,
} from './publish.ts';

export { databaseBytes, removeDeadPartials } from './publish.ts';

/** A verified copy. */
export interface Snapshot extends Manifest {
  readonly path: string;
}

/** The progress of a copy. */
export interface SnapshotProgress {
  /** The process that checks and compresses reports only begin and end. */
  readonly step: 'copy' | 'check';
  /** Bytes done, of `total`. */
  readonly done: number;
  readonly total: number;
}

/** The order for the thread. */
export interface SnapshotOrder {
  readonly source: string;
  readonly target: string;
  /** One Int32; any value except 0 stops the copy. */
  readonly stop: SharedArrayBuffer;
}

/** The answers of the thread. */
export type SnapshotMessage =
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'done'; readonly counts: CatalogCounts; readonly takenAt: string }
  | { readonly kind: 'failed'; readonly error: WireError };

export interface SnapshotOptions {
  readonly onProgress?: ((progress: SnapshotProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly free?: FreeBytes | undefined;
  /** The reason for the copy; a copy with a reason is a backup and gets a manifest. */
  readonly reason?: string | undefined;
  /** Store it as a zstd stream. Default false. */
  readonly compress?: boolean | undefined;
  /** Its number. Default: the next number after those known to the database and the folder. */
  readonly sequence?: number | undefined;
}

const ENOUGH = 1.05; // times the size of the source: the copy may be slightly larger than the estimate

type Copied = Omit<Extract<SnapshotMessage, { kind: 'done' }>, 'kind'>;

/** Copies on a thread; the signal or a throwing listener stops it between two steps. */
function onThread(source: string, target: string, { onProgress, signal }: SnapshotOptions): Promise<Copied> {
  const stop = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  let reason: { readonly thrown: unknown } | undefined;
  const end = (thrown: unknown) => {
    reason ??= { thrown };
    Atomics.store(new Int32Array(stop), 0, 1);
  };
  const onAbort = () => end(signal?.reason);
  const tell = (progress: SnapshotProgress) => {
    try {
      onProgress?.(progress);
    } catch (error) {
      end(error);
    }
  };
  const copied = new Promise<Copied>((resolve, reject) => {
    const data: SnapshotOrder = { source, target, stop };
    const worker = startThread('backup/snapshot-thread', { name: 'catalog-snapshot', data });
    let last: SnapshotMessage | undefined;
    signal?.addEventListener('abort', onAbort, { once: true });
    worker.on('message', (message: SnapshotMessage) => {
      last = message;
      if (message.kind === 'progress') tell({ step: 'copy', done: message.done, total: message.total });
    });
    worker.on('error', reject);
    // Only now are its connections closed and its files free.
    worker.on('exit', () => {
      if (reason !== undefined) reject(reason.thrown);
      else if (last?.kind === 'done') resolve({ counts: last.counts, takenAt: last.takenAt });
      else if (last?.kind === 'failed') reject(reviveError(last.error));
      else reject(new DatabaseError('CATALOG_IO', 'the thread that copied the database ended early'));
    });
  });
  return copied.finally(() => signal?.removeEventListener('abort', onAbort));
}

const damaged = (problem: string) =>
  new DatabaseError('CATALOG_CORRUPT', `the copy does not verify: ${problem}`, {
    hint: 'The database itself is damaged: keep it unchanged, and restore the newest verified backup.',
  });

/** Messages of SQLite and the file system for a full disk. */
function explained(error: unknown, path: string): unknown {
  if (error instanceof DatabaseError || !(error instanceof Error) || error.name === 'AbortError') return error;
  const message = `could not make a copy at ${path}`;
  if (saysFull(error)) {
    const hint = 'Free some disk space, or choose another folder; nothing was changed.';
    return new DatabaseError('CATALOG_FULL', message, { cause: error, hint });
  }
  if (/^SQLITE_(?:CORRUPT|NOTADB)/.test(codeOf(error))) return damaged(error.message);
  if (/^SQLITE_(?:CANTOPEN|READONLY)/.test(codeOf(error))) {
    const hint = 'SQLite cannot create a log beside the database: copy the file itself while nobody writes it.';
    return new DatabaseError('CATALOG_IO', message, { cause: error, hint });
  }
  return new DatabaseError('CATALOG_IO', message, { cause: error });
}

interface Made {
  readonly findings: Findings;
  readonly takenAt: string;
}

/** Copies into an empty file and verifies the copy; `packed`, if given, is an empty file for the zstd stream. */
async function make(source: string, plain: string, packed: string | null, options: SnapshotOptions): Promise<Made> {
  const { counts, takenAt } = await onThread(source, plain, options);
  const total = await databaseBytes(plain);
  options.onProgress?.({ step: 'check', done: 0, total });
  const verdict = await check({ kind: 'prove', path: plain, counts, compressTo: packed }, { signal: options.signal });
  if ('problem' in verdict) throw damaged(verdict.problem);
  options.onProgress?.({ step: 'check', done: total, total });
  options.signal?.throwIfAborted();
  return { findings: verdict.findings, takenAt };
}

/** The facts of a copy; only a backup has a number. */
async function manifestOf(
  { findings: { isPlain: _, ...findings }, takenAt }: Made,
  folder: string,
  options: SnapshotOptions,
): Promise<Manifest> {
  const { reason, compress = false, sequence: reserved } = options;
  const next = async () => following(Math.max(findings.sequence, await greatestSequence(folder, findings.databaseId)));
  const sequence = reason === undefined ? null : (reserved ?? (await next()));
  return { ...findings, createdAt: takenAt, sequence, reason: reason ?? '', compressed: compress };
}

/**
 * Copies the database at `source` to `path`. The source may be open and change meanwhile.
 * @throws {DatabaseError} CATALOG_FULL if the copy does not fit, CATALOG_CORRUPT if the database is damaged,
 *   CATALOG_CONFLICT if `path` exists, CATALOG_TIMEOUT if the check takes too long, CATALOG_IO; the reason of the
 *   signal. In all these cases there is no file at `path`
 */
export async function takeSnapshot(source: string, path: string, options: SnapshotOptions = {}): Promise<Snapshot> {
  const { signal, reason, compress = false, free = freeBytes } = options;
  const folder = dirname(path);
  const ours: string[] = []; // another call may make a file of the same name
  try {
    signal?.throwIfAborted();
    await makePrivateFolder(folder);
    await removeDeadPartials(folder);
    await assertFree(path);
    await assertNoLog(path);
    if (reason !== undefined) await assertFree(manifestPath(path));
    await assertRoom(folder, (await databaseBytes(source)) * ENOUGH * (compress ? 2 : 1), 'the copy', free);
    const last = partialPath(path);
    const plain = compress ? partialPath(`${path}.plain`) : last;
    for (const temporary of new Set([plain, last])) {
      await createPrivate(temporary);
      ours.push(temporary);
    }
    const made = await make(source, plain, compress ? last : null, options);
    const manifest = await manifestOf(made, folder, options);
    if (reason === undefined) await publish(last, path);
    else await publishBackup(last, path, manifest);
    return { path, ...manifest };
  } catch (error) {
    throw signal?.aborted ? error : explained(error, path);
  } finally {
    await Promise.all(ours.map(removeDatabase));
  }
}

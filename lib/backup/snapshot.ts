/**
 * A verified copy of a database that is in use: made through SQLite, so that what stands in its log is in it, under a
 * temporary name that only its owner may read, checked in full, and only then given its name. A snapshot that fails
 * leaves nothing behind. Manifests, retention and restoring are left to the backups.
 */
import { constants } from 'node:fs';
import { access, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { DatabaseError, reviveError, type WireError } from '../errors.ts';
import { assertRoom, type FreeBytes, freeBytes } from './disk-space.ts';

/** Rows of the tables that count. */
export interface SnapshotCounts {
  readonly clients: number;
  readonly files: number;
  readonly versions: number;
}

/** A copy that was proven. */
export interface Snapshot {
  readonly path: string;
  readonly bytes: number;
  /** In hex, of the whole file. */
  readonly sha256: string;
  /** The newest migration in its journal; null for a file of an old server. */
  readonly schemaVersion: number | null;
  readonly counts: SnapshotCounts;
}

/** What the thread is told. */
export interface SnapshotOrder {
  readonly source: string;
  readonly target: string;
}

/** What the thread answers. */
export type SnapshotMessage =
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'done'; readonly snapshot: Omit<Snapshot, 'path'> }
  | { readonly kind: 'failed'; readonly error: WireError };

export interface SnapshotOptions {
  /** Hears of pages copied, of how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly free?: FreeBytes | undefined;
}

// Sources run as .ts, the published package as .js.
const THREAD_URL = new URL(`./snapshot-thread${extname(import.meta.url)}`, import.meta.url);
const ENOUGH = 1.05; // of the source's size: the copy may be a little larger than what is counted beforehand

// Node hands the process's flags on to its threads, and this one, meant for code on the command line, ends them at once.
const FLAGS = process.execArgv.some((flag) => flag.startsWith('--input-type')) ? { execArgv: [] } : {};

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

/** Bytes of a database with its log. */
export const databaseBytes = async (path: string): Promise<number> =>
  (await sizeOf(path)) + (await sizeOf(`${path}-wal`));

function onThread(order: SnapshotOrder, { onProgress }: SnapshotOptions): Promise<Omit<Snapshot, 'path'>> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(THREAD_URL, { workerData: order, name: 'catalog-snapshot', ...FLAGS });
    worker.on('message', (message: SnapshotMessage) => {
      if (message.kind === 'progress') onProgress?.(message.done, message.total);
      else if (message.kind === 'done') resolve(message.snapshot);
      else reject(reviveError(message.error));
    });
    worker.on('error', reject);
    worker.on('exit', () => reject(new DatabaseError('CATALOG_IO', 'the thread that copied the database ended early')));
  });
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // folders cannot be opened there, and a rename is durable by itself
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const PARTIAL = /\.(\d+)\.partial(?:-journal|-wal|-shm)?$/;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Removes what copies left behind whose process died while it made them. */
export async function removeDeadPartials(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const dead = names.filter((name) => {
    const [, pid] = PARTIAL.exec(name) ?? [];
    return pid !== undefined && !isAlive(Number(pid));
  });
  await Promise.all(dead.map((name) => rm(join(folder, name), { force: true })));
}

async function assertFree(path: string): Promise<void> {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (exists) throw new DatabaseError('CATALOG_CONFLICT', `${path} exists already`);
}

/**
 * Copies the database at `source`, which may be open and written meanwhile, to `path`.
 * @throws {DatabaseError} CATALOG_FULL when it does not fit, CATALOG_CORRUPT when the database itself is damaged,
 *   CATALOG_CONFLICT when `path` exists, CATALOG_IO; there is no file at `path` then
 */
export async function takeSnapshot(source: string, path: string, options: SnapshotOptions = {}): Promise<Snapshot> {
  const folder = dirname(path);
  const temporary = `${path}.${process.pid}.partial`;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await removeDeadPartials(folder);
    await assertFree(path);
    await assertRoom(folder, (await databaseBytes(source)) * ENOUGH, 'the copy', options.free ?? freeBytes);
    // SQLite would make it readable for everyone.
    await (await open(temporary, 'wx', 0o600)).close();
    const snapshot = await onThread({ source, target: temporary }, options);
    await rename(temporary, path);
    await syncFolder(folder);
    return { path, ...snapshot };
  } catch (error) {
    await Promise.all(['', '-journal', '-wal', '-shm'].map((suffix) => rm(`${temporary}${suffix}`, { force: true })));
    if (error instanceof DatabaseError) throw error;
    throw new DatabaseError('CATALOG_IO', `no copy could be made at ${path}`, { cause: error });
  }
}

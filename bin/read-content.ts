/**
 * Reading one file for the catalogue: its size, date and CRC-32 as they were together at one moment. A file that
 * changes while it is read is read once more, and refused when it changes again.
 */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { reasonOf } from './system-error.ts';

/** What a content is. */
export interface Content {
  readonly kind: 'content';
  /** Bytes that were read. */
  readonly size: number;
  readonly modified: Date;
  readonly crc: number;
}

/** Why there is no content: another kind of thing, the catalogue's own file, a stop that was asked for, a failure. */
export type NoContent =
  | { readonly kind: 'symlink' | 'special' | 'catalogue' | 'stopped' }
  | { readonly kind: 'unreadable'; readonly message: string };

export interface ReadRules {
  /** Whether a file must never be opened here: see catalogue-files.ts. */
  readonly isCatalogue: (stats: BigIntStats) => boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes of every piece that was read. */
  readonly onRead?: ((bytes: number) => void) | undefined;
}

const LARGEST_PIECE = 256 * 1024; // bytes read at once: the calls do not count then, and sixteen files need only 4 MiB
const SMALLEST_PIECE = 4096; // for files whose size is no size, as in /proc
const ATTEMPTS = 2;

// No links and no waiting for a writer, should the file have become a link or a pipe since it was looked at.
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

const isSame = (a: BigIntStats, b: BigIntStats) => a.dev === b.dev && a.ino === b.ino;

const isUntouched = (before: BigIntStats, after: BigIntStats) =>
  isSame(before, after) && before.size === after.size && before.mtimeNs === after.mtimeNs;

/** Reads a file to its end; undefined when the signal fired on the way. */
async function checksum(handle: FileHandle, expected: bigint, { signal, onRead }: ReadRules) {
  const piece = Buffer.allocUnsafe(Math.min(LARGEST_PIECE, Math.max(SMALLEST_PIECE, Number(expected) + 1)));
  let size = 0;
  let crc = 0;
  while (!signal?.aborted) {
    const { bytesRead } = await handle.read(piece, 0, piece.length, null);
    crc = crc32(piece.subarray(0, bytesRead), crc);
    size += bytesRead;
    onRead?.(bytesRead);
    // Less than there was room for, at the size that was expected, is the end as well, and saves a call for most files.
    if (bytesRead === 0 || (size === Number(expected) && bytesRead < piece.length)) return { size, crc };
  }
  return undefined;
}

/** One attempt; undefined when the file was changed meanwhile. */
async function readOnce(path: string, rules: ReadRules): Promise<Content | NoContent | undefined> {
  const seen = await lstat(path, { bigint: true });
  if (seen.isSymbolicLink()) return { kind: 'symlink' };
  if (!seen.isFile()) return { kind: 'special' };
  if (rules.isCatalogue(seen)) return { kind: 'catalogue' };
  const handle = await open(path, FLAGS);
  try {
    const before = await handle.stat({ bigint: true });
    if (!isSame(seen, before)) return undefined;
    const read = await checksum(handle, before.size, rules);
    if (read === undefined) return { kind: 'stopped' };
    const after = await handle.stat({ bigint: true });
    return isUntouched(before, after) ? { kind: 'content', ...read, modified: before.mtime } : undefined;
  } finally {
    await handle.close();
  }
}

/** Reads a file, or says why it cannot. */
export async function readContent(path: string, rules: ReadRules): Promise<Content | NoContent> {
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const result = await readOnce(path, rules);
      if (result !== undefined) return result;
    }
    return { kind: 'unreadable', message: 'it changed while it was read, twice' };
  } catch (error) {
    return { kind: 'unreadable', message: reasonOf(error) };
  }
}

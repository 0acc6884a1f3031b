/**
 * Reads one file for the catalogue: its size, date and CRC-32 at one moment. A file that changes meanwhile is read once
 * more. If it changes again, the read bytes count, with a warning: otherwise a constantly growing file would never be
 * backed up.
 */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { reasonOf } from './system-error.ts';

/** The facts of a content. */
export interface Content {
  readonly kind: 'content';
  /** Bytes that were read. */
  readonly size: number;
  /** Null if the catalogue cannot store the date. */
  readonly modified: Date | null;
  readonly crc: number;
  /** Warnings, in words. */
  readonly warnings: readonly string[];
}

/** Why there is no content: not a regular file, the catalogue's own file, a requested stop, a failure. */
export type NoContent =
  | { readonly kind: 'symlink' | 'special' | 'catalogue' | 'stopped' }
  | { readonly kind: 'unreadable'; readonly message: string };

export interface ReadRules {
  /** Whether a file must never be opened here: see catalogue-files.ts. */
  readonly isCatalogue: (stats: BigIntStats) => boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called with the size of every piece read. */
  readonly onRead?: ((bytes: number) => void) | undefined;
}

const LARGEST_PIECE = 256 * 1024; // bytes per read: the cost of calls is negligible, and sixteen files need only 4 MiB
const SMALLEST_PIECE = 4096; // for files without a real size, as in /proc
const MOST_BEYOND = 64 * 1024 * 1024; // bytes read beyond the reported size of a file

// Follows no link and waits for no writer, in case the file has become a link or a pipe.
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

const isSame = (a: BigIntStats, b: BigIntStats) => a.dev === b.dev && a.ino === b.ino;

const isUntouched = (before: BigIntStats, after: BigIntStats) =>
  isSame(before, after) && before.size === after.size && before.mtimeNs === after.mtimeNs;

/** The read bytes of a file. */
interface Reading {
  readonly size: number;
  readonly crc: number;
  /** Whether the file is complete. */
  readonly ended: boolean;
}

const changedSince = async (handle: FileHandle, before: BigIntStats): Promise<boolean> =>
  !isUntouched(before, await handle.stat({ bigint: true }));

/**
 * Reads a file to its end, or to its initial size if it grows. Undefined if the signal fired. Files without a real
 * size, as in /proc, are read to their end, up to a limit.
 */
async function checksum(
  handle: FileHandle,
  before: BigIntStats,
  { signal, onRead }: ReadRules,
): Promise<Reading | undefined> {
  const expected = Number(before.size);
  const piece = Buffer.allocUnsafe(Math.min(LARGEST_PIECE, Math.max(SMALLEST_PIECE, expected + 1)));
  let size = 0;
  let crc = 0;
  while (!signal?.aborted) {
    const { bytesRead } = await handle.read(piece, 0, piece.length, null);
    const isPast = size <= expected && size + bytesRead > expected;
    crc = crc32(piece.subarray(0, bytesRead), crc);
    size += bytesRead;
    onRead?.(bytesRead);
    // A short read at the expected size is the end too, which saves a call for most files.
    if (bytesRead === 0 || (size === expected && bytesRead < piece.length)) return { size, crc, ended: true };
    if (isPast && (await changedSince(handle, before))) return { size, crc, ended: false };
    if (size > expected + MOST_BEYOND) return { size, crc, ended: false };
  }
  return undefined;
}

const LAST_YEAR = 9999; // the first year that the catalogue stores is 0

/** The date of a file, and a warning about it. */
function dateOf({ mtimeMs }: BigIntStats): Pick<Content, 'modified' | 'warnings'> {
  const modified = new Date(Number(mtimeMs));
  const year = modified.getUTCFullYear();
  if (year >= 0 && year <= LAST_YEAR) return { modified, warnings: [] };
  const instant = `${mtimeMs / 1000n} s since 1970`;
  return {
    modified: null,
    warnings: [`its modification date (${instant}) is outside the years 0 to 9999 and was omitted`],
  };
}

const CHANGED = 'it changed twice while it was being read; its size and CRC-32 are those of the bytes read';

/** One attempt; undefined if the file changed and another attempt is left. */
async function readOnce(path: string, rules: ReadRules, isLast: boolean): Promise<Content | NoContent | undefined> {
  const seen = await lstat(path, { bigint: true });
  if (seen.isSymbolicLink()) return { kind: 'symlink' };
  if (!seen.isFile()) return { kind: 'special' };
  if (rules.isCatalogue(seen)) return { kind: 'catalogue' };
  const handle = await open(path, FLAGS);
  try {
    const before = await handle.stat({ bigint: true });
    if (!before.isFile()) return { kind: 'special' };
    const read = await checksum(handle, before, rules);
    if (read === undefined) return { kind: 'stopped' };
    const { size, crc, ended } = read;
    const content = { kind: 'content', size, crc, ...dateOf(before) } as const;
    if (await changedSince(handle, before)) {
      return isLast ? { ...content, warnings: [...content.warnings, CHANGED] } : undefined;
    }
    return ended
      ? content
      : { kind: 'unreadable', message: `it continues beyond its size, for at least ${size} bytes` };
  } finally {
    await handle.close();
  }
}

/** Reads a file, or says why it cannot. */
export async function readContent(path: string, rules: ReadRules): Promise<Content | NoContent> {
  try {
    return (await readOnce(path, rules, false)) ?? (await readOnce(path, rules, true)) ?? { kind: 'stopped' };
  } catch (error) {
    return { kind: 'unreadable', message: reasonOf(error) };
  }
}

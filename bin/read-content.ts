/**
 * Reading one file for the catalogue: its size, date and CRC-32 as they were together at one moment. A file that
 * changes while it is read is read once more. When it changes again, what was read is taken, with a warning: a file that
 * grows all the time would otherwise never be in any backup.
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
  /** Null where it is no date that the catalogue can store. */
  readonly modified: Date | null;
  readonly crc: number;
  /** What is not as it should be, in words. */
  readonly warnings: readonly string[];
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
const MOST_BEYOND = 64 * 1024 * 1024; // bytes read past the size that a file says it has

// No links and no waiting for a writer, should the file have become a link or a pipe since it was looked at.
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

const isSame = (a: BigIntStats, b: BigIntStats) => a.dev === b.dev && a.ino === b.ino;

const isUntouched = (before: BigIntStats, after: BigIntStats) =>
  isSame(before, after) && before.size === after.size && before.mtimeNs === after.mtimeNs;

/** What was read of a file. */
interface Reading {
  readonly size: number;
  readonly crc: number;
  /** Whether that was all of it. */
  readonly ended: boolean;
}

const changedSince = async (handle: FileHandle, before: BigIntStats): Promise<boolean> =>
  !isUntouched(before, await handle.stat({ bigint: true }));

/**
 * Reads a file to its end; one that grows, to the size that it had. Undefined when the signal fired on the way. There are
 * files whose size is no size, as in /proc: they are read to their end as well, unless that does not come.
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
    // Less than there was room for, at the size that was expected, is the end as well, and saves a call for most files.
    if (bytesRead === 0 || (size === expected && bytesRead < piece.length)) return { size, crc, ended: true };
    if (isPast && (await changedSince(handle, before))) return { size, crc, ended: false };
    if (size > expected + MOST_BEYOND) return { size, crc, ended: false };
  }
  return undefined;
}

const LAST_YEAR = 9999; // the years that the catalogue stores begin with 0

/** The date of a file, and what is wrong with it. */
function dateOf({ mtimeMs }: BigIntStats): Pick<Content, 'modified' | 'warnings'> {
  const modified = new Date(Number(mtimeMs));
  const year = modified.getUTCFullYear();
  if (year >= 0 && year <= LAST_YEAR) return { modified, warnings: [] };
  const instant = `${mtimeMs / 1000n} s since 1970`;
  return {
    modified: null,
    warnings: [`its modification date (${instant}) is in no year from 0 to 9999 and is left out`],
  };
}

const CHANGED = 'it changed while it was read, twice; its size and CRC-32 are those of what was read';

/** One attempt; undefined when the file was changed meanwhile and there is another attempt. */
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
    return ended ? content : { kind: 'unreadable', message: `it goes on past its size, for ${size} bytes at least` };
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

/** Which other process holds a lock on a file, as far as the kernel tells. */
import { readFile, stat } from 'node:fs/promises';
import process from 'node:process';

// https://man7.org/linux/man-pages/man5/proc_locks.5.html: number, kind, mode, access, process, MAJOR:MINOR:INODE, range
const LOCK = /^\d+: (?:POSIX|OFDLCK)\s+\w+\s+\w+\s+(-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /gm;

const HEX = 16;

/** The device number as the kernel prints it, from the one number that stat packs it into. */
function deviceOf(packed: bigint): readonly [major: bigint, minor: bigint] {
  const major = ((packed >> 8n) & 0xfffn) | ((packed >> 32n) & 0xfffff000n);
  const minor = (packed & 0xffn) | ((packed >> 12n) & 0xffffff00n);
  return [major, minor];
}

/**
 * The id of another process that holds a lock on a file. Undefined if none does, if there is no such file, and where the
 * kernel does not tell: outside Linux, across containers, and on file systems with device numbers of their own.
 */
export async function lockHolder(path: string): Promise<number | undefined> {
  const [locks, file] = await Promise.all([
    readFile('/proc/locks', 'utf8').catch(() => ''),
    stat(path, { bigint: true }).catch(() => undefined),
  ]);
  if (file === undefined) return undefined;
  const [major, minor] = deviceOf(file.dev);
  for (const [, pid, inMajor, inMinor, inode] of locks.matchAll(LOCK)) {
    const isOurs = Number(pid) === process.pid || Number(pid) <= 0;
    const isThere =
      Number.parseInt(inMajor ?? '', HEX) === Number(major) && Number.parseInt(inMinor ?? '', HEX) === Number(minor);
    if (!isOurs && isThere && inode === String(file.ino)) return Number(pid);
  }
  return undefined;
}

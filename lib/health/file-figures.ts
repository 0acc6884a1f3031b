/** What the file system tells about the files of a database. Opens none of them, so SQLite's locks stay in place. */
import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The files of a database. */
export interface FileFigures {
  /** Device and inode; null when there is no file of that name. */
  readonly identity: string | null;
  readonly databaseBytes: number;
  readonly walBytes: number;
  /** Names of those that others than the owner may read or write, with their mode. */
  readonly open: string[];
}

const isMissing = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ENOENT';

const statOrNull = (path: string) =>
  stat(path).catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });

const OTHERS = 0o077; // what is wider than 0600

/** @throws what the file system throws; a file that is not there is no error */
export async function filesOf(database: string): Promise<FileFigures> {
  const paths = ['', '-wal', '-shm'].map((suffix) => `${database}${suffix}`);
  const found = await Promise.all(paths.map(statOrNull));
  const [main, wal] = found;
  const open = found.flatMap((stats, place) => {
    const isOpen = stats != null && process.platform !== 'win32' && (stats.mode & OTHERS) !== 0;
    return isOpen ? [`${paths[place]} (${(stats.mode & 0o777).toString(8)})`] : [];
  });
  return {
    identity: main ? `${main.dev}:${main.ino}` : null,
    databaseBytes: main?.size ?? 0,
    walBytes: wal?.size ?? 0,
    open,
  };
}

/** Bytes that an ordinary user may still fill on the disk of a database. @throws what the file system throws */
export async function freeBytesOf(database: string): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(database));
  return bavail * bsize;
}

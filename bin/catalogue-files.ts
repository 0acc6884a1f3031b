/**
 * Which files are the open catalogue itself. No other code of this process may open them: closing any descriptor of
 * theirs drops SQLite's locks (https://sqlite.org/howtocorrupt.html, section 2.2). Looking at them with stat is safe.
 */
import type { BigIntStats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { systemCode } from './system-error.ts';

const SUFFIXES = ['', '-wal', '-shm', '-journal'];

/** Knows a database's files by inode, so also their hard links, and by path, so also a log that SQLite makes again. */
export interface CatalogueFiles {
  hasInode(stats: BigIntStats): boolean;
  /** The path from the folder, with forward slashes. */
  hasPath(relativePath: string): boolean;
}

const inodeOf = ({ dev, ino }: BigIntStats) => `${dev}:${ino}`;

async function inodeAt(path: string): Promise<string | undefined> {
  try {
    return inodeOf(await stat(path, { bigint: true }));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The files of a database that is open, as seen from a folder. */
export async function catalogueFiles(database: string, folder: string): Promise<CatalogueFiles> {
  const [realDatabase, realFolder] = await Promise.all([realpath(database), realpath(folder)]);
  const paths = SUFFIXES.map((suffix) => `${realDatabase}${suffix}`);
  const inodes = new Set(await Promise.all(paths.map(inodeAt)));
  const relativePaths = new Set(paths.map((path) => relative(realFolder, path).replaceAll(sep, '/')));
  return {
    hasInode: (stats) => inodes.has(inodeOf(stats)),
    hasPath: (relativePath) => relativePaths.has(relativePath),
  };
}

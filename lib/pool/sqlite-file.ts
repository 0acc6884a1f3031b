/**
 * The files of a SQLite database in the file system. Opens none of them: closing any descriptor of the file would drop
 * the locks of this process (https://sqlite.org/howtocorrupt.html, section 2.2).
 */

import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { freeBytesOf } from '../runtime/disk-space.ts';
import { hasCode } from '../runtime/thrown.ts';
import type { DatabaseFile, FileFigures } from '../sql/engine.ts';
import { secondName } from './file-place.ts';

const statOrNull = (path: string) =>
  stat(path).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });

const OTHERS = 0o077; // permissions beyond 0600

/** The file, its write-ahead log and the log's index. */
export class SqliteFile implements DatabaseFile {
  readonly path: string;
  readonly holdWriter: DatabaseFile['holdWriter'];

  constructor(path: string, holdWriter: DatabaseFile['holdWriter']) {
    this.path = path;
    this.holdWriter = holdWriter;
  }

  async figures(): Promise<FileFigures> {
    const paths = ['', '-wal', '-shm'].map((suffix) => `${this.path}${suffix}`);
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
      secondName: (await secondName(this.path)) ?? null,
    };
  }

  freeBytes(): Promise<number> {
    return freeBytesOf(dirname(this.path));
  }
}

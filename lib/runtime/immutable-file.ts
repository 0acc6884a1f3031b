/**
 * A database read as one that nobody writes: SQLite takes no lock then and makes no file beside it, so the folder need not
 * be writable. Nothing keeps others from writing the file all the same; whoever reads it so asks afterwards whether they did.
 */
import { statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import Database from 'better-sqlite3';
import { DatabaseError } from '../errors.ts';

// stat opens no descriptor, so it leaves the locks of this process alone.
const statOf = (path: string) => statSync(path, { bigint: true, throwIfNoEntry: false });

const isEmpty = (path: string) => (statOf(path)?.size ?? 0n) === 0n;

/** Tells a file from what it is once somebody has written it; undefined while somebody does, or where it cannot be seen. */
function stateOf(path: string): string | undefined {
  try {
    const stats = statOf(path);
    if (stats === undefined || !isEmpty(`${path}-wal`) || !isEmpty(`${path}-journal`)) return undefined;
    const { dev, ino, size, mtimeNs } = stats;
    return [dev, ino, size, mtimeNs].join(' ');
  } catch {
    return undefined;
  }
}

/** Whether everybody who wrote a database has closed it: no log holds changes that the file lacks. */
export const isClosed = (path: string): boolean => stateOf(path) !== undefined;

/**
 * Lets this process open files by URI, which says how. Only for a process of the library's own, before it opens anything:
 * the driver reads the variable once, and from then on every name of a database may be a URI.
 */
export function takeUris(): void {
  process.env['SQLITE_USE_URI'] = '1';
}

/** A closed database, as it was before it was opened. */
export class ImmutableFile {
  readonly #path: string;
  readonly #state: string;

  private constructor(path: string, state: string) {
    this.#path = path;
    this.#state = state;
  }

  /** The file as it is now; undefined while somebody writes it. */
  static at(path: string): ImmutableFile | undefined {
    const state = stateOf(path);
    return state === undefined ? undefined : new ImmutableFile(path, state);
  }

  /** Opens it, in a process that takes URIs. */
  open(timeout: number): Database.Database {
    const url = pathToFileURL(this.#path);
    url.search = '?immutable=1';
    return new Database(url.href, { readonly: true, fileMustExist: true, timeout });
  }

  /** The error of what was read, which may be a mix of two states; undefined while nobody has written the file. */
  get overtaken(): DatabaseError | undefined {
    if (stateOf(this.#path) === this.#state) return undefined;
    return new DatabaseError(
      'CATALOG_BUSY',
      `${this.#path} was written while it was read as a file that nobody writes`,
      {
        hint: 'Make the call again: it reads beside the other process then, where permissions let it.',
      },
    );
  }
}

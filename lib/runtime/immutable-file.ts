/**
 * Reads a database as an immutable file: SQLite takes no lock and creates no file beside it, so the folder need not be
 * writable. Others may still write the file, so the reader checks afterwards whether they did.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import Database from 'better-sqlite3';
import { DatabaseError } from '../errors.ts';

// stat opens no descriptor, so the locks of this process stay.
const statOf = (path: string) => statSync(path, { bigint: true, throwIfNoEntry: false });

const isEmpty = (path: string) => (statOf(path)?.size ?? 0n) === 0n;

/** A value that changes when somebody writes the file; undefined while somebody does, or if the file cannot be seen. */
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

/** Whether every writer has closed a database, so that no log holds changes that the file lacks. */
export const isClosed = (path: string): boolean => stateOf(path) !== undefined;

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether reading a closed file would leave a log beside it that the reader cannot remove and the owner of the file may
 * not be able to write.
 */
export const wouldLeaveLog = (path: string): boolean =>
  isClosed(path) && statOf(`${path}-shm`) === undefined && !mayWrite(path);

/**
 * Lets this process open files by URI, whose parameters say how. Only for processes of the library, before they open
 * anything: the driver reads the variable once, and from then on any database name may be a URI.
 */
export function takeUris(): void {
  process.env['SQLITE_USE_URI'] = '1';
}

/** A closed database and its state before opening. */
export class ImmutableFile {
  readonly #path: string;
  readonly #state: string;

  private constructor(path: string, state: string) {
    this.#path = path;
    this.#state = state;
  }

  /** The file in its present state; undefined while somebody writes it. */
  static at(path: string): ImmutableFile | undefined {
    const state = stateOf(path);
    return state === undefined ? undefined : new ImmutableFile(path, state);
  }

  /** Opens it, in a process that accepts URIs. */
  open(timeout: number): Database.Database {
    const url = pathToFileURL(this.#path);
    url.search = '?immutable=1';
    return new Database(url.href, { readonly: true, fileMustExist: true, timeout });
  }

  /**
   * The error for rows read since the file was written, which may mix two states; undefined if nobody has written it.
   */
  get overtaken(): DatabaseError | undefined {
    if (stateOf(this.#path) === this.#state) return undefined;
    return new DatabaseError('CATALOG_BUSY', `${this.#path} was written while it was being read without locks`, {
      hint: 'Repeat the call: it then takes locks, if permissions allow.',
    });
  }
}

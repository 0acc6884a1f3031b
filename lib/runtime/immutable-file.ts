/**
 * A database read as one that nobody writes: SQLite takes no lock then and makes no file beside it, so the folder need not
 * be writable. Nothing keeps others from writing the file all the same; whoever reads it so asks afterwards whether they did.
 */
import { pathToFileURL } from 'node:url';
import Database from 'better-sqlite3';
import { DatabaseError } from '../errors.ts';
import { stateOfClosed } from './closed-file.ts';

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
    const state = stateOfClosed(path);
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
    if (stateOfClosed(this.#path) === this.#state) return undefined;
    return new DatabaseError(
      'CATALOG_BUSY',
      `${this.#path} was written while it was read as a file that nobody writes`,
      {
        hint: 'Make the call again: it reads beside the other process then, where permissions let it.',
      },
    );
  }
}

/**
 * Reads a database as an immutable file: SQLite takes no lock and creates no file beside it, so the folder need not be
 * writable. Others may still write the file, so the reader checks afterwards whether they did.
 */
import { pathToFileURL } from 'node:url';
import Database from 'better-sqlite3';
import { DatabaseError } from '../errors.ts';
import { stateOfClosed } from './closed-file.ts';

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
    const state = stateOfClosed(path);
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
    if (stateOfClosed(this.#path) === this.#state) return undefined;
    return new DatabaseError('CATALOG_BUSY', `${this.#path} was written while it was being read without locks`, {
      hint: 'Repeat the call: it then takes locks, if permissions allow.',
    });
  }
}

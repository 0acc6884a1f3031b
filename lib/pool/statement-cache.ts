/**
 * The prepared statements of one connection; the least recently used are dropped first. Preparing a lookup costs four
 * times as much as running it, so every statement goes through here. Statements run to completion at once, so none is
 * in use when dropped. SQL that would end the surrounding transaction or reach another file is refused.
 */
import type { Database, Statement } from 'better-sqlite3';
import { FOUND, PREPARED, STATEMENT_COUNTS } from './protocol.ts';
import { assertNoControl } from './sqlite-statements.ts';

const MAX_STATEMENTS = 256; // three times as many as all procedures use; about 10 KB each

// A PRAGMA returns the value at its preparation, so a statement that reads this one is not cached.
const TIMEOUT = /busy_timeout/i;

/** The statements of one text: one returns rows as objects, the other as tuples. */
interface Prepared {
  objects?: Statement<unknown[]>;
  tuples?: Statement<unknown[]>;
}

/** A bounded cache of prepared statements over one connection. */
export class StatementCache {
  readonly #database: Database;
  // Keyed by the text alone: a composed key would have to be hashed at each lookup.
  readonly #byText = new Map<string, Prepared>();
  readonly #limit: number;
  readonly #counts: Float64Array;
  readonly #beforeTimeout: () => void;

  /**
   * @param counts shared memory that counts the statements found and prepared
   * @param beforeTimeout called before preparing a statement that may read how long the connection waits for locks
   */
  constructor(
    database: Database,
    limit = MAX_STATEMENTS,
    counts: Float64Array = new Float64Array(STATEMENT_COUNTS),
    beforeTimeout: () => void = () => undefined,
  ) {
    this.#database = database;
    this.#limit = limit;
    this.#counts = counts;
    this.#beforeTimeout = beforeTimeout;
  }

  /** Number of cached texts. */
  get size(): number {
    return this.#byText.size;
  }

  /** The prepared statement of a text; `raw` statements return tuples and are cached separately. */
  get(text: string, raw: boolean): Statement<unknown[]> {
    const known = this.#byText.get(text);
    const found = raw ? known?.tuples : known?.objects;
    if (known !== undefined) this.#touch(text, known);
    if (found === undefined) return this.#prepare(text, raw, known ?? {});
    this.#counts[FOUND] = (this.#counts[FOUND] ?? 0) + 1;
    return found;
  }

  #prepare(text: string, raw: boolean, kept: Prepared): Statement<unknown[]> {
    assertNoControl(text);
    const asksTimeout = TIMEOUT.test(text);
    if (asksTimeout) this.#beforeTimeout();
    const prepared = this.#database.prepare<unknown[]>(text);
    this.#counts[PREPARED] = (this.#counts[PREPARED] ?? 0) + 1;
    if (raw && prepared.reader) prepared.raw(true);
    if (asksTimeout) return prepared;
    kept[raw ? 'tuples' : 'objects'] = prepared;
    this.#byText.set(text, kept);
    if (this.#byText.size > this.#limit) {
      const [oldest] = this.#byText.keys();
      if (oldest !== undefined) this.#byText.delete(oldest);
    }
    return prepared;
  }

  // Moving a key costs a delete and an insert, so it happens only when the cache is nearly full.
  #touch(text: string, prepared: Prepared): void {
    if (this.#byText.size * 2 <= this.#limit) return;
    this.#byText.delete(text);
    this.#byText.set(text, prepared);
  }
}

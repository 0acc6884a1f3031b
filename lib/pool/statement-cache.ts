/**
 * Prepared statements of one connection, the least recently used dropped first. Preparing costs four times what
 * running a prepared lookup does, so every statement passes here. Statements are run to their end at once, so none is
 * in use when it is dropped. Text that would end the surrounding transaction, or reach another file, is refused.
 */
import type { Database, Statement } from 'better-sqlite3';
import { FOUND, PREPARED, STATEMENT_COUNTS } from './protocol.ts';
import { assertNoControl } from './sqlite-statements.ts';

const MAX_STATEMENTS = 256; // three times what all procedures together use; about 10 KB each

// A PRAGMA answers with what was set when it was prepared, so a statement that asks for this one is not kept.
const TIMEOUT = /busy_timeout/i;

/** The statements of one text: rows come as objects or as tuples, and a statement does one of them. */
interface Prepared {
  objects?: Statement<unknown[]>;
  tuples?: Statement<unknown[]>;
}

/** A bounded cache of prepared statements over one connection. */
export class StatementCache {
  readonly #database: Database;
  // By the text alone: a key put together for each look-up would have to be read through each time.
  readonly #byText = new Map<string, Prepared>();
  readonly #limit: number;
  readonly #counts: Float64Array;
  readonly #beforeTimeout: () => void;

  /**
   * @param counts where what is found and what is prepared is counted, for whoever shares it
   * @param beforeTimeout called before a statement is prepared that may ask how long the connection waits for locks
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

  /** Texts whose statements are held. */
  get size(): number {
    return this.#byText.size;
  }

  /** The prepared statement of a text; `raw` rows are tuples and have statements of their own. */
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

  // Moving a key costs a delete and an insert, so it is only done once the cache is full enough to drop anything.
  #touch(text: string, prepared: Prepared): void {
    if (this.#byText.size * 2 <= this.#limit) return;
    this.#byText.delete(text);
    this.#byText.set(text, prepared);
  }
}

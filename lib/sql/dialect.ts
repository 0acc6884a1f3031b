/**
 * The SQL in which engines differ, as one table of values: domain code asks the dialect it is handed and never which
 * engine runs it. All other statements keep to the SQL that SQLite and PostgreSQL share. An engine brings its own
 * dialect; here is only the contract.
 */
import type { Sql } from './template.ts';

/** The SQL of one engine, where engines differ. */
export interface Dialect {
  readonly name: 'sqlite' | 'postgresql';
  /** The text of a statement with this engine's placeholders. */
  text(sql: Sql): string;
  /**
   * Checks a statement that a user wrote, before it is queued.
   * @throws {ValidationError} for one that controls transactions, reaches other files or changes settings
   */
  assertUsersStatement(text: string): void;

  /**
   * A bound value that the planner does not look at, where looking at it means to prepare the statement again for each
   * value; the plain bound value elsewhere.
   */
  unplanned(value: unknown): Sql;
  /** A binary column as lower-case hex digits; NULL stays NULL. */
  hex(column: string): Sql;
  /** A numeric column as a floating-point number of 8 bytes, whose sums never overflow. */
  float(column: string): Sql;
  /** The bytes that a column counts for: a whole number from 0 to 2^53-1, 0 for anything else that another program stored. */
  countedBytes(column: string): Sql;
  /** The sum of those bytes, 0 for no rows: exact up to 2^63, rounded beyond; never an overflow. */
  sumOfBytes(column: string): Sql;
  /** The greater of two values, neither of which is NULL. */
  greater(one: Sql, other: Sql): Sql;
  /** Stands after a table and holds the planner to one index of it; empty where the planner takes no orders. */
  through(index: string): Sql;

  /** Answers with a row if there is a table of this name. */
  hasTable(name: string): Sql;
  /** Answers with a row if there is an index of this name. */
  hasIndex(name: string): Sql;
  /** Lists the tables that are not the engine's own, as `name`. */
  tables(): Sql;
  /** Lists the views, as `name`. */
  views(): Sql;
  /** Lists the indexes with a name of their own, as `name` and `table`. */
  indexes(): Sql;
  /** The highest number ever given to a row of a table that numbers its rows, as `id`. */
  highestId(table: string): Sql;
  /** The database's `pageSize` in bytes, `pageCount` and `freePages`. */
  pages(): Sql;
  /** Lists what is wrong with the pages of the database, as `problem`, at most `limit` rows; no row where nothing is. */
  problems(limit: number): Sql;
}

/** A fragment that depends on the dialect, built once for each. */
export function perDialect<Value extends object>(build: (dialect: Dialect) => Value): (dialect: Dialect) => Value {
  const built = new WeakMap<Dialect, Value>();
  return (dialect) => {
    const value = built.get(dialect) ?? build(dialect);
    built.set(dialect, value);
    return value;
  };
}

/**
 * The SQL in which engines differ, as one table of values: domain code asks its dialect, never which engine runs it.
 * All other statements use the SQL that SQLite and PostgreSQL share. Each engine provides its dialect; this is the
 * contract.
 */
import type { Sql } from './template.ts';

/** The engine-specific SQL of one engine. */
export interface Dialect {
  readonly name: 'sqlite' | 'postgresql';
  /** The text of a statement with this engine's placeholders. */
  text(sql: Sql): string;
  /**
   * Checks a statement that a user wrote, before it is queued.
   * @throws {ValidationError} for a statement that controls transactions, reaches other files or changes settings
   */
  assertUsersStatement(text: string): void;

  /**
   * A bound value hidden from the planner, if the planner would otherwise prepare the statement again for each value;
   * elsewhere the plain bound value.
   */
  unplanned(value: unknown): Sql;
  /** A binary column as lower-case hex digits; NULL stays NULL. */
  hex(column: string): Sql;
  /** A numeric column as a floating-point number of 8 bytes, whose sums never overflow. */
  float(column: string): Sql;
  /** The size in a column: a whole number from 0 to 2^53-1; anything else that another program stored counts as 0. */
  countedBytes(column: string): Sql;
  /** The sum of such sizes, 0 for no rows: exact up to 2^63, rounded above; it never overflows. */
  sumOfBytes(column: string): Sql;
  /** The greater of two values that are not NULL. */
  greater(one: Sql, other: Sql): Sql;
  /** Follows a table name and makes the planner use one index; empty if the planner cannot be told. */
  through(index: string): Sql;

  /** Returns a row if there is a table of this name. */
  hasTable(name: string): Sql;
  /** Returns a row if there is an index of this name. */
  hasIndex(name: string): Sql;
  /** Lists the tables, without the engine's internal ones, as `name`. */
  tables(): Sql;
  /** Lists the views, as `name`. */
  views(): Sql;
  /** Lists the named indexes, as `name` and `table`. */
  indexes(): Sql;
  /** Lists the triggers, as `name`. */
  triggers(): Sql;
  /** The highest row number that a table with AUTOINCREMENT has ever assigned, as `id`. */
  highestId(table: string): Sql;
  /** The database's `pageSize` in bytes, `pageCount` and `freePages`. */
  pages(): Sql;
  /** Lists the problems of the database's pages, as `problem`, at most `limit` rows; none if it is sound. */
  problems(limit: number): Sql;
}

/** A fragment that depends on the dialect, built once for each dialect. */
export function perDialect<Value extends object>(build: (dialect: Dialect) => Value): (dialect: Dialect) => Value {
  const built = new WeakMap<Dialect, Value>();
  return (dialect) => {
    const value = built.get(dialect) ?? build(dialect);
    built.set(dialect, value);
    return value;
  };
}

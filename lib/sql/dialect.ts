/**
 * The few SQL texts in which SQLite and PostgreSQL differ, as values of one table: domain code asks the dialect it is
 * handed and never which engine runs it. Everything else keeps to the SQL both share.
 */
import { raw, type Sql, sql } from './template.ts';

/** What an engine's SQL looks like where engines differ. */
export interface Dialect {
  readonly name: 'sqlite' | 'postgresql';
  /** The text of a statement with this engine's placeholders. */
  text(sql: Sql): string;
  /** A binary column as lower-case hex digits, NULL staying NULL. */
  hex(column: string): Sql;
  /** Lists the tables that are not the engine's own, as `name`. */
  tables(): Sql;
  /** Lists the indexes with a name of their own, as `name` and `table`. */
  indexes(): Sql;
  /** The highest number ever given to a row of a table that numbers its rows, as `id`. */
  highestId(table: string): Sql;
  /** The database's `pageSize` in bytes, `pageCount` and `freePages`. */
  pages(): Sql;
}

export const sqliteDialect: Dialect = Object.freeze({
  name: 'sqlite',
  text: (sql: Sql) => sql.sql,
  // hex(NULL) is '' in SQLite, and old servers left NULL keys behind.
  hex: (column: string) => raw(`CASE WHEN ${column} IS NULL THEN NULL ELSE lower(hex(${column})) END`),
  tables: () => raw(`SELECT name AS "name" FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'`),
  indexes: () =>
    raw(`SELECT name AS "name", tbl_name AS "table" FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL
      ORDER BY tbl_name, name`),
  highestId: (table: string) => sql`SELECT seq AS "id" FROM sqlite_sequence WHERE name = ${table}`,
  pages: () =>
    raw(`SELECT page_size AS "pageSize", page_count AS "pageCount", freelist_count AS "freePages"
      FROM pragma_page_size, pragma_page_count, pragma_freelist_count`),
});

/** A fragment that depends on the dialect, built once for each. */
export function perDialect<Value extends object>(build: (dialect: Dialect) => Value): (dialect: Dialect) => Value {
  const built = new WeakMap<Dialect, Value>();
  return (dialect) => {
    const value = built.get(dialect) ?? build(dialect);
    built.set(dialect, value);
    return value;
  };
}

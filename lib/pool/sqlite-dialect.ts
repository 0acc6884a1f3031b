/** SQLite's dialect: its schema tables, pragmas and types, by the contract of sql/dialect.ts. */
import type { Dialect } from '../sql/dialect.ts';
import { raw, type Sql, sql } from '../sql/template.ts';
import { assertUsersStatement } from './sqlite-statements.ts';

const exists = (type: 'table' | 'index', name: string): Sql =>
  sql`SELECT 1 AS "found" FROM sqlite_schema WHERE type = ${type} AND name = ${name}`;

const counted = (column: string) =>
  `(CASE WHEN typeof(${column}) = 'integer' AND ${column} BETWEEN 0 AND 9007199254740991 THEN ${column} ELSE 0 END)`;

export const sqliteDialect: Dialect = Object.freeze({
  name: 'sqlite',
  text: (statement: Sql) => statement.sql,
  assertUsersStatement,

  // Without it, a value compared by `=` in a join or bound to LIMIT makes a lookup in two tables take 20 us instead of
  // 2.
  unplanned: (value: unknown) => sql`(SELECT ${value})`,
  // hex(NULL) is '' in SQLite, and old servers left NULL keys.
  hex: (column: string) => raw(`CASE WHEN ${column} IS NULL THEN NULL ELSE lower(hex(${column})) END`),
  // Integer sums above 2^63 abort the statement.
  float: (column: string) => raw(`CAST(${column} AS REAL)`),
  countedBytes: (column: string) => raw(counted(column)),
  // In two parts: SQLite's sum() throws "integer overflow" above 2^63, and as REAL it loses digits above 2^53.
  sumOfBytes: (column: string) =>
    raw(`coalesce(sum(${counted(column)} >> 22) * 4194304 + sum(${counted(column)} & 4194303), 0)`),
  greater: (one: Sql, other: Sql) => sql`max(${one}, ${other})`,
  through: (index: string) => raw(`INDEXED BY ${index}`),

  hasTable: (name: string) => exists('table', name),
  hasIndex: (name: string) => exists('index', name),
  tables: () => raw(`SELECT name AS "name" FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'`),
  views: () => raw(`SELECT name AS "name" FROM sqlite_schema WHERE type = 'view'`),
  indexes: () =>
    raw(`SELECT name AS "name", tbl_name AS "table" FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL
      ORDER BY tbl_name, name`),
  triggers: () => raw(`SELECT name AS "name" FROM sqlite_schema WHERE type = 'trigger'`),
  highestId: (table: string) => sql`SELECT seq AS "id" FROM sqlite_sequence WHERE name = ${table}`,
  pages: () =>
    raw(`SELECT page_size AS "pageSize", page_count AS "pageCount", freelist_count AS "freePages"
      FROM pragma_page_size, pragma_page_count, pragma_freelist_count`),
  // Rows that break a rule are no damage, and SQLite knows no CHECK of a file that it opens only to read, as backups
  // are.
  problems: (limit: number) =>
    sql`SELECT quick_check AS "problem" FROM pragma_quick_check WHERE quick_check <> 'ok'
      AND quick_check NOT GLOB 'CHECK constraint failed in *' LIMIT ${limit}`,
});

/**
 * The caller's SQL: reads run on a reader, changes in a commit group. Transaction control, other files and settings are
 * refused. Values are bound, never logged, and stored unchanged.
 */

import { ValidationError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import { type Procedure, procedure, type RunResult, type Steps, type Table, table } from '../sql/procedure.ts';
import { written } from '../sql/template.ts';
import {
  checkNumber,
  checkObject,
  checkSignal,
  dateOf,
  isAbsent,
  isBytes,
  refuse,
  refuseAs,
  refuseSecret,
} from '../validation.ts';
import { MAX_TIMER_MS } from '../values/intervals.ts';

/** A value that a statement can bind. */
export type SqlValue = string | number | bigint | boolean | Date | Uint8Array | null;

/** A result row; a BLOB is a `Uint8Array`. */
export type SqlRow = Record<string, string | number | Uint8Array | null>;

/** The result of a change. */
export interface ExecuteResult {
  readonly changes: number;
  /**
   * The number (SQLite's rowid) of the last row inserted on the writer; meaningless after a statement that inserts
   * none.
   */
  readonly lastInsertRowid: number;
  /** The rows of a RETURNING clause. */
  readonly rows: SqlRow[];
}

/** Options of a reading statement. */
export interface QueryOptions extends CallOptions {
  /**
   * Milliseconds that the statement may take. With a deadline it runs in a separate process, which is killed at the
   * deadline or when the signal fires. Without one, a running statement cannot be stopped.
   */
  readonly deadlineMs?: number | undefined;
}

/** The calls of `db` that take SQL. Values are bound to `?` marks, by position. */
export interface RawSql {
  /**
   * Returns the rows of a reading statement, run on a connection that cannot write.
   * @throws {ValidationError} for a bad statement, value or option; for a deadline inside a transaction
   * @throws {DatabaseError} CATALOG_SQL if SQLite refuses the statement, CATALOG_READ_ONLY if it writes,
   *   CATALOG_TIMEOUT if it misses its deadline
   */
  query(sql: string, params?: readonly SqlValue[], options?: QueryOptions): Promise<SqlRow[]>;

  /**
   * Executes one statement on the writer, in its own transaction.
   * @throws {ValidationError} for BEGIN, COMMIT, ATTACH, writing PRAGMAs and values that cannot be bound
   * @throws {DatabaseError} CATALOG_SQL if SQLite refuses the statement, CATALOG_CONFLICT for a broken constraint
   */
  execute(sql: string, params?: readonly SqlValue[], options?: CallOptions): Promise<ExecuteResult>;

  /**
   * Executes one statement once for each list of values, all in one transaction.
   * @returns the total number of changes
   * @throws as {@link RawSql.execute}
   */
  executeMany(sql: string, list: readonly (readonly SqlValue[])[], options?: CallOptions): Promise<number>;
}

interface Statement {
  readonly text: string;
  readonly values: readonly Stored[];
}

type Stored = string | number | bigint | Uint8Array | null;
type Change = Table & RunResult;

const toRows = ({ columns, rows }: Table): SqlRow[] =>
  rows.map((row) => Object.fromEntries(columns.map((name, position) => [name, row[position] as SqlRow[string]])));

export const queryRaw = procedure(
  'sql.query',
  'read',
  function* (statement: Statement): Steps<Table> {
    return yield* table(written(statement));
  },
  { decode: toRows, alone: true },
);

export const executeRaw = procedure(
  'sql.execute',
  'write',
  function* (statement: Statement): Steps<Change> {
    return (yield* table(written(statement))) as Change;
  },
  {
    decode: ({ changes, lastInsertRowid, ...found }): ExecuteResult => ({
      changes,
      lastInsertRowid,
      rows: toRows(found),
    }),
  },
);

export const executeManyRaw = procedure(
  'sql.executeMany',
  'write',
  function* ({ text, list }: { readonly text: string; readonly list: readonly (readonly Stored[])[] }): Steps<number> {
    let total = 0;
    for (const values of list) total += ((yield* table(written({ text, values }))) as Change).changes;
    return total;
  },
);

function checkText(sql: unknown, dialect: Dialect): string {
  if (typeof sql !== 'string' || sql.trim() === '') return refuse('sql', sql, 'one SQL statement');
  if (sql.includes('\0') || !sql.isWellFormed())
    return refuseAs('sql', 'a text with NUL or a lone surrogate', 'SQL text');
  dialect.assertUsersStatement(sql);
  return sql;
}

function checkValue(value: unknown, position: number): Stored {
  if (value === null || typeof value === 'string' || typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (isBytes(value)) return Uint8Array.from(value);
  const date = dateOf(value);
  if (date !== undefined && !Number.isNaN(date.getTime())) return date.toISOString();
  const accepted = 'a text, finite number, bigint, boolean, valid Date, Uint8Array or null';
  // Do not show the value: it may be a key.
  const received = date === undefined ? `a value of type ${typeof value}` : 'an invalid Date';
  throw new ValidationError({ field: `params[${position}]`, received, accepted });
}

function checkValues(params: unknown): Stored[] {
  return Array.isArray(params)
    ? params.map(checkValue)
    : refuseSecret('params', params, 'an array of values for the ? marks');
}

/**
 * Runs a reading procedure in a separate process.
 * @internal
 */
export type ReadApart = <Input, Output>(
  wanted: Procedure<Input, Output>,
  input: Input,
  options: CallOptions & { readonly deadlineMs: number },
) => Promise<Output>;

const QUERY_KEYS = new Set(['signal', 'deadlineMs']);

/**
 * Builds the calls of `db` that take SQL; without `readApart`, as inside a transaction, reads accept no deadline.
 * @internal
 */
export const rawSqlOf = (executor: Executor, dialect: Dialect, readApart?: ReadApart): RawSql => ({
  async query(sql, params = [], options = {}) {
    const statement = { text: checkText(sql, dialect), values: checkValues(params) };
    const { deadlineMs: given, signal } = checkObject(options, 'options', QUERY_KEYS) as QueryOptions;
    if (isAbsent(given)) return executor.run(queryRaw, statement, { signal });
    const deadlineMs = checkNumber(given, 'deadlineMs', 1, MAX_TIMER_MS);
    if (readApart === undefined) return refuse('deadlineMs', given, 'no deadline here: a transaction has timeoutMs');
    return readApart(queryRaw, statement, { deadlineMs, signal: checkSignal(signal) });
  },

  execute: async (sql, params = [], options) =>
    executor.run(executeRaw, { text: checkText(sql, dialect), values: checkValues(params) }, options),

  async executeMany(sql, list, options) {
    if (!Array.isArray(list)) return refuseSecret('list', list, 'an array of arrays of values');
    return executor.run(executeManyRaw, { text: checkText(sql, dialect), list: list.map(checkValues) }, options);
  },
});

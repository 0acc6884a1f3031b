/**
 * SQL of the caller's own: reads on a reader, changes in a commit group like any other. Transactions, other files and
 * settings are the engine's and refused. Values are bound, never logged, and stored as they are.
 */

import { ValidationError } from '../errors.ts';
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

/** A value a statement can bind. */
export type SqlValue = string | number | bigint | boolean | Date | Uint8Array | null;

/** A row of a statement's own columns; a `Uint8Array` for a BLOB. */
export type SqlRow = Record<string, string | number | Uint8Array | null>;

/** What a change did. */
export interface ExecuteResult {
  readonly changes: number;
  /** The rowid of the last row inserted on the writer; says nothing after a statement that inserts none. */
  readonly lastInsertRowid: number;
  /** The rows of a RETURNING clause. */
  readonly rows: SqlRow[];
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

const OWNED = /^(?:BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|ATTACH|DETACH|VACUUM)$/;

/** PRAGMAs that take an argument and yet only report. */
const REPORTS = new Set(
  (
    'table_info table_xinfo table_list index_info index_xinfo index_list foreign_key_list foreign_key_check ' +
    'integrity_check quick_check'
  ).split(' '),
);

/** PRAGMAs that act without an argument. */
const ACTIONS = new Set(['optimize', 'wal_checkpoint', 'incremental_vacuum', 'shrink_memory']);

const COMMENT = /--[^\n]*(?:\n|$)|\/\*[\s\S]*?(?:\*\/|$)/g;

/** What an EXPLAIN explains is prepared, and a PRAGMA takes effect when it is prepared. */
const EXPLAIN = /^EXPLAIN\s+(?:QUERY\s+PLAN\s+)?/i;

// Temporary objects live on one connection until it is replaced, and hide what has the same name from every later call.
const TEMPORARY = /^CREATE\s+(?:TEMP|TEMPORARY)\b|^CREATE\s[\w\s]*["'`[]?temp["'`\]]?\s*\./i;

function checkText(sql: unknown): string {
  if (typeof sql !== 'string' || sql.trim() === '') return refuse('sql', sql, 'one SQL statement');
  if (sql.includes('\0') || !sql.isWellFormed())
    return refuseAs('sql', 'a text with NUL or a lone surrogate', 'SQL text');
  // Quotes need no care: no statement has any before the words that decide here.
  const body = sql
    .replace(COMMENT, ' ')
    .replace(/^[\s;]+/, '')
    .replace(EXPLAIN, '');
  const keyword = /^[a-z]*/i.exec(body)?.[0].toUpperCase() ?? '';
  if (OWNED.test(keyword)) return refuse('sql', keyword, 'a statement that reads or changes rows (see db.transaction)');
  if (TEMPORARY.test(body)) return refuse('sql', 'CREATE TEMP', 'tables, views and triggers of the database itself');
  if (keyword === 'PRAGMA') checkPragma(body);
  checkPragmaTables(sql);
  return sql;
}

function checkPragma(body: string): void {
  const [, name = '', rest = ''] = /^PRAGMA\s+(?:\w+\s*\.\s*)?(\w+)([\s\S]*)$/i.exec(body) ?? [];
  const isBare = name !== '' && rest.replace(/[\s;]/g, '') === '';
  const reads = isBare ? !ACTIONS.has(name.toLowerCase()) : REPORTS.has(name.toLowerCase());
  if (!reads) refuse('sql', `PRAGMA ${name}`, 'a PRAGMA that only reads, its name without quotes');
}

const PIECE = /"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g;

/** PRAGMAs may also be read as tables, under a name in any quotes; one that acts does so then, whatever the connection. */
function checkPragmaTables(sql: string): void {
  if (!/pragma_/i.test(sql)) return;
  // Comments and texts are none, but SQLite takes a text for a name where it expects one.
  const names = sql.replace(PIECE, (piece) => (/^["`[]|^'pragma_\w+'$/i.test(piece) ? piece : ' '));
  const found = [...names.matchAll(/\bpragma_(\w+)/gi)].find(([, name = '']) => ACTIONS.has(name.toLowerCase()));
  if (found !== undefined) refuse('sql', found[0], 'the tables of PRAGMAs that only read');
}

function checkValue(value: unknown, position: number): Stored {
  if (value === null || typeof value === 'string' || typeof value === 'bigint') return value;
  if (typeof value === 'number' && !Number.isNaN(value)) return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (isBytes(value)) return Uint8Array.from(value);
  const date = dateOf(value);
  if (date !== undefined && !Number.isNaN(date.getTime())) return date.toISOString();
  const accepted = 'a text, number, bigint, boolean, valid Date, Uint8Array or null';
  // The value itself is not shown: it may be a key.
  const received = date === undefined ? `a value of type ${typeof value}` : 'an invalid Date';
  throw new ValidationError({ field: `params[${position}]`, received, accepted });
}

function checkValues(params: unknown): Stored[] {
  return Array.isArray(params)
    ? params.map(checkValue)
    : refuseSecret('params', params, 'an array of values for the ? marks');
}

/** How a reading statement is run. */
export interface QueryOptions extends CallOptions {
  /**
   * Milliseconds that it may take. With it the statement runs in a process of its own, which is ended at the deadline and
   * when the signal fires; without it a statement that has begun is waited for, whatever the signal does.
   */
  readonly deadlineMs?: number | undefined;
}

/** Runs a reading procedure in a process of its own. */
export type ReadApart = <Input, Output>(
  wanted: Procedure<Input, Output>,
  input: Input,
  options: CallOptions & { readonly deadlineMs: number },
) => Promise<Output>;

const QUERY_KEYS = new Set(['signal', 'deadlineMs']);
const MAX_DEADLINE_MS = 2 ** 31 - 1; // the longest delay of a timer

/** The raw SQL calls of `db`; those of a transaction have no process that could see what it has changed. */
export function createRawSql(executor: Executor, readApart?: ReadApart) {
  return {
    /**
     * Rows of a reading statement, on a connection that cannot write.
     * @throws {ValidationError} for a statement, value or option that is not accepted; for a deadline in a transaction
     * @throws {DatabaseError} CATALOG_SQL for one that SQLite refuses, CATALOG_READ_ONLY for one that writes,
     *   CATALOG_TIMEOUT for one that did not end by its deadline
     */
    async query(sql: string, params: readonly SqlValue[] = [], options: QueryOptions = {}): Promise<SqlRow[]> {
      const statement = { text: checkText(sql), values: checkValues(params) };
      const { deadlineMs: given, signal } = checkObject(options, 'options', QUERY_KEYS) as QueryOptions;
      if (isAbsent(given)) return executor.run(queryRaw, statement, { signal });
      const deadlineMs = checkNumber(given, 'deadlineMs', 1, MAX_DEADLINE_MS);
      if (readApart === undefined) return refuse('deadlineMs', given, 'nothing here: a transaction has its timeoutMs');
      return readApart(queryRaw, statement, { deadlineMs, signal: checkSignal(signal) });
    },

    /**
     * Executes one statement on the writer, in a transaction of its own.
     * @throws {ValidationError} for BEGIN, COMMIT, ATTACH, writing PRAGMAs and values that cannot be bound
     * @throws {DatabaseError} CATALOG_SQL, CATALOG_CONFLICT for a broken constraint
     */
    async execute(sql: string, params: readonly SqlValue[] = [], options?: CallOptions): Promise<ExecuteResult> {
      return executor.run(executeRaw, { text: checkText(sql), values: checkValues(params) }, options);
    },

    /** Executes one statement with each list of values, all in one transaction; returns the changes in all. */
    async executeMany(sql: string, list: readonly (readonly SqlValue[])[], options?: CallOptions): Promise<number> {
      if (!Array.isArray(list)) return refuseSecret('list', list, 'an array of arrays of values');
      return executor.run(executeManyRaw, { text: checkText(sql), list: list.map(checkValues) }, options);
    },
  };
}

/** The raw SQL calls of `db`. */
export type RawSql = ReturnType<typeof createRawSql>;

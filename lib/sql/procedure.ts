/**
 * A procedure is a generator that yields SQL statements and returns a result: all domain code is procedures. The same
 * generator runs synchronously inside a SQLite thread (so that many share one commit) or asynchronously against a
 * server. `await` inside one is a syntax error, so no procedure can do other work inside a transaction.
 */

import type { Dialect } from './dialect.ts';
import type { Sql } from './template.ts';

/** Declared by each procedure, never guessed from the SQL text. */
export type Intent = 'read' | 'write';

/**
 * What a statement returns: `one` an object or undefined, `all` objects, `row` a tuple or undefined, `rows` tuples,
 * `table` tuples with their column names, `run` the number of changed rows.
 */
export type StepMode = 'one' | 'all' | 'row' | 'rows' | 'table' | 'run';

/** One statement on its way to an engine. */
export interface Step {
  readonly mode: StepMode;
  readonly sql: Sql;
}

/** The generator of a procedure. */
export type Steps<Result> = Generator<Step, Result, unknown>;

/** The result of a writing statement. */
export interface RunResult {
  readonly changes: number;
  /** The number of the last row inserted on this connection; 0 if rows are not numbered (`supports.rowids`). */
  readonly lastInsertRowid: number;
}

/** Rows of a statement whose columns are unknown in advance. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

const PROCEDURE = Symbol.for('backup-catalog.procedure');

/**
 * A named piece of domain code. `Wire` is the result that leaves the engine's thread, `Output` the one that the caller
 * gets.
 */
export interface Procedure<in Input, out Output> {
  readonly name: string;
  readonly intent: Intent;
  /** Runs in its own batch, so that short neighbours do not wait for it. */
  readonly alone: boolean;
  /** Reads few rows, so the writer may answer it while no reader is open. */
  readonly brief: boolean;
  readonly steps: (input: Input, dialect: Dialect) => Steps<unknown>;
  /** Runs several calls as one if that is cheaper. See {@link ProcedureOptions.together}. */
  readonly together: ((inputs: readonly Input[], dialect: Dialect) => Steps<readonly Settled<unknown>[]>) | undefined;
  readonly decode: (wire: unknown) => Output;
}

/** The outcome of one of several calls that ran as one. A refused call has changed nothing that it must not change. */
export type Settled<Wire> = { readonly value: Wire } | { readonly refused: Error };

/** How a procedure's result reaches the caller, and whether the procedure shares a batch. */
export interface ProcedureOptions<Input, Wire, Output> {
  /**
   * Runs consecutive calls of a commit group as one, in order and with the same results as separate calls. If it
   * throws, the changes of all are rolled back, and each call runs by itself.
   */
  readonly together?: (inputs: readonly Input[], dialect: Dialect) => Steps<readonly Settled<Wire>[]>;
  /** Turns the data that crossed the thread (tuples, flags) into the caller's result, on the caller's side. */
  readonly decode?: (wire: Wire) => Output;
  readonly alone?: boolean;
  readonly brief?: boolean;
}

/**
 * Declares a procedure. `steps` must be repeatable: if a neighbour fails, the whole group runs again. Input and result
 * must survive `structuredClone`.
 */
export function procedure<Input, Wire, Output = Wire>(
  name: string,
  intent: Intent,
  steps: (input: Input, dialect: Dialect) => Steps<Wire>,
  { decode, together, alone = false, brief = false }: ProcedureOptions<Input, Wire, Output> = {},
): Procedure<Input, Output> {
  const identity = (wire: unknown) => wire as Output;
  const declared = {
    name,
    intent,
    alone,
    brief,
    steps,
    together,
    decode: (decode ?? identity) as (wire: unknown) => Output,
  };
  return Object.freeze(Object.assign(declared, { [PROCEDURE]: true }));
}

/** Procedures by name: functions cannot cross threads, names can. */
export type Registry = ReadonlyMap<string, Procedure<never, unknown>>;

/** Whether a value was made by {@link procedure}. */
export const isProcedure = (value: unknown): value is Procedure<never, unknown> =>
  typeof value === 'object' && value !== null && PROCEDURE in value;

/**
 * Collects every procedure that the modules export; two with one name are an error.
 * @internal
 */
export function createRegistry(modules: readonly object[]): Registry {
  const registry = new Map<string, Procedure<never, unknown>>();
  for (const found of modules.flatMap((module) => Object.values(module)).filter(isProcedure)) {
    if (registry.has(found.name) && registry.get(found.name) !== found) {
      throw new TypeError(`two procedures have the name ${found.name}`);
    }
    registry.set(found.name, found);
  }
  return registry;
}

function* step<Answer>(mode: StepMode, sql: Sql): Generator<Step, Answer, unknown> {
  return (yield { mode, sql }) as Answer;
}

/** The first row as an object, or undefined. */
export const one = <Row>(sql: Sql) => step<Row | undefined>('one', sql);
/** Every row as an object. */
export const all = <Row>(sql: Sql) => step<Row[]>('all', sql);
/** The first row as a tuple, or undefined: the cheapest form to send across a thread. */
export const row = <Row extends readonly unknown[]>(sql: Sql) => step<Row | undefined>('row', sql);
/** Every row as a tuple. */
export const rows = <Row extends readonly unknown[]>(sql: Sql) => step<Row[]>('rows', sql);
/** Every row as a tuple, with the names of the columns. */
export const table = (sql: Sql) => step<Table>('table', sql);
/** Executes a change. */
export const run = (sql: Sql) => step<RunResult>('run', sql);

/** Runs a procedure whose statements return synchronously. */
export function driveSync<Result>(steps: Steps<Result>, execute: (step: Step) => unknown): Result {
  let next = steps.next();
  while (!next.done) {
    let answer: unknown;
    try {
      answer = execute(next.value);
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(answer);
  }
  return next.value;
}

/** Runs a procedure whose statements are awaited. */
export async function driveAsync<Result>(
  steps: Steps<Result>,
  execute: (step: Step) => Promise<unknown>,
): Promise<Result> {
  let next = steps.next();
  while (!next.done) {
    let answer: unknown;
    try {
      answer = await execute(next.value);
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(answer);
  }
  return next.value;
}

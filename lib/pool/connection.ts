/**
 * One SQLite connection with every setting that this library relies on. It lives on its own thread, and everything here
 * is synchronous. Transactions over several calls are in transaction.ts.
 */
import type Database from 'better-sqlite3';
import { DatabaseError, ValidationError } from '../errors.ts';
import { ImmutableFile } from '../runtime/immutable-file.ts';
import {
  driveSync,
  type Intent,
  type Registry,
  type RunResult,
  type Settled,
  type Step,
  type Steps,
} from '../sql/procedure.ts';
import { removeEmptyLog } from './empty-log.ts';
import { keepsLog, openDatabase } from './open-database.ts';
import { type Call, type ConnectionSettings, PHASE } from './protocol.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import { classify, classifyStatement, sqliteCode } from './sqlite-errors.ts';
import { StatementCache } from './statement-cache.ts';

const LOCK_POLL_MS = 1; // SQLite's own handler sleeps up to 100 ms and is unfair
const RIVAL_PAUSE_MS = 2; // lets another process write between two groups
const RIVAL_MEMORY_MS = 2_000; // how long to remember another writer

const NO_CHANGE: RunResult = { changes: 0, lastInsertRowid: 0 };

const sleeper = new Int32Array(new SharedArrayBuffer(4));
const sleep = (ms: number) => void Atomics.wait(sleeper, 0, 0, ms);

const notRegistered = (name: string) =>
  new DatabaseError('CATALOG_SQL', `the procedure ${name} is not registered`, {
    hint: 'List the URL of the module that exports it in the option procedureModules.',
  });

const readsOnly = (what: string) =>
  new DatabaseError('CATALOG_READ_ONLY', `${what} writes, but the call was declared as a read`, {
    hint: "Use db.execute for SQL that writes; declare your own writing procedures as 'write'.",
  });

const MAX_SHOWN = 200; // characters of a statement

function undefinedIn(text: string, values: readonly unknown[]): ValidationError {
  const shown = text.replace(/\s+/g, ' ').trim().slice(0, MAX_SHOWN);
  const place = `value ${values.indexOf(undefined) + 1} of ${values.length} in ${shown}`;
  return new ValidationError({ field: 'sql', received: `undefined as ${place}`, accepted: 'null where there is none' });
}

/** A connection that runs procedures by name. */
export class Connection {
  readonly #database: Database.Database;
  readonly #immutable: ImmutableFile | undefined;
  readonly #statements: StatementCache;
  readonly #registry: Registry;
  readonly #busyTimeoutMs: number;
  // With a write-ahead log a writing transaction takes only one lock; with a rollback journal it takes more at COMMIT.
  readonly #locksOnce: boolean;
  #timeoutMs: number;
  readonly #phase: Int32Array;
  readonly #controls = new Map<string, Database.Statement<unknown[]>>();
  #intent: Intent = 'read';
  #rivalSeenAt = Number.NEGATIVE_INFINITY;
  #rolledBackBy: unknown;

  /** Whether the running procedure has tried to change anything: if not, a failure needs no undoing. */
  wrote = false;
  /** Set when a failure leaves the connection's state unknown; it must then be replaced. */
  broken = false;

  /** @throws {DatabaseError} CATALOG_IO, CATALOG_CORRUPT, CATALOG_BUSY: errors of opening */
  constructor(settings: ConnectionSettings, registry: Registry, phase: Int32Array, counts?: Float64Array) {
    this.#immutable = settings.immutable ? ImmutableFile.at(settings.database) : undefined;
    this.#database = openDatabase(settings, this.#immutable);
    const beforeTimeout = () => this.#setTimeout(this.#busyTimeoutMs);
    this.#statements = new StatementCache(this.#database, undefined, counts, beforeTimeout);
    this.#registry = registry;
    this.#busyTimeoutMs = settings.busyTimeoutMs;
    this.#timeoutMs = settings.busyTimeoutMs;
    this.#locksOnce = keepsLog(this.#database);
    this.#phase = phase;
  }

  /** The error for rows of an immutable file that somebody has written meanwhile; undefined otherwise. */
  get overtaken(): DatabaseError | undefined {
    return this.#immutable?.overtaken;
  }

  get inTransaction(): boolean {
    return this.#database.inTransaction;
  }

  /**
   * Runs the procedure of a call inside the current transaction.
   * @throws whatever the procedure throws, with driver errors classified; the failure that made SQLite roll back the
   *   whole transaction, even if the procedure caught it
   */
  run([name, input]: Call, intent: Intent): unknown {
    this.wrote = false;
    const found = this.#registry.get(name);
    if (found === undefined) throw notRegistered(name);
    if (intent === 'read' && found.intent === 'write') throw readsOnly(`the procedure ${name}`);
    this.#intent = found.intent === 'read' ? 'read' : intent; // a read inside a writing transaction is still a read
    return this.#drive(found.steps(input as never, sqliteDialect));
  }

  /** Whether calls of a procedure that follow each other can run as one. */
  runsTogether(name: string): boolean {
    return this.#registry.get(name)?.together !== undefined;
  }

  /** Runs calls of one such procedure as one, inside a transaction under way. @throws as {@link run} */
  runTogether(name: string, inputs: readonly unknown[]): readonly Settled<unknown>[] {
    this.wrote = false;
    const together = this.#registry.get(name)?.together;
    if (together === undefined) throw notRegistered(name);
    this.#intent = 'write';
    return this.#drive(together(inputs as never, sqliteDialect));
  }

  #drive<Result>(steps: Steps<Result>): Result {
    this.#rolledBackBy = undefined;
    const result = driveSync(steps, this.#execute);
    if (this.#rolledBackBy !== undefined) throw this.#rolledBackBy;
    return result;
  }

  readonly #execute = ({ mode, sql }: Step): unknown => {
    // Without the transaction each further statement would be stored at once, whatever the outcome of the call.
    if (this.#rolledBackBy !== undefined) throw this.#rolledBackBy;
    const text = sqliteDialect.text(sql);
    // The driver would store NULL, which the caller did not write. The check costs 10 ns a statement.
    if (sql.values.includes(undefined)) throw undefinedIn(text, sql.values);
    try {
      const statement = this.#statements.get(text, mode === 'row' || mode === 'rows' || mode === 'table');
      if (!statement.readonly) this.#writing(statement);
      return this.#answer(mode, statement, sql.values);
    } catch (error) {
      const failure = classifyStatement(error, text, sql.values);
      if (!this.#database.inTransaction) this.#rolledBackBy = failure;
      throw failure;
    }
  };

  // A reader's connection refuses writes itself; if the writer serves reads, their changes would be rolled back
  // silently. SQLite counts PRAGMAs that only query, such as journal_mode, as writes.
  #writing({ source }: Database.Statement<unknown[]>): void {
    if (this.#intent === 'read' && !/^\s*PRAGMA/i.test(source)) throw readsOnly('the statement');
    this.wrote = true;
  }

  #answer(mode: Step['mode'], statement: Database.Statement<unknown[]>, values: unknown[]): unknown {
    switch (mode) {
      case 'one':
      case 'row':
        return statement.get(values);
      case 'all':
      case 'rows':
        return statement.all(values);
      case 'table':
        return this.#table(statement, values);
      case 'run':
        return this.#change(statement, values);
    }
  }

  #table(statement: Database.Statement<unknown[]>, values: unknown[]): unknown {
    if (!statement.reader) return { columns: [], rows: [], ...this.#change(statement, values) };
    const rows = statement.all(values);
    // Read afterwards: a prepared statement notices a changed schema when it runs.
    const columns = statement.columns().map(({ name }) => name);
    return { columns, rows, ...(statement.readonly ? NO_CHANGE : this.#lastChange()) };
  }

  #change(statement: Database.Statement<unknown[]>, values: unknown[]): RunResult {
    if (statement.reader) {
      statement.all(values);
      return statement.readonly ? NO_CHANGE : this.#lastChange();
    }
    const { changes, lastInsertRowid } = statement.run(values);
    return { changes, lastInsertRowid: Number(lastInsertRowid) };
  }

  // The changes of a statement with a RETURNING clause: the driver reports them only for other statements.
  #lastChange(): RunResult {
    const text = 'SELECT changes() AS changes, last_insert_rowid() AS lastInsertRowid';
    return this.#prepared(text).get() as RunResult;
  }

  /** Executes transaction control, which no procedure may. */
  control(text: 'BEGIN' | 'ROLLBACK' | 'SAVEPOINT one' | 'RELEASE one' | 'ROLLBACK TO one'): void {
    if (text === 'BEGIN') this.#setTimeout(this.#busyTimeoutMs);
    this.#prepared(text).run();
  }

  #prepared(text: string): Database.Statement<unknown[]> {
    const statement = this.#controls.get(text) ?? this.#database.prepare<unknown[]>(text);
    this.#controls.set(text, statement);
    return statement;
  }

  /**
   * Takes the write lock, trying every millisecond until `busyTimeoutMs` has passed.
   * @throws {DatabaseError} CATALOG_BUSY if another process kept it
   */
  beginImmediate(): void {
    const start = performance.now();
    if (start - this.#rivalSeenAt < RIVAL_MEMORY_MS) sleep(RIVAL_PAUSE_MS);
    this.#setTimeout(0);
    try {
      while (!this.#tryBegin(start)) sleep(LOCK_POLL_MS);
    } finally {
      if (!this.#locksOnce) this.#setTimeout(this.#busyTimeoutMs);
    }
  }

  // Setting it costs 25 us, so it stays at 0 between groups of writes and is set only when needed.
  #setTimeout(ms: number): void {
    if (this.#timeoutMs === ms) return;
    this.#database.pragma(`busy_timeout = ${ms}`);
    this.#timeoutMs = ms;
  }

  #tryBegin(start: number): boolean {
    try {
      this.#prepared('BEGIN IMMEDIATE').run();
      return true;
    } catch (error) {
      if (!sqliteCode(error).startsWith('SQLITE_BUSY')) throw classify(error);
      this.#rivalSeenAt = performance.now();
      if (this.#rivalSeenAt - start >= this.#busyTimeoutMs) throw classify(error);
      return false;
    }
  }

  /** Commits, and lets the owner of a dead thread see that it may have committed. @throws the driver's error */
  commit(): void {
    Atomics.store(this.#phase, 0, PHASE.committing);
    this.#prepared('COMMIT').run();
  }

  /** Rolls back if there is anything to roll back; if that fails, the connection is broken. */
  rollback(): void {
    try {
      if (this.#database.inTransaction) this.control('ROLLBACK');
    } catch {
      this.broken = true;
    }
  }

  setForeignKeys(on: boolean): void {
    this.#database.pragma(`foreign_keys = ${on ? 'ON' : 'OFF'}`);
  }

  close(): void {
    this.#database.close();
    if (this.#database.readonly && this.#immutable === undefined) removeEmptyLog(this.#database.name);
  }
}

/**
 * What the library is measured against: better-sqlite3 by hand on the main thread, on the same schema and settings.
 * The statements and values are recorded from the library's own procedures before the clock starts, so they are always
 * the same, and the loops pay neither for making the values nor for shaping the result.
 */
import Database from 'better-sqlite3';
import { saveBatch, saveFile } from '../lib/core/save-file.ts';
import { sqliteDialect } from '../lib/pool/sqlite-dialect.ts';
import { keepIndex } from '../lib/search/search-index.ts';
import { driveSync, type Step } from '../lib/sql/procedure.ts';
import { checkFile, type FileInput } from '../lib/values/file-input.ts';
import { PRAGMAS } from './settings.ts';

type Statement = Database.Statement<unknown[]>;

/** Opens a catalogue by hand, with the library's settings. */
export function openByHand(path: string): Database.Database {
  const database = new Database(path, { fileMustExist: true });
  for (const pragma of PRAGMAS) database.pragma(pragma);
  return database;
}

/** A statement of a save: its text and the form of its result. */
export interface RecordedStatement {
  readonly text: string;
  readonly mode: Step['mode'];
}

/** Saves as the library would execute them: the same statements for each, with different values. */
export interface RecordedSaves {
  readonly statements: readonly RecordedStatement[];
  /** For each save, the values of each statement. */
  readonly values: readonly (readonly unknown[][])[];
}

const isReading = (mode: Step['mode']) => mode !== 'run';

/** Prepares a statement as the library does. */
export function prepare(database: Database.Database, { text, mode }: RecordedStatement): Statement {
  const statement = database.prepare<unknown[]>(text);
  return mode === 'row' || mode === 'rows' ? statement.raw(true) : statement;
}

function executor(database: Database.Database): (step: Step) => unknown {
  const prepared = new Map<string, Statement>();
  return ({ mode, sql }) => {
    const text = sqliteDialect.text(sql);
    const statement = prepared.get(mode + text) ?? prepare(database, { text, mode });
    prepared.set(mode + text, statement);
    if (mode === 'all' || mode === 'rows') return statement.all(sql.values);
    return isReading(mode) ? statement.get(sql.values) : statement.run(sql.values);
  };
}

/**
 * Records the saves of new files on a copy in memory of an empty catalogue with the same clients.
 * @throws when two saves do not execute the same statements
 */
export function recordSaves(emptyCatalogue: Buffer, files: readonly FileInput[]): RecordedSaves {
  const scratch = new Database(emptyCatalogue);
  const execute = executor(scratch);
  const saves = files.map((file) => {
    const steps: (RecordedStatement & { readonly values: unknown[] })[] = [];
    driveSync(saveFile.steps(checkFile(file), sqliteDialect), (step) => {
      steps.push({ text: sqliteDialect.text(step.sql), mode: step.mode, values: step.sql.values });
      return execute(step);
    });
    return steps;
  });
  scratch.close();
  const statements = (saves[0] ?? []).map(({ text, mode }) => ({ text, mode }));
  const expected = JSON.stringify(statements);
  for (const steps of saves) {
    if (JSON.stringify(steps.map(({ text, mode }) => ({ text, mode }))) === expected) continue;
    throw new Error('two saves of new files execute different statements: the loops would do other work');
  }
  return { statements, values: saves.map((steps) => steps.map(({ values }) => values)) };
}

/** A statement with its values. */
export type RecordedStep = RecordedStatement & { readonly values: readonly unknown[] };

/**
 * Records what a stream of new files executes, batch by batch, on a copy in memory of an empty catalogue with the same
 * clients.
 */
export function recordBatches(emptyCatalogue: Buffer, files: readonly FileInput[], size: number): RecordedStep[][] {
  const scratch = new Database(emptyCatalogue);
  const execute = executor(scratch);
  const batches: RecordedStep[][] = [];
  for (let start = 0; start < files.length; start += size) {
    const batch: RecordedStep[] = [];
    const checked = files.slice(start, start + size).map((file) => checkFile(file));
    driveSync(saveBatch.steps(checked, sqliteDialect), (step) => {
      batch.push({ text: sqliteDialect.text(step.sql), mode: step.mode, values: step.sql.values });
      return execute(step);
    });
    batches.push(batch);
  }
  scratch.close();
  return batches;
}

/** The bytes of a catalogue, for {@link recordSaves}; read through SQLite, which may have it open. */
export function catalogueBytes(path: string): Buffer {
  const database = new Database(path, { readonly: true });
  // A copy in memory cannot use a write-ahead log: bytes 18 and 19 of the header say which journal a file has.
  const bytes = database.serialize();
  database.close();
  bytes[18] = 1;
  bytes[19] = 1;
  return bytes;
}

/** Replays recorded saves on one connection. */
export class SaveLoop {
  readonly #database: Database.Database;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #prepared = new Map<string, Statement>();
  readonly #execute: (step: Step) => unknown;

  constructor(database: Database.Database) {
    this.#database = database;
    this.#execute = executor(database);
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
  }

  /** Every statement commits by itself, as a plain loop without a transaction does. */
  autocommit({ statements, values }: RecordedSaves): void {
    const executors = this.#executors(statements);
    for (const save of values) {
      for (const [position, execute] of executors.entries()) execute(save[position] ?? []);
      this.#beforeCommit();
    }
  }

  /** `size` saves per transaction: the limit of what one thread can do. */
  grouped({ statements, values }: RecordedSaves, size: number): void {
    const executors = this.#executors(statements);
    for (let start = 0; start < values.length; start += size) {
      this.#begin.run();
      for (const save of values.slice(start, start + size)) {
        for (const [position, execute] of executors.entries()) execute(save[position] ?? []);
      }
      this.#beforeCommit();
      this.#commit.run();
    }
  }

  /** Each batch of a stream in its own transaction, as the library stores them. */
  batches(recorded: readonly (readonly RecordedStep[])[]): void {
    for (const batch of recorded) {
      this.#begin.run();
      for (const { text, mode, values } of batch) {
        const statement = this.#statement(text, mode);
        if (isReading(mode)) statement.get(values);
        else statement.run(values);
      }
      this.#beforeCommit();
      this.#commit.run();
    }
  }

  // What the library runs once for each of its transactions.
  #beforeCommit(): void {
    driveSync(keepIndex.steps(null, sqliteDialect), this.#execute);
  }

  // Prepared in the first round and kept.
  #executors(statements: readonly RecordedStatement[]): ((values: readonly unknown[]) => unknown)[] {
    return statements.map(({ text, mode }) => {
      const statement = this.#statement(text, mode);
      return isReading(mode) ? (values) => statement.get(values) : (values) => statement.run(values);
    });
  }

  #statement(text: string, mode: Step['mode']): Statement {
    const statement = this.#prepared.get(text) ?? prepare(this.#database, { text, mode });
    this.#prepared.set(text, statement);
    return statement;
  }
}

const TABLES = "SELECT name FROM pragma_table_list WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name";

/** The rows of every ordinary table. */
export function countRows(path: string): Map<string, number> {
  const database = new Database(path, { readonly: true });
  const tables = database.prepare<unknown[], string>(TABLES).pluck().all();
  const counts = tables.map((name): [string, number] => {
    const [count] = database.prepare<unknown[], number>(`SELECT count(*) FROM "${name}"`).pluck().all();
    return [name, count ?? 0];
  });
  database.close();
  return new Map(counts);
}

// Rows wait here until there are enough of them to index together.
const WAITING = 'search_todo';
const MOST_WAITING = 512;

/** Rows that each save added to each table; a table that grows with days or clients gives 0. */
function growth(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>, saves: number): string {
  const perSave = [...after].map(([name, rows]) => {
    const grown = rows - (before.get(name) ?? 0);
    return [name, name === WAITING && grown < MOST_WAITING ? 0 : Math.round(grown / saves)];
  });
  return JSON.stringify(perSave);
}

/** @throws when a save of one contestant left other numbers of rows: then they did not do the same work */
export function assertSameWork(
  before: ReadonlyMap<string, number>,
  contestants: readonly { readonly path: string; readonly saves: number }[],
): void {
  const grown = contestants.map(({ path, saves }) => growth(before, countRows(path), saves));
  if (new Set(grown).size > 1) throw new Error(`the contestants did different work:\n${grown.join('\n')}`);
}

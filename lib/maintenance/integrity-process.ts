/**
 * The process that checks a database in use: it reads the file through SQLite in one read transaction, while the server
 * keeps working. It is a separate process because nothing can interrupt the check of a large or damaged file, but a
 * process can be killed. Prints a line of JSON for each step, and its findings last.
 */

import { writeSync } from 'node:fs';
import Database from 'better-sqlite3';
import { toWireError } from '../errors.ts';
import { wouldLeaveLog } from '../runtime/closed-file.ts';
import { ImmutableFile } from '../runtime/immutable-file.ts';
import { takeUris } from '../runtime/sqlite-uris.ts';
import { codeOf } from '../runtime/thrown.ts';
import { quoted } from '../sql/quoted.ts';
import type { IntegrityFindings, IntegrityLine, IntegrityOrder } from './integrity.ts';

const MAX_PROBLEMS = 20; // the first ones are enough
const BUSY_TIMEOUT_MS = 5_000;

/** One step of the check; returns the problems it finds. */
interface Look {
  readonly step: string;
  readonly find: () => string[];
}

interface IndexRow {
  readonly table: string;
  readonly index: string;
}

// A partial index has fewer rows than its table, so only the complete check judges it.
const INDEXES = `SELECT t.name AS "table", i.name AS "index" FROM pragma_table_list t
  JOIN pragma_index_list(t.name) i WHERE t.schema = 'main' AND t.type = 'table' AND t.wr = 0 AND i.partial = 0
  ORDER BY t.name, i.name`;

/** SQLite's message for a damaged file; other errors say nothing about the file. */
const isDamage = (error: unknown): error is Error => /^SQLITE_(?:CORRUPT|NOTADB)/.test(codeOf(error));

const pragma = (database: Database.Database, name: 'quick_check' | 'integrity_check') => (): string[] => {
  const found = database.prepare(`PRAGMA ${name}(${MAX_PROBLEMS})`).pluck().all().map(String);
  return found.filter((text) => text !== 'ok');
};

/** Compares the number of rows in an index and its table; `count(*)` alone would ignore the named index. */
function indexLooks(database: Database.Database): Look[] {
  const rows = new Map<string, number>();
  const sum = (table: string, how: string) =>
    Number(
      database
        .prepare(`SELECT coalesce(sum(1), 0) FROM ${quoted(table)} ${how}`)
        .pluck()
        .get(),
    );
  const rowsOf = (table: string): number => {
    const known = rows.get(table) ?? sum(table, 'NOT INDEXED');
    rows.set(table, known);
    return known;
  };
  return (database.prepare(INDEXES).all() as IndexRow[]).map(({ table, index }) => ({
    step: `index ${index}`,
    find: () => {
      const [inTable, inIndex] = [rowsOf(table), sum(table, `INDEXED BY ${quoted(index)}`)];
      return inTable === inIndex ? [] : [`the index ${index} leads to ${inIndex} rows, ${table} has ${inTable}`];
    },
  }));
}

function looksAt(database: Database.Database, kind: IntegrityOrder['kind']): Look[] {
  if (kind === 'full') return [{ step: 'integrity', find: pragma(database, 'integrity_check') }];
  return [{ step: 'pages', find: pragma(database, 'quick_check') }, ...indexLooks(database)];
}

const send = (line: IntegrityLine): void => void writeSync(1, `${JSON.stringify(line)}\n`);

function violationsIn(database: Database.Database): number {
  return Number(database.prepare('SELECT count(*) FROM pragma_foreign_key_check').pluck().get());
}

function check(database: Database.Database, kind: IntegrityOrder['kind']): IntegrityFindings {
  const problems: string[] = [];
  const guarded = <Found>(find: () => Found, otherwise: Found): Found => {
    try {
      return find();
    } catch (error) {
      if (!isDamage(error)) throw error;
      problems.push(error.message);
      return otherwise;
    }
  };
  const looks = guarded(() => looksAt(database, kind), []);
  const total = looks.length + 1;
  for (const [done, { step, find }] of looks.entries()) {
    send({ step, done, total });
    problems.push(...guarded(find, []));
  }
  send({ step: 'foreign keys', done: looks.length, total });
  const foreignKeyViolations = guarded<number | null>(() => violationsIn(database), null);
  send({ step: 'foreign keys', done: total, total });
  return { problems: [...new Set(problems)], foreignKeyViolations };
}

function examine(database: Database.Database, kind: IntegrityOrder['kind']): IntegrityFindings {
  try {
    database.pragma('trusted_schema = OFF');
    database.pragma('cell_size_check = ON');
    // One snapshot, so that concurrent commits make no index differ from its table.
    database.exec('BEGIN');
    return check(database, kind);
  } finally {
    database.close();
  }
}

const open = (path: string) => new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });

/** Whether SQLite may not create the log beside a database in a folder that is not writable. */
const isUnplaced = (error: unknown) => /^SQLITE_(?:CANTOPEN|READONLY)/.test(codeOf(error));

/** Reads a closed file as immutable; undefined if somebody writes it. */
function examineClosed(path: string, kind: IntegrityOrder['kind']): IntegrityFindings | undefined {
  const file = ImmutableFile.at(path);
  if (file === undefined) return undefined;
  const findings = examine(file.open(BUSY_TIMEOUT_MS), kind);
  if (file.overtaken !== undefined) throw file.overtaken;
  return findings;
}

function find({ database: path, kind }: IntegrityOrder): IntegrityFindings {
  const closed = wouldLeaveLog(path) ? examineClosed(path, kind) : undefined;
  if (closed !== undefined) return closed;
  try {
    return examine(open(path), kind);
  } catch (error) {
    const found = isUnplaced(error) ? examineClosed(path, kind) : undefined;
    if (found === undefined) throw error;
    return found;
  }
}

function carryOut(order: IntegrityOrder): IntegrityLine {
  takeUris();
  try {
    return { findings: find(order) };
  } catch (error) {
    if (isDamage(error)) return { findings: { problems: [error.message], foreignKeyViolations: null } };
    return { error: toWireError(error) };
  }
}

send(carryOut(JSON.parse(process.argv[2] ?? '')));

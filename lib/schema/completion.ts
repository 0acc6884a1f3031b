/**
 * Versions 0 to 5 on a file of the Python server: compares what each migration creates with the schema, and creates
 * only what is missing. So half-applied, unrecorded and skipped steps all end the same way. Additional objects stay.
 */

import { DatabaseError } from '../errors.ts';
import { all, one, run, type Steps } from '../sql/procedure.ts';
import { quoted } from '../sql/quoted.ts';
import { raw, sql } from '../sql/template.ts';
import { type ColumnDefinition, schemaChange } from './schema-objects.ts';
import { isWord, tokensOf } from './sql-tokens.ts';

interface StoredObject {
  readonly type: string;
  readonly sql: string | null;
}

/** A column, as PRAGMA table_xinfo reports it. */
export interface StoredColumn {
  readonly name: string;
  /** The definition that follows the name in ALTER TABLE. */
  readonly definition: string;
}

function* storedObject(name: string): Steps<StoredObject | undefined> {
  return yield* one<StoredObject>(sql`SELECT type AS "type", sql AS "sql" FROM sqlite_schema
    WHERE lower(name) = ${name.toLowerCase()}`);
}

/** The columns a table has. */
export function* storedColumns(table: string): Steps<StoredColumn[]> {
  return yield* all<StoredColumn>(sql`SELECT name AS "name", type
    || CASE WHEN "notnull" THEN ' NOT NULL' ELSE '' END || coalesce(' DEFAULT ' || dflt_value, '') AS "definition"
    FROM pragma_table_xinfo(${table})`);
}

/** What an index covers: everything after ON, normalised for quotes and case. */
function definitionOf(index: string): string {
  const tokens = tokensOf(index);
  const on = tokens.findIndex((token) => isWord(token, 'ON'));
  const unique = isWord(tokens[1], 'UNIQUE') ? 'unique ' : '';
  return (
    unique +
    tokens
      .slice(on)
      .map(({ text }) => text.toLowerCase())
      .join(' ')
  );
}

const cannotBeAdded = ({ definition }: ColumnDefinition) =>
  /PRIMARY\s+KEY|UNIQUE/i.test(definition) || (/NOT\s+NULL/i.test(definition) && !/DEFAULT/i.test(definition));

function* addMissingColumns(table: string, columns: readonly ColumnDefinition[]): Steps<number> {
  const stored = new Set((yield* storedColumns(table)).map(({ name }) => name.toLowerCase()));
  const missing = columns.filter(({ name }) => !stored.has(name.toLowerCase()));
  for (const column of missing) {
    if (cannotBeAdded(column)) {
      throw new DatabaseError('CATALOG_FOREIGN_DATABASE', `the table ${table} lacks the column ${column.name}`, {
        hint: 'The table belongs to another program: rename it, or choose another file.',
      });
    }
    yield* run(raw(`ALTER TABLE ${quoted(table)} ADD COLUMN ${column.definition}`));
  }
  return missing.length;
}

function* completeIndex(name: string, statement: string, stored: StoredObject): Steps<number> {
  if (stored.sql !== null && definitionOf(stored.sql) === definitionOf(statement)) return 0;
  yield* run(raw(`DROP INDEX ${quoted(name)}`));
  yield* run(raw(statement));
  return 1;
}

/** Runs a statement of a base migration if the schema lacks its object. */
function* complete(statement: string): Steps<number> {
  const change = schemaChange(statement);
  if (change?.does === 'add') return yield* addMissingColumns(change.table, [change.column]);
  if (change?.does !== 'create') throw new TypeError(`not a statement of the base schema: ${statement}`);
  const stored = yield* storedObject(change.name);
  if (stored === undefined) {
    yield* run(raw(statement));
    return 1;
  }
  if (stored.type !== change.kind) {
    const message = `${change.name} is a ${stored.type} here, not a ${change.kind}`;
    throw new DatabaseError('CATALOG_FOREIGN_DATABASE', message);
  }
  if (change.kind === 'table') return yield* addMissingColumns(change.name, change.columns);
  return yield* completeIndex(change.name, statement, stored);
}

/** Completes a version; returns how many objects were missing. */
export function* completeVersion(statements: readonly string[]): Steps<number> {
  let made = 0;
  for (const statement of statements) made += yield* complete(statement);
  return made;
}

/**
 * The rules for a new migration, so that an older release and the Python server can still use the file: expand first,
 * contract some releases later. The message of each rule says what to do instead.
 */
import { findDangerousOperations } from '../lib/schema/dangerous-operations.ts';
import { checksumOf, type Direction, type Migration } from '../lib/schema/migration.ts';
import { objectsAfter, type SchemaObjects, schemaChange } from '../lib/schema/schema-objects.ts';
import { isMark, isWord, type Token, tokensOf } from '../lib/schema/sql-tokens.ts';

/** Checksums of released migrations by version: these must never change. */
export type Released = Readonly<Record<string, string>>;

const OLD_TABLES = new Set(['clients', 'files', 'file_versions', 'client_quotas', 'client_activity', 'transfer_stats']);

// The functions of every SQLite since 3.8; a function of our own would make the file unusable for anyone else.
const FUNCTIONS = new Set(
  (
    'COALESCE IFNULL NULLIF MAX MIN SUM COUNT TOTAL AVG ABS LENGTH LOWER UPPER SUBSTR REPLACE TRIM HEX TYPEOF ROUND DATE ' +
    'TIME DATETIME JULIANDAY STRFTIME CHANGES LAST_INSERT_ROWID'
  ).split(' '),
);
const SYNTAX = new Set(
  (
    'VALUES IN EXISTS SELECT AS AND OR NOT WHEN THEN ELSE ON BY FROM WHERE SET KEY REFERENCES CHECK UNIQUE DEFAULT USING ' +
    'CONFLICT OVER CASE VARCHAR BLOB DO RETURNING IS LIKE'
  ).split(' '),
);

const at = ({ version, name }: Migration, problem: string) => `${version} ${name}: ${problem}`;

function namesAndDirections(migration: Migration): string[] {
  const problems: string[] = [];
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(migration.name))
    problems.push('its name is words in lower case with dashes');
  for (const direction of ['up', 'down'] as const) {
    if (migration[direction].length > 0 || migration.work?.[direction] !== undefined) continue;
    problems.push(`it has no way ${direction}`);
  }
  return problems;
}

function undeclared(migration: Migration): string[] {
  return (['up', 'down'] as const).flatMap((direction: Direction) => {
    const declared = migration.declares?.[direction] ?? [];
    return migration[direction]
      .flatMap(findDangerousOperations)
      .filter(({ operation }) => !declared.includes(operation))
      .map(({ operation, statement }) => `${direction} holds an undeclared ${operation}: ${statement}`);
  });
}

const LOSSES: ReadonlySet<string> = new Set(['DROP TABLE', 'DROP COLUMN']);

/** The plan of a way down lists what it cannot keep: a migration declares it, or says that it is built again. */
function untoldLosses({ down, loses }: Migration): string[] {
  const lost = down.flatMap(findDangerousOperations).filter(({ operation }) => LOSSES.has(operation));
  if (lost.length === 0 || loses !== undefined) return [];
  return lost.map(({ statement }) => `does not say what ${statement} loses: set \`loses\` to a text, or null`);
}

/** What older releases that can still use the file read: the schema of `safeVersion`. */
function contracts(migration: Migration, older: SchemaObjects): string[] {
  return migration.up.flatMap((statement) => {
    const change = schemaChange(statement);
    const table = change !== undefined && 'table' in change ? change.table.toLowerCase() : '';
    if (change?.does === 'drop' && change.kind === 'table' && older.tables.has(change.name.toLowerCase())) {
      return [
        `drops the table ${change.name}, which version ${migration.safeVersion} reads: leave it, or raise safeVersion`,
      ];
    }
    if (change?.does === 'remove' && older.tables.get(table)?.has(change.column.toLowerCase())) {
      return [`drops ${table}.${change.column}, which version ${migration.safeVersion} reads: stop writing it first`];
    }
    if (change?.does === 'rename' && older.tables.has(table)) {
      return [`renames in ${table}, which version ${migration.safeVersion} reads: add the new name beside the old one`];
    }
    return [];
  });
}

function oldWriters(statement: string): string[] {
  const change = schemaChange(statement);
  if (change?.does === 'add') {
    const { name, definition } = change.column;
    const isForced = /NOT\s+NULL/i.test(definition) && !/DEFAULT/i.test(definition);
    return isForced
      ? [`adds ${change.table}.${name} NOT NULL without a default: an old server's INSERT would fail`]
      : [];
  }
  const tokens = tokensOf(statement);
  if (change?.does !== 'create' || change.kind !== 'index' || !isWord(tokens[1], 'UNIQUE')) return [];
  const on = tokens.findIndex((token) => isWord(token, 'ON'));
  const table = tokens[on + 1]?.text.toLowerCase() ?? '';
  const isOld = table === 'files' || table === 'clients';
  return isOld ? [`makes ${change.name} UNIQUE on ${table}: an old server inserts two rows for one file`] : [];
}

const isCall = (tokens: readonly Token[], place: number) =>
  tokens[place]?.kind === 'word' && isMark(tokens[place + 1], '(');

/** Functions in what stays in the schema: triggers, indexes, views, defaults. */
function foreignFunctions(statement: string): string[] {
  const change = schemaChange(statement);
  if (change?.does !== 'create' || change.kind === 'table') return [];
  const tokens = tokensOf(statement);
  const named = new Set([...OLD_TABLES].map((name) => name.toUpperCase()));
  return tokens.flatMap((token, place) => {
    const isTable = isWord(tokens[place - 1], 'ON', 'INTO') || named.has(token.text);
    if (!isCall(tokens, place) || isTable || FUNCTIONS.has(token.text) || SYNTAX.has(token.text)) return [];
    return [`${change.name} calls ${token.text.toLowerCase()}(), which another program's SQLite may not have`];
  });
}

const listOf = ({ tables, indexes, triggers }: SchemaObjects) =>
  [
    ...[...tables].flatMap(([table, columns]) => [table, ...[...columns].map((column) => `${table}.${column}`)]),
    ...indexes,
    ...triggers,
  ].sort();

/** Whether going down restores the previous schema; its own work may keep tables that have rows. */
function undoes(migration: Migration, before: readonly Migration[]): string[] {
  if (migration.work?.down !== undefined) return [];
  const there = objectsAfter([...before, migration, { ...migration, up: migration.down }]);
  const [expected, found] = [listOf(objectsAfter(before)), listOf(there)];
  const left = found.filter((name) => !expected.includes(name));
  const missing = expected.filter((name) => !found.includes(name));
  return [
    ...left.map((name) => `going down leaves ${name}`),
    ...missing.map((name) => `going down does not bring back ${name}`),
  ];
}

/** Everything that is wrong with the migrations, one line each. */
export function lintMigrations(migrations: readonly Migration[], released: Released = {}): string[] {
  const names = migrations.map(({ name }) => name);
  return migrations.flatMap((migration, place) => {
    const before = migrations.slice(0, place);
    const older = objectsAfter(migrations.slice(0, (migration.safeVersion ?? -1) + 1));
    const problems = [
      ...namesAndDirections(migration),
      ...(names.indexOf(migration.name) === place ? [] : ['another migration has its name']),
      ...undeclared(migration),
      ...untoldLosses(migration),
      ...contracts(migration, older),
      ...migration.up.flatMap(oldWriters),
      ...migration.up.flatMap(foreignFunctions),
      ...undoes(migration, before),
    ];
    const checksum = released[String(migration.version)];
    if (checksum !== undefined && checksum !== checksumOf(migration)) {
      problems.push('it was released and has changed since: put it back, and write a new migration');
    }
    return problems.map((problem) => at(migration, problem));
  });
}

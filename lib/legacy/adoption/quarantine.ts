/**
 * Tables for rows that cannot stay, complete with the reason and the time, and for column values that could not be
 * kept. Nothing of an old server is dropped without a copy here.
 */

import { storedColumns } from '../../schema/completion.ts';
import { all, one, run, type Steps } from '../../sql/procedure.ts';
import { quoted } from '../../sql/quoted.ts';
import { raw, type Sql, sql } from '../../sql/template.ts';
import { now } from '../../values/dates.ts';

/** Created by the adopting migration; a rollback keeps them while they hold rows. */
export const ADOPTION_TABLES = [
  `CREATE TABLE IF NOT EXISTS quarantined_files (
    ID INTEGER PRIMARY KEY AUTOINCREMENT,
    SourceTable TEXT NOT NULL,
    FileID BLOB,
    ClientID BLOB,
    FileName TEXT,
    Row TEXT NOT NULL,
    Reason TEXT NOT NULL,
    QuarantinedAt TEXT NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS adopted_rows (
    ID INTEGER PRIMARY KEY AUTOINCREMENT,
    OldID BLOB,
    FileID BLOB NOT NULL,
    VersionNumber INTEGER NOT NULL,
    Facts TEXT
  )`,
  `CREATE TABLE IF NOT EXISTS adoption_notes (
    ID INTEGER PRIMARY KEY AUTOINCREMENT,
    SourceTable TEXT NOT NULL,
    RowID BLOB,
    ColumnName TEXT NOT NULL,
    Value BLOB,
    NotedAt TEXT NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS catalog_reports (
    ID INTEGER PRIMARY KEY AUTOINCREMENT,
    Kind TEXT NOT NULL,
    CreatedAt TEXT NOT NULL,
    Report TEXT NOT NULL
  )`,
];

const TABLES = ['quarantined_files', 'adopted_rows', 'adoption_notes', 'catalog_reports'];

/** Drops the empty ones; the others keep what the older schema cannot hold. */
export function* dropEmptyTables(): Steps<void> {
  for (const table of TABLES) {
    const found = yield* one(raw(`SELECT 1 AS "found" FROM ${table} LIMIT 1`));
    if (found === undefined) yield* run(raw(`DROP TABLE ${table}`));
  }
}

/** A row as JSON text, with binary values as SQL literals; built in SQL, so that numbers keep all digits. */
function* rowAsJson(table: string): Steps<{ json: Sql; has: (column: string) => boolean }> {
  const names = (yield* storedColumns(table)).map(({ name }) => name);
  const pairs = names.map((name) => {
    const column = quoted(name);
    const label = `'${name.replaceAll("'", "''")}'`;
    return `${label}, CASE typeof(${column}) WHEN 'blob' THEN quote(${column}) ELSE ${column} END`;
  });
  return { json: raw(`json_object(${pairs.join(', ')})`), has: (column) => names.includes(column) };
}

/** Moves the rows of a table that match a condition; returns how many. */
export function* quarantine(table: string, condition: Sql, reason: string): Steps<number> {
  const { json, has } = yield* rowAsJson(table);
  const source = raw(quoted(table));
  const column = (name: string) => raw(has(name) ? name : 'NULL');
  const fileId = table === 'files' ? raw('ID') : column('FileID');
  const { changes } =
    yield* run(sql`INSERT INTO quarantined_files (SourceTable, FileID, ClientID, FileName, Row, Reason,
    QuarantinedAt) SELECT ${table}, ${fileId}, ${column('ClientID')}, ${column('FileName')}, ${json}, ${reason}, ${now()}
    FROM ${source} WHERE ${condition}`);
  if (changes > 0) yield* run(sql`DELETE FROM ${source} WHERE ${condition}`);
  return changes;
}

/** Keeps the exact value of a column before it is overwritten; `id` is the row's present id. */
export function* noteValue(table: 'files' | 'clients', row: number, id: Uint8Array, column: string): Steps<void> {
  yield* run(sql`INSERT INTO adoption_notes (SourceTable, RowID, ColumnName, Value, NotedAt)
    SELECT ${table}, ${id}, ${column}, ${raw(column)}, ${now()} FROM ${raw(table)} WHERE rowid = ${row}`);
}

/** Keeps a text without a row, such as the definition of an index. */
export function* noteText(table: string, column: string, text: string): Steps<void> {
  yield* run(sql`INSERT INTO adoption_notes (SourceTable, ColumnName, Value, NotedAt)
    VALUES (${table}, ${column}, ${text}, ${now()})`);
}

/** Records the counts of an adoption or a repair. */
export function* writeReport(kind: string, report: Readonly<Record<string, unknown>>): Steps<void> {
  yield* run(sql`INSERT INTO catalog_reports (Kind, CreatedAt, Report)
    VALUES (${kind}, ${now()}, ${JSON.stringify(report)})`);
}

/** The reports of a kind, oldest first. */
export function* readReports(kind: string): Steps<{ createdAt: string; report: string }[]> {
  return yield* all<{ createdAt: string; report: string }>(sql`SELECT CreatedAt AS "createdAt", Report AS "report"
    FROM catalog_reports WHERE Kind = ${kind} ORDER BY ID`);
}

/**
 * The names that this library uses in a file, and the kind of object each must be. A view or foreign virtual table in
 * place of one of our tables would run somebody else's SQL, possibly for ever, when queried: such a file is refused
 * before anything is read from it. Objects are judged by kind and columns, never by their SQL, so releases and dialects
 * do not matter. Missing and additional objects are allowed.
 */
import { DatabaseError } from '../errors.ts';
import { all } from '../sql/procedure.ts';
import { raw } from '../sql/template.ts';
import { isMark, isWord, nameOf, tokensOf } from './sql-tokens.ts';

/** The tables of a release, in lower case; plain data, so that a thread need not load what makes them. */
export interface OwnTables {
  readonly plain: readonly string[];
  /** Virtual tables, with the module of each. */
  readonly virtual: Readonly<Record<string, string>>;
}

/** An object of a schema, as SQLite stores it; SQLite ensures that kind and name match the SQL. */
export interface SchemaObject {
  readonly kind: string;
  readonly name: string;
  readonly table: string;
  /** The beginning of the text. */
  readonly text: string;
}

const MADE = /^\s*CREATE\s+(?:TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)|VIRTUAL\s+TABLE\s+(\w+)\s+USING\s+(\w+))/i;

/** The tables in which FTS5 stores an index: https://sqlite.org/fts5.html#fts5_data_structures */
const SHADOWS = ['data', 'idx', 'content', 'docsize', 'config'];

/** The tables that statements create, even if later ones drop them: a name of ours stays ours. */
export function ownTables(statements: readonly string[]): OwnTables {
  const found = statements.flatMap((statement) => {
    const [, plain, virtual, module] = MADE.exec(statement) ?? [];
    return plain === undefined && virtual === undefined ? [] : [{ plain, virtual, module }];
  });
  const virtual = found.flatMap(({ virtual: name, module }): [string, string][] =>
    name === undefined || module === undefined ? [] : [[name.toLowerCase(), module.toLowerCase()]],
  );
  const shadows = virtual
    .filter(([, module]) => module === 'fts5')
    .flatMap(([name]) => SHADOWS.map((shadow) => `${name}_${shadow}`));
  const plain = found.flatMap(({ plain: name }) => (name === undefined ? [] : [name.toLowerCase()]));
  return { plain: [...new Set([...plain, ...shadows])], virtual: Object.fromEntries(virtual) };
}

const TEXT_SHOWN = 1_000; // characters; the longest text of a virtual table of ours has 150

/** Every object of the file's schema, without SQLite's internal ones. */
export const SCHEMA_OBJECTS = `SELECT type AS "kind", lower(name) AS "name", lower(tbl_name) AS "table",
  coalesce(substr(sql, 1, ${TEXT_SHOWN}), '') AS "text" FROM sqlite_schema`;

/** A column of a table, in lower case. */
export interface ComputedColumn {
  readonly table: string;
  readonly column: string;
}

/**
 * The generated columns of our tables, which may call any function whenever they are read. Query this only once the
 * names are known to be plain tables: for a view, SQLite would compile its query.
 */
export const computedColumns = ({
  plain,
}: OwnTables): string => `SELECT lower(m.name) AS "table", lower(c.name) AS "column"
  FROM sqlite_schema m, pragma_table_xinfo(m.name) c
  WHERE m.type = 'table' AND c.hidden IN (2, 3) AND lower(m.name) IN ('${plain.join("', '")}')`;

/** The objects of a schema. Reads nothing but the schema itself. */
export const schemaObjects = () => all<SchemaObject>(raw(SCHEMA_OBJECTS));

// SQLite stores the SQL of every plain table with this beginning, however it was typed.
const isPlain = (text: string) => /^CREATE TABLE\b/i.test(text);

/** Whether the SQL creates a virtual table that stores its own content: FTS5 can show a view instead. */
function isModule(text: string, module: string): boolean {
  const tokens = tokensOf(text);
  const using = tokens.findIndex((token) => isWord(token, 'USING'));
  if (!isWord(tokens[0], 'CREATE') || nameOf(tokens[using + 1]) !== module || text.length >= TEXT_SHOWN) return false;
  if (module !== 'fts5') return true;
  const content = tokens.findIndex((token, place) => isWord(token, 'CONTENT') && isMark(tokens[place + 1], '='));
  return content !== -1 && tokens[content + 2]?.text === '';
}

/** What replaces one of our tables, in words; undefined if it is allowed. */
function intruder({ kind, name, text }: SchemaObject, own: OwnTables, plain: ReadonlySet<string>): string | undefined {
  const module = own.virtual[name];
  if (!plain.has(name) && module === undefined && !name.startsWith('sqlite_')) return undefined;
  if (kind === 'view') return `${name} is a view, not a table`;
  if (kind !== 'table' || isPlain(text)) return undefined;
  if (module !== undefined && isModule(text, module)) return undefined;
  return `${name} is a virtual table of a different kind than this library's`;
}

const foreign = (message: string) =>
  new DatabaseError('CATALOG_FOREIGN_DATABASE', message, {
    hint: 'Another program made or changed the file: restore a backup, or rename the object.',
  });

/**
 * Refuses a schema in which another object has one of our names.
 * @throws {DatabaseError} CATALOG_FOREIGN_DATABASE
 */
export function assertOwnNames(objects: readonly SchemaObject[], own: OwnTables): void {
  const plain = new Set(own.plain);
  for (const object of objects) {
    const found = intruder(object, own, plain);
    if (found !== undefined) throw foreign(found);
  }
}

/**
 * Refuses a schema in which one of our columns is generated.
 * @param columns the columns of each of our tables
 * @throws {DatabaseError} CATALOG_FOREIGN_DATABASE
 */
export function assertStoredColumns(
  computed: readonly ComputedColumn[],
  own: OwnTables,
  columns: Readonly<Record<string, readonly string[]>> = {},
): void {
  const plain = new Set(own.plain);
  const found = computed.find(({ table, column }) => plain.has(table) && (columns[table]?.includes(column) ?? true));
  if (found !== undefined) throw foreign(`the column ${found.column} of ${found.table} is computed, not stored`);
}

/** Triggers on our tables that this release did not create: `name on table`. */
export function foreignTriggers(
  objects: readonly SchemaObject[],
  own: OwnTables,
  ownTriggers: ReadonlySet<string>,
): string[] {
  const tables = new Set([...own.plain, ...Object.keys(own.virtual)]);
  return objects
    .filter(({ kind, name, table }) => kind === 'trigger' && tables.has(table) && !ownTriggers.has(name))
    .map(({ name, table }) => `${name} on ${table}`);
}

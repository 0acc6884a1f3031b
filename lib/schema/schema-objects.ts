/**
 * The tables, columns, indexes and triggers that migrations create, parsed from their statements, so that the expected
 * schema is never written down twice.
 */
import type { Migration } from './migration.ts';
import { isMark, isWord, nameOf, parenthesisDepths, type Token, tokensOf } from './sql-tokens.ts';

type ObjectKind = 'table' | 'index' | 'trigger' | 'view';

/** A column as a statement defines it. */
export interface ColumnDefinition {
  readonly name: string;
  readonly definition: string;
}

/** What one statement does to the schema; names as written. */
export type SchemaChange =
  | {
      readonly does: 'create';
      readonly kind: ObjectKind;
      readonly name: string;
      /** Only for a table. */
      readonly columns: ColumnDefinition[];
      /** The table that an index or trigger is on, in lower case; '' for a table. */
      readonly on: string;
    }
  | { readonly does: 'drop'; readonly kind: ObjectKind; readonly name: string }
  | { readonly does: 'add'; readonly table: string; readonly column: ColumnDefinition }
  | { readonly does: 'remove'; readonly table: string; readonly column: string }
  | { readonly does: 'rename'; readonly table: string };

/** What a schema holds: the columns of each table, and the names of indexes and triggers. All in lower case. */
export interface SchemaObjects {
  readonly tables: ReadonlyMap<string, ReadonlySet<string>>;
  readonly indexes: ReadonlySet<string>;
  readonly triggers: ReadonlySet<string>;
}

const CONSTRAINTS = ['PRIMARY', 'UNIQUE', 'CHECK', 'FOREIGN', 'CONSTRAINT'];
const PREFIXES = ['TEMP', 'TEMPORARY', 'UNIQUE', 'VIRTUAL'];

const written = (sql: string, tokens: readonly Token[]) => sql.slice(tokens[0]?.start, tokens.at(-1)?.end);

function columnOf(sql: string, tokens: readonly Token[]): ColumnDefinition {
  const [name] = tokens;
  const text = name?.kind === 'word' ? sql.slice(name.start, name.end) : (name?.text ?? '');
  return { name: text, definition: written(sql, tokens) };
}

/** The columns between the outermost parentheses of CREATE TABLE. */
function columnsOf(sql: string, tokens: readonly Token[]): ColumnDefinition[] {
  const depths = parenthesisDepths(tokens);
  const parts: Token[][] = [[]];
  for (const [position, token] of tokens.entries()) {
    const depth = depths[position] ?? 0;
    if (depth === 1 && isMark(token, ',')) parts.push([]);
    else if (depth >= 1) parts.at(-1)?.push(token);
  }
  const columns = parts.filter(([first]) => first !== undefined && !isWord(first, ...CONSTRAINTS));
  return columns.map((part) => columnOf(sql, part));
}

/** The tokens after the kind of an object and IF [NOT] EXISTS, beginning with its name. */
const pastExists = (tokens: readonly Token[]) =>
  isWord(tokens[0], 'IF') ? tokens.slice(isWord(tokens[1], 'NOT') ? 3 : 2) : tokens;

const asWritten = (sql: string, token: Token | undefined) =>
  token?.kind === 'word' ? sql.slice(token.start, token.end) : (token?.text ?? '');

function createOrDrop(sql: string, tokens: readonly Token[]): SchemaChange | undefined {
  const does = isWord(tokens[0], 'CREATE') ? 'create' : 'drop';
  const rest = tokens.slice(1).filter((token, position) => position > 1 || !isWord(token, ...PREFIXES));
  const kind = nameOf(rest[0]);
  if (kind !== 'table' && kind !== 'index' && kind !== 'trigger' && kind !== 'view') return undefined;
  const named = pastExists(rest.slice(1));
  const name = asWritten(sql, named[0]);
  if (does === 'drop') return { does, kind, name };
  const isVirtual = isWord(tokens[1], 'VIRTUAL');
  const on = kind === 'table' ? undefined : named[named.findIndex((token) => isWord(token, 'ON')) + 1];
  const columns = kind === 'table' && !isVirtual ? columnsOf(sql, named) : [];
  return { does, kind, name, columns, on: nameOf(on) ?? '' };
}

function alter(sql: string, tokens: readonly Token[]): SchemaChange {
  const table = asWritten(sql, tokens[2]);
  const rest = tokens.slice(isWord(tokens[4], 'COLUMN') ? 5 : 4);
  if (isWord(tokens[3], 'ADD')) return { does: 'add', table, column: columnOf(sql, rest) };
  if (isWord(tokens[3], 'DROP')) return { does: 'remove', table, column: asWritten(sql, rest[0]) };
  return { does: 'rename', table };
}

/** What a statement does to the schema; undefined if nothing. */
export function schemaChange(sql: string): SchemaChange | undefined {
  const tokens = tokensOf(sql);
  if (isWord(tokens[0], 'ALTER') && isWord(tokens[1], 'TABLE')) return alter(sql, tokens);
  return isWord(tokens[0], 'CREATE', 'DROP') ? createOrDrop(sql, tokens) : undefined;
}

/** A schema while statements change it. */
class GrowingSchema implements SchemaObjects {
  readonly tables = new Map<string, Set<string>>();
  readonly indexes = new Set<string>();
  readonly triggers = new Set<string>();
  /** Indexes and triggers by name, with the table they go with. */
  readonly #on = new Map<string, string>();

  apply(change: SchemaChange): void {
    if (change.does === 'create') this.#create(change.kind, change.name, change.columns, change.on);
    else if (change.does === 'drop') this.#drop(change.kind, change.name.toLowerCase());
    else if (change.does === 'add') this.#columns(change.table).add(change.column.name.toLowerCase());
    else if (change.does === 'remove') this.#columns(change.table).delete(change.column.toLowerCase());
  }

  #create(kind: ObjectKind, name: string, columns: readonly ColumnDefinition[], on: string): void {
    const key = name.toLowerCase();
    this.#on.set(key, on);
    if (kind === 'table') this.tables.set(key, new Set(columns.map((column) => column.name.toLowerCase())));
    if (kind === 'index') this.indexes.add(key);
    if (kind === 'trigger') this.triggers.add(key);
  }

  #drop(kind: ObjectKind, key: string): void {
    if (kind === 'table') this.tables.delete(key);
    const gone = kind === 'table' ? [...this.#on].filter(([, on]) => on === key).map(([name]) => name) : [key];
    for (const name of gone) {
      this.indexes.delete(name);
      this.triggers.delete(name);
    }
  }

  #columns(table: string): Set<string> {
    const key = table.toLowerCase();
    const columns = this.tables.get(key) ?? new Set<string>();
    this.tables.set(key, columns);
    return columns;
  }
}

/** The schema after these migrations, applied in order. */
export function objectsAfter(migrations: readonly Migration[]): SchemaObjects {
  const schema = new GrowingSchema();
  const changes = migrations.flatMap(({ up }) => up.map(schemaChange));
  for (const change of changes) if (change !== undefined) schema.apply(change);
  return schema;
}

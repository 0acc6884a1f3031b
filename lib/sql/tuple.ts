/**
 * Rows that cross a thread as tuples. One list of columns defines the SELECT text, the type of the row and the index of
 * each value by name, so that a new column cannot shift the others.
 */
import { type Dialect, perDialect } from './dialect.ts';
import { raw, type Sql } from './template.ts';

/**
 * How a value is stored: an `id` as bytes, selected as hex digits; a `date` as text that may be invalid; a `flag` as 0,
 * 1 or NULL; a `size` as anything, selected as the bytes it counts for; a `plain` value unchanged.
 */
export type Kind = 'id' | 'date' | 'flag' | 'size' | 'plain';

/** A column of a tuple; the result calls it `name`. */
export interface Column<Name extends string = string> {
  readonly name: Name;
  readonly kind: Kind;
}

type Stored<Of extends Kind, Value> = Of extends 'date' ? unknown : Of extends 'flag' ? number | null : Value;

/** A tuple with these columns, of the stored types of `Item`. */
export type Row<Columns extends readonly Column[], Item> = {
  readonly [Index in keyof Columns]: Stored<Columns[Index]['kind'], Item[Columns[Index]['name'] & keyof Item]>;
};

/** The place of each column in the tuple, by name. */
export type Places<Columns extends readonly Column[]> = {
  readonly [Index in Exclude<keyof Columns, keyof (readonly unknown[])> as Columns[Index] extends Column
    ? Columns[Index]['name']
    : never]: Index extends `${infer Place extends number}` ? Place : never;
};

/** The indexes of a list of columns. */
export function placesOf<const Columns extends readonly Column[]>(columns: Columns): Places<Columns> {
  // TypeScript cannot infer that the type follows from the same list.
  return Object.freeze(Object.fromEntries(columns.map(({ name }, place) => [name, place]))) as Places<Columns>;
}

/** The stored values of a row, by name. */
export type StoredValues<Columns extends readonly Column[], Item> = {
  readonly [Of in Columns[number] as Of['name']]: Stored<Of['kind'], Item[Of['name'] & keyof Item]>;
};

/** Orders values like the columns. */
export const rowOf = <const Columns extends readonly Column[], Item>(
  columns: Columns,
  values: StoredValues<Columns, Item>,
): Row<Columns, Item> => columns.map(({ name }) => values[name as keyof typeof values]) as Row<Columns, Item>;

/** The SELECT text of the columns, built once for each dialect; `expression` is the SQL of each. */
export function selected<Of extends Column>(
  columns: readonly Of[],
  expression: (column: Of) => string,
): (dialect: Dialect) => Sql {
  return perDialect((dialect) => {
    const textOf = (column: Of) => {
      const text = expression(column);
      if (column.kind === 'id') return dialect.hex(text).sql;
      return column.kind === 'size' ? dialect.countedBytes(text).sql : text;
    };
    return raw(columns.map((column) => `${textOf(column)} AS "${column.name}"`).join(', '));
  });
}

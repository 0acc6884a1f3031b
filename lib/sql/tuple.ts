/**
 * Rows that cross a thread as tuples. One list of columns gives the text that selects them, the type of the row and the
 * place of each value by name, so that a further column can shift none of the others.
 */
import { type Dialect, perDialect } from './dialect.ts';
import { raw, type Sql } from './template.ts';

/**
 * How a value is stored: an `id` as bytes, selected as hex digits; a `date` as a text that may be none; a `flag` as 0, 1 or
 * NULL; a `size` as anything, selected as the bytes it counts for; anything `plain` as it goes out.
 */
export type Kind = 'id' | 'date' | 'flag' | 'size' | 'plain';

/** A column of a tuple, called `name` where it goes out. */
export interface Column<Name extends string = string> {
  readonly name: Name;
  readonly kind: Kind;
}

type Stored<Of extends Kind, Value> = Of extends 'date' ? unknown : Of extends 'flag' ? number | null : Value;

/** A tuple with such columns: what `Item` says of each, as it is stored. */
export type Row<Columns extends readonly Column[], Item> = {
  readonly [Index in keyof Columns]: Stored<Columns[Index]['kind'], Item[Columns[Index]['name'] & keyof Item]>;
};

/** The place of each column in the tuple, by name. */
export type Places<Columns extends readonly Column[]> = {
  readonly [Index in Exclude<keyof Columns, keyof (readonly unknown[])> as Columns[Index] extends Column
    ? Columns[Index]['name']
    : never]: Index extends `${infer Place extends number}` ? Place : never;
};

/** The places of a list of columns. */
export function placesOf<const Columns extends readonly Column[]>(columns: Columns): Places<Columns> {
  // The type is computed from the same list: no shorter way to say so.
  return Object.freeze(Object.fromEntries(columns.map(({ name }, place) => [name, place]))) as Places<Columns>;
}

/** The values of a row by name, as they are stored. */
export type StoredValues<Columns extends readonly Column[], Item> = {
  readonly [Of in Columns[number] as Of['name']]: Stored<Of['kind'], Item[Of['name'] & keyof Item]>;
};

/** Puts values into the order of the columns. */
export const rowOf = <const Columns extends readonly Column[], Item>(
  columns: Columns,
  values: StoredValues<Columns, Item>,
): Row<Columns, Item> => columns.map(({ name }) => values[name as keyof typeof values]) as Row<Columns, Item>;

/** The text that selects the columns, built once for each dialect; `expression` is the SQL of each. */
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

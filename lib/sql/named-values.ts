/** Statements that write columns by name. Their text is built once, and no value can end up in the wrong column. */
import { join, raw, type Sql, sql } from './template.ts';

/** A column and the name of the value it gets. */
export interface Target<Name extends string = string> {
  readonly name: Name;
  readonly column: string;
}

/** The values of a statement, plain ones and pieces of SQL. */
export type NamedValues<Name extends string> = Readonly<Record<Name, unknown>>;

/** `A, B, C` */
export const columnList = (targets: readonly Target[]): string => targets.map(({ column }) => column).join(', ');

/** Builds the statement that inserts one row. */
export function insertInto<const Name extends string>(
  table: string,
  targets: readonly Target<Name>[],
): (values: NamedValues<Name>) => Sql {
  const commas = targets.slice(1).map(() => ', ');
  const texts = [`INSERT INTO ${table} (${columnList(targets)}) VALUES (`, ...commas, ')'];
  const names = targets.map(({ name }) => name);
  return (values) => sql(texts, ...names.map((name) => values[name]));
}

/** Builds the statement that updates the rows whose column `key` has the value of that name. */
export function update<const Name extends string>(
  table: string,
  targets: readonly Target<Name>[],
  key: Target<Name>,
): (values: NamedValues<Name>) => Sql {
  const [first, ...others] = targets.map(({ column }) => `${column} = `);
  const texts = [`UPDATE ${table} SET ${first}`, ...others.map((text) => `, ${text}`), ` WHERE ${key.column} = `, ''];
  const names = [...targets, key].map(({ name }) => name);
  return (values) => sql(texts, ...names.map((name) => values[name]));
}

/** For each target, in order, the value given under its name, else its column of a table called `alias`. */
export const expressions = <const Name extends string>(
  targets: readonly Target<Name>[],
  alias: string,
  given: Partial<NamedValues<Name>> = {},
): Sql =>
  join(
    targets.map(({ name, column }) => (name in given ? given[name] : raw(`${alias}.${column}`))),
    ', ',
  );

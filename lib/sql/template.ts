/**
 * SQL as tagged templates, built on `sql-template-tag`. This module builds the text of a template once and finds it
 * again by the template's identity: a statement that runs ten thousand times a second stays one string, which the cache
 * of prepared statements finds without reading it.
 */
import compose, { Sql as Composed } from 'sql-template-tag';

/** A text with gaps for values: one object for each template and for each nesting of templates. */
class Shape {
  readonly composed: Composed;
  #question: string | undefined;

  constructor(composed: Composed) {
    this.composed = composed;
  }

  get question(): string {
    this.#question ??= this.composed.sql;
    return this.#question;
  }
}

/** A statement, or part of one, with its values. */
export class Sql {
  readonly values: unknown[];
  readonly #shape: Shape;

  /** @internal Made by {@link sql} and its siblings. */
  constructor(shape: Shape, values: unknown[]) {
    this.#shape = shape;
    this.values = values;
  }

  /** The text with `?` for each value. */
  get sql(): string {
    return this.#shape.question;
  }

  /** The text with `$1`, `$2`, … for the values. */
  get text(): string {
    return this.#shape.composed.text;
  }

  /** The same object for the same text from the same templates. */
  get shape(): Shape {
    return this.#shape;
  }
}

/** The next shapes, by value: plain, or a part of some shape. */
class Branch {
  readonly #pieces = new WeakMap<Shape, Branch>();
  #plain: Branch | undefined;
  shape: Shape | undefined;

  next(value: unknown): Branch {
    if (!(value instanceof Sql)) {
      this.#plain ??= new Branch();
      return this.#plain;
    }
    const known = this.#pieces.get(value.shape);
    if (known !== undefined) return known;
    const made = new Branch();
    this.#pieces.set(value.shape, made);
    return made;
  }
}

/** A template's text, and the shapes built from it with parts in its gaps. */
interface Template {
  readonly plain: Shape;
  readonly nested: Branch;
}

const templates = new WeakMap<readonly string[], Template>();

const isSql = (value: unknown): value is Sql => value instanceof Sql;

/** A shape does not depend on values. */
const NO_VALUE = null;

function templateOf(strings: readonly string[]): Template {
  const known = templates.get(strings);
  if (known !== undefined) return known;
  const gaps = strings.slice(1).map(() => NO_VALUE);
  const made = { plain: new Shape(compose(strings, ...gaps)), nested: new Branch() };
  templates.set(strings, made);
  return made;
}

/** Builds SQL from a template; a nested {@link Sql} becomes text, everything else a bound value. */
export function sql(strings: readonly string[], ...values: unknown[]): Sql {
  const { plain, nested } = templateOf(strings);
  if (!values.some(isSql)) return new Sql(plain, values);
  const flat: unknown[] = [];
  let branch = nested;
  for (const value of values) {
    branch = branch.next(value);
    if (isSql(value)) flat.push(...value.values);
    else flat.push(value);
  }
  const pieces = () => values.map((value) => (isSql(value) ? value.shape.composed : NO_VALUE));
  branch.shape ??= new Shape(compose(strings, ...pieces()));
  return new Sql(branch.shape, flat);
}

const MAX_KEPT = 512; // texts and lists have no template, and a process may make any number of them

/** Caches the first values made. */
function keeper<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const kept = new Map<Key, Value>();
  return (key) => {
    const known = kept.get(key);
    if (known !== undefined) return known;
    const made = make(key);
    if (kept.size < MAX_KEPT) kept.set(key, made);
    return made;
  };
}

const shapeOf = keeper((text: string) => new Shape(new Composed([text], [])));

/** A raw text. */
export const raw = (text: string): Sql => new Sql(shapeOf(text), []);

/** A statement of a user, with `?` for the values. Not cached, because there may be any number of them. */
export const written = ({ text, values }: { readonly text: string; readonly values: readonly unknown[] }): Sql =>
  new Sql(new Shape(new Composed([text], [])), [...values]);

/** No text. */
export const empty: Sql = raw('');

/** The texts of a list: one separator between this many values. */
const listOf = keeper((key: string) => {
  const [, count = '', separator = ''] = /^(\d+) (.*)$/s.exec(key) ?? [];
  return ['', ...Array.from({ length: Number(count) - 1 }, () => separator), ''];
});

/** Joins values or parts. @throws {TypeError} for an empty list */
export function join(values: readonly unknown[], separator = ','): Sql {
  if (values.length === 0) throw new TypeError('a list in SQL needs at least one value');
  return sql(listOf(`${values.length} ${separator}`), ...values);
}

/**
 * SQL as tagged templates, put together by `sql-template-tag`. What is added here is that the text of a template is put
 * together once and found again by the template's identity: a statement that runs ten thousand times a second is one
 * and the same string, which a cache of prepared statements finds without reading it.
 */
import compose, { Sql as Composed } from 'sql-template-tag';

/** A text with gaps for values: one object for each template, and for each way in which templates are nested. */
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

/** A statement, or a piece of one, with its values. */
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

  /** The same object for the same text, as long as it came from the same templates. */
  get shape(): Shape {
    return this.#shape;
  }
}

/** What may follow, value by value: a plain one, or a piece of some shape. */
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

/** What is known of a template: its own text, and what became of it with pieces in its gaps. */
interface Template {
  readonly plain: Shape;
  readonly nested: Branch;
}

const templates = new WeakMap<readonly string[], Template>();

const isSql = (value: unknown): value is Sql => value instanceof Sql;

/** The values of a shape are of no account: it is one for all of them. */
const NO_VALUE = null;

function templateOf(strings: readonly string[]): Template {
  const known = templates.get(strings);
  if (known !== undefined) return known;
  const gaps = strings.slice(1).map(() => NO_VALUE);
  const made = { plain: new Shape(compose(strings, ...gaps)), nested: new Branch() };
  templates.set(strings, made);
  return made;
}

/** Makes SQL of a template; a nested {@link Sql} becomes text, everything else a bound value. */
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

const MAX_KEPT = 512; // texts and lists come without a template, and a process may make any number of them

/** Keeps the first few values made. */
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

/** A text as it is. */
export const raw = (text: string): Sql => new Sql(shapeOf(text), []);

/** A statement as somebody wrote it, with its own `?` for the values. Not kept: nobody knows how many there will be. */
export const written = ({ text, values }: { readonly text: string; readonly values: readonly unknown[] }): Sql =>
  new Sql(new Shape(new Composed([text], [])), [...values]);

/** No text. */
export const empty: Sql = raw('');

/** The texts of a list: between so many values, the same text each time. */
const listOf = keeper((key: string) => {
  const [, count = '', separator = ''] = /^(\d+) (.*)$/s.exec(key) ?? [];
  return ['', ...Array.from({ length: Number(count) - 1 }, () => separator), ''];
});

/** Values or pieces side by side. @throws {TypeError} for none at all */
export function join(values: readonly unknown[], separator = ','): Sql {
  if (values.length === 0) throw new TypeError('a list in SQL needs at least one value');
  return sql(listOf(`${values.length} ${separator}`), ...values);
}

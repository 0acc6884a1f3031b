/** The statements behind `db.categories`. */

import { ConflictError, NotFoundError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { all, one, procedure, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { CATEGORIES, categoryOf, extensionOf } from '../values/file-category.ts';
import { idBytes } from '../values/ids.ts';

/** A category of files. */
export interface Category {
  readonly name: string;
  readonly description: string | null;
  /** `#rrggbb`. */
  readonly color: string | null;
  readonly defaultPath: string | null;
  /** Assigned extensions, in lower case without a dot; a built-in category covers more. */
  readonly extensions: string[];
}

/** A category for the database; undefined keeps the stored value. */
export interface CategoryToSave {
  readonly name: string;
  readonly description: string | null | undefined;
  readonly color: string | null | undefined;
  readonly defaultPath: string | null | undefined;
  readonly extensions: readonly string[] | undefined;
}

interface CategoryRow {
  readonly id: number;
  readonly name: string;
  readonly description: string | null;
  readonly color: string | null;
  readonly defaultPath: string | null;
}

const DEFAULT_COLOR = '#007acc'; // the schema's own default

const categoryColumns = sql`ID AS "id", Name AS "name", Description AS "description", Color AS "color",
  DefaultPath AS "defaultPath"`;

export const listCategories = procedure('categories.list', 'read', function* (_: null): Steps<Category[]> {
  const found = yield* all<CategoryRow>(sql`SELECT ${categoryColumns} FROM file_categories ORDER BY Name`);
  const claimed = yield* all<{ categoryId: number; extension: string }>(sql`SELECT CategoryID AS "categoryId",
    Extension AS "extension" FROM category_extensions ORDER BY Extension`);
  return found.map(({ id, ...category }) => ({
    ...category,
    extensions: claimed.filter(({ categoryId }) => categoryId === id).map(({ extension }) => extension),
  }));
});

function* findCategory(name: string): Steps<CategoryRow | undefined> {
  return yield* one<CategoryRow>(sql`SELECT ${categoryColumns} FROM file_categories WHERE Name = ${name}`);
}

function* claim(extensions: readonly string[], categoryId: number, dialect: Dialect): Steps<void> {
  yield* run(sql`DELETE FROM category_extensions WHERE CategoryID = ${categoryId}`);
  for (const extension of extensions) {
    const holder = yield* one<{ name: string }>(sql`SELECT c.Name AS "name" FROM category_extensions e
      JOIN file_categories c ON c.ID = e.CategoryID WHERE e.Extension = ${dialect.unplanned(extension)}`);
    if (holder !== undefined) throw new ConflictError(`the extension ${extension} belongs to category ${holder.name}`);
    yield* run(sql`INSERT INTO category_extensions (Extension, CategoryID) VALUES (${extension}, ${categoryId})`);
  }
}

export const saveCategory = procedure(
  'categories.save',
  'write',
  function* ({ name, extensions, ...given }: CategoryToSave, dialect): Steps<Category> {
    const stored = yield* findCategory(name);
    const keep = <Value>(value: Value | undefined, before: Value | undefined) => (value === undefined ? before : value);
    const description = keep(given.description, stored?.description) ?? null;
    const color = keep(given.color, stored === undefined ? DEFAULT_COLOR : stored.color) ?? null;
    const defaultPath = keep(given.defaultPath, stored?.defaultPath) ?? null;
    yield* run(sql`INSERT INTO file_categories (Name, Description, Color, DefaultPath)
      VALUES (${name}, ${description}, ${color}, ${defaultPath}) ON CONFLICT (Name) DO UPDATE SET
      Description = excluded.Description, Color = excluded.Color, DefaultPath = excluded.DefaultPath`);
    const saved = yield* findCategory(name);
    if (saved === undefined) throw new NotFoundError(`category ${name}`);
    if (extensions !== undefined) yield* claim(extensions, saved.id, dialect);
    const claimed = yield* all<{ extension: string }>(sql`SELECT Extension AS "extension" FROM category_extensions
      WHERE CategoryID = ${saved.id} ORDER BY Extension`);
    return { name, description, color, defaultPath, extensions: claimed.map(({ extension }) => extension) };
  },
);

/** Removes a category; its files keep the name until their category is derived again. */
export const deleteCategory = procedure('categories.delete', 'write', function* (name: string): Steps<void> {
  if ((CATEGORIES as readonly string[]).includes(name)) {
    throw new ConflictError(`the category ${name} is built in and cannot be deleted`);
  }
  const stored = yield* findCategory(name);
  if (stored === undefined) throw new NotFoundError(`category ${name}`);
  yield* run(sql`DELETE FROM category_extensions WHERE CategoryID = ${stored.id}`);
  yield* run(sql`DELETE FROM file_categories WHERE ID = ${stored.id}`);
});

/** The result of one batch, and where the next begins. */
export interface DerivedStretch {
  readonly files: number;
  readonly changed: number;
  readonly next: string | null;
}

const DERIVE_FILES = 500; // in one transaction, so other writers wait only a few milliseconds

interface Derivable {
  readonly id: string;
  readonly fileName: string;
  readonly category: string | null;
}

/** Derives the category of the files after `after` from their names, whatever it is now. */
export const deriveCategories = procedure(
  'categories.derive',
  'write',
  function* (after: string | null, dialect): Steps<DerivedStretch> {
    const claimed = yield* all<{ extension: string; name: string }>(sql`SELECT e.Extension AS "extension",
      c.Name AS "name" FROM category_extensions e JOIN file_categories c ON c.ID = e.CategoryID`);
    const byExtension = new Map(claimed.map(({ extension, name }) => [extension, name]));
    const from = after === null ? sql`1 = 1` : sql`ID > ${idBytes(after)}`;
    const found = yield* all<Derivable>(sql`SELECT ${dialect.hex('ID')} AS "id", FileName AS "fileName",
      FileCategory AS "category" FROM files WHERE ID IS NOT NULL AND ${from} ORDER BY ID LIMIT ${DERIVE_FILES}`);
    let changed = 0;
    for (const { id, fileName, category } of found) {
      const extension = extensionOf(fileName);
      const derived = byExtension.get(extension ?? '') ?? categoryOf(extension);
      if (derived === category) continue;
      changed += 1;
      yield* run(sql`UPDATE files SET FileCategory = ${derived} WHERE ID = ${idBytes(id)}`);
      yield* run(
        sql`UPDATE file_versions SET FileCategory = ${derived} WHERE FileID = ${idBytes(id)} AND IsActive = 1`,
      );
    }
    return { files: found.length, changed, next: found.length < DERIVE_FILES ? null : (found.at(-1)?.id ?? null) };
  },
);

/** `db.categories`: categories of files, built-in and custom, with their extensions. */
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkObject, checkText, optional, refuse } from '../validation.ts';
import { MAX_PATH } from '../values/file-input.ts';
import {
  type Category,
  type DerivedStretch,
  deleteCategory,
  deriveCategories,
  listCategories,
  saveCategory,
} from './category-procedures.ts';

/** A category to store; omitted fields keep their value, null clears one. */
export interface CategoryInput {
  /** 1 to 50 characters, unique. */
  readonly name: string;
  readonly description?: string | null | undefined;
  /** `#rrggbb`. A new category gets `#007acc`. */
  readonly color?: string | null | undefined;
  readonly defaultPath?: string | null | undefined;
  /** Extensions whose files get this category, `txt` or `.txt`; replaces the previous ones. */
  readonly extensions?: readonly string[] | undefined;
}

/** How many files were checked, and how many changed their category. */
export interface Derivation {
  readonly files: number;
  readonly changed: number;
}

/** `db.categories`: categories of files and their extensions. */
export interface Categories {
  /** Every category, ordered by name. */
  list(options?: CallOptions): Promise<Category[]>;

  /**
   * Stores a category. Files saved from now on get it by their extension; stored files keep theirs until `rederive`.
   * @throws {ConflictError} if an extension belongs to another category
   */
  save(category: CategoryInput, options?: CallOptions): Promise<Category>;

  /**
   * Removes a custom category. Files keep its name until `rederive`.
   * @throws {NotFoundError} when it does not exist
   * @throws {ConflictError} if it is built in
   */
  delete(name: string, options?: CallOptions): Promise<void>;

  /** Derives the category of every file from its name again, in batches that let other writers through. */
  rederive(options?: CallOptions): Promise<Derivation>;
}

const MAX_NAME = 50; // VARCHAR(50) in the schema
const MAX_DESCRIPTION = 1_000;
const MAX_EXTENSION = 255;
const CATEGORY_KEYS = new Set(['name', 'description', 'color', 'defaultPath', 'extensions']);

const checkName = (value: unknown) => checkText(value, 'name', { max: MAX_NAME });

/** undefined keeps the stored value, null clears it. */
const kept = <Value>(value: unknown, check: (given: unknown) => Value): Value | null | undefined =>
  value === undefined ? undefined : optional(value, check);

function checkColor(value: unknown): string {
  const isColor = typeof value === 'string' && /^#[0-9a-f]{6}$/i.test(value);
  return isColor ? value.toLowerCase() : refuse('color', value, 'a colour as #rrggbb');
}

function checkExtension(value: unknown): string {
  const text = checkText(value, 'extensions', { max: MAX_EXTENSION }).toLowerCase();
  const extension = text.startsWith('.') ? text.slice(1) : text;
  return /^[^./\\\s]+$/.test(extension) ? extension : refuse('extensions', value, 'extensions such as txt or .txt');
}

function checkExtensions(value: unknown): string[] {
  return Array.isArray(value)
    ? [...new Set(value.map(checkExtension))]
    : refuse('extensions', value, 'an array of texts');
}

function checkCategory(category: CategoryInput) {
  const given = checkObject(category, 'category', CATEGORY_KEYS);
  return {
    name: checkName(given['name']),
    description: kept(given['description'], (value) =>
      checkText(value, 'description', { min: 0, max: MAX_DESCRIPTION }),
    ),
    color: kept(given['color'], checkColor),
    defaultPath: kept(given['defaultPath'], (value) => checkText(value, 'defaultPath', { max: MAX_PATH })),
    extensions: given['extensions'] === undefined ? undefined : checkExtensions(given['extensions']),
  };
}

/**
 * Builds `db.categories`.
 * @internal
 */
export const categoriesOf = (executor: Executor): Categories => ({
  list: async (options) => executor.run(listCategories, null, options),
  save: async (category, options) => executor.run(saveCategory, checkCategory(category), options),
  delete: async (name, options) => executor.run(deleteCategory, checkName(name), options),

  async rederive(options) {
    const total = { files: 0, changed: 0 };
    for (let after: string | null | undefined = null; after !== undefined; ) {
      const stretch: DerivedStretch = await executor.run(deriveCategories, after, options);
      total.files += stretch.files;
      total.changed += stretch.changed;
      after = stretch.next ?? undefined;
    }
    return total;
  },
});

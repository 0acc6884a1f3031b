/** Translates the library's names for the command line: options become flags, calls become commands. */
import { OPTIONS } from '../lib/index.ts';

/** The typed form of a library name: `--keep-last` for `keepLast`. */
export type TypedNames = ReadonlyMap<string, string>;

const CAMEL_CASE = /\b[a-z]+(?:[A-Z][a-z]*)+\b/g;

const FLAGS: TypedNames = new Map(
  OPTIONS.flatMap(({ option, flag }) => (flag === null ? [] : [[option, `--${flag}`] as const])),
);

/** What to type for an option's value where the library's text uses JavaScript terms; by the library's name. */
export type TypedWords = Readonly<Record<string, { readonly received?: string; readonly accepted: string }>>;

/** The flag of an option that every command takes; any other name as it is. */
export const flagFor = (field: string): string => FLAGS.get(field) ?? field;

/** Replaces the library's names in a text with their typed form. Plain words such as `from` stay. */
export const typedText = (text: string, names: TypedNames): string =>
  text.replace(CAMEL_CASE, (name) => names.get(name) ?? FLAGS.get(name) ?? name);

const COMMAND = /\((?:`[^`]*`, )?CLI: `([^`]*)`\)/g; // (`backups.drill`, CLI: `backups --drill`)

/** Names in hints that the command line does not have, except inside paths. */
const UNTYPED = [
  ...OPTIONS.filter(({ flag }) => flag === null).map(({ option }) => option),
  ...['timeoutMs', 'operationId', 'thresholds\\.checkMs'],
]
  .filter((name) => /[A-Z]/.test(name))
  .map((name) => `(?<![/\\w])${name}(?![/\\w])`);
const LAST_CLAUSE = new RegExp(`[,;:] [^,;:.]*(?:open with|${UNTYPED.join('|')})[^.]*(?=\\.)`, 'g');

/** A hint in terms of commands and flags, without clauses about options that have no flag. */
export const typedHint = (hint: string, names: TypedNames): string =>
  typedText(hint, names)
    .replace(COMMAND, (_, command: string) => `(\`backup-catalog ${command}\`)`)
    .replace(LAST_CLAUSE, '');

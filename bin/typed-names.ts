/** The library's names as the command line has them: options are flags there, and calls are commands. */
import { OPTIONS } from '../lib/index.ts';

/** What is typed for a name of the library: `--keep-last` for `keepLast`. */
export type TypedNames = ReadonlyMap<string, string>;

const CAMEL_CASE = /\b[a-z]+(?:[A-Z][a-z]*)+\b/g;

const FLAGS: TypedNames = new Map(
  OPTIONS.flatMap(({ option, flag }) => (flag === null ? [] : [[option, `--${flag}`] as const])),
);

/** What to type for the value of an option, where the library's own words speak of JavaScript; by the library's name. */
export type TypedWords = Readonly<Record<string, { readonly received?: string; readonly accepted: string }>>;

/** The flag of an option that every command takes; any other name as it is. */
export const flagFor = (field: string): string => FLAGS.get(field) ?? field;

/** A text with what can be typed in the place of the library's names. Plain words such as `from` are left alone. */
export const typedText = (text: string, names: TypedNames): string =>
  text.replace(CAMEL_CASE, (name) => names.get(name) ?? FLAGS.get(name) ?? name);

const COMMAND = /\((?:`[^`]*`, )?CLI: `([^`]*)`\)/g; // (`backups.drill`, CLI: `backups --drill`)

/** What a hint may advise that no command line can do; names that stand in a path are none. */
const UNTYPED = [
  ...OPTIONS.filter(({ flag }) => flag === null).map(({ option }) => option),
  ...['timeoutMs', 'operationId', 'thresholds\\.checkMs'],
]
  .filter((name) => /[A-Z]/.test(name))
  .map((name) => `(?<![/\\w])${name}(?![/\\w])`);
const LAST_CLAUSE = new RegExp(`[,;:] [^,;:.]*(?:open with|${UNTYPED.join('|')})[^.]*(?=\\.)`, 'g');

/** A hint for the command line: its commands, its flags, and no clause about what it has no flag for. */
export const typedHint = (hint: string, names: TypedNames): string =>
  typedText(hint, names)
    .replace(COMMAND, (_, command: string) => `(\`backup-catalog ${command}\`)`)
    .replace(LAST_CLAUSE, '');

/**
 * Reads the options of a catalogue by their table. An explicit option overrides the environment, which overrides the
 * default; unknown names are refused.
 */

import { ValidationError } from '../errors.ts';
import { describe, keysOf, nearest } from '../validation.ts';
import { OPTIONS, type OptionRow } from './table.ts';
import type { CatalogOptions, ResolvedOptions } from './types.ts';

function resolveOne(row: OptionRow, given: unknown, environment: NodeJS.ProcessEnv): unknown {
  const variable = row.environment === null ? undefined : environment[row.environment];
  if (given === undefined && variable !== undefined && variable !== '') return fromVariable(row, variable);
  const value = given === undefined ? row.default : given;
  if (row.accepts(value)) return row.complete === undefined ? value : row.complete(value);
  refuseElement(row, value);
  throw new ValidationError({ field: row.option, received: describe(value), accepted: row.accepted });
}

/** @throws {ValidationError} for the first unacceptable element of an array, with its index */
function refuseElement({ option, acceptsElement, acceptedElement = '' }: OptionRow, value: unknown): void {
  if (acceptsElement === undefined || !Array.isArray(value)) return;
  const place = value.findIndex((element) => !acceptsElement(element));
  const received = describe(value[place]);
  throw new ValidationError({ field: `${option}[${place}]`, received, accepted: acceptedElement });
}

function fromVariable(
  { environment, parse, accepts, accepted, acceptedText = accepted }: OptionRow,
  text: string,
): unknown {
  const value = parse(text);
  if (accepts(value)) return value;
  const field = `environment variable ${environment}`;
  throw new ValidationError({ field, received: describe(text), accepted: acceptedText });
}

/**
 * Every option with its checked value.
 * @throws {ValidationError} for an unknown name (the hint proposes the nearest) or an unacceptable value
 */
export function resolveOptions(
  options: CatalogOptions = {},
  environment: NodeJS.ProcessEnv = process.env,
): ResolvedOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ValidationError({ field: 'options', received: describe(options), accepted: 'an object' });
  }
  const names = OPTIONS.map(({ option }) => option);
  for (const key of keysOf(options)) refuseUnknown(key, names);
  const values = OPTIONS.map((row) => [row.option, resolveOne(row, options[row.option], environment)]);
  return Object.freeze(Object.fromEntries(values));
}

/** Names that other libraries and the Python server use for the path of the database. */
const NAMES_OF_DATABASE: ReadonlySet<string> = new Set(['path', 'file', 'filename', 'db', 'db_name', 'dbname']);

function refuseUnknown(key: string, names: readonly string[]): void {
  if (names.includes(key)) return;
  const meant = NAMES_OF_DATABASE.has(key.toLowerCase()) ? 'database' : nearest(key, names);
  const hint = meant === undefined ? {} : { hint: `Did you mean ${meant}?` };
  throw new ValidationError(
    { field: key, received: 'an unknown option', accepted: `one of ${names.join(', ')}` },
    hint,
  );
}

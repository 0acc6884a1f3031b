/** How a failure is told: one sentence and what to do now, with the exit code that scripts see. */
import { CommanderError } from 'commander';
import type { Logger } from 'pino';
import { DatabaseError, ValidationError } from '../lib/index.ts';
import type { ExitCode } from './command.ts';
import { styled, tell } from './output.ts';
import { reasonOf, systemCode } from './system-error.ts';

export const FAILED: ExitCode = 1;
const USAGE: ExitCode = 2;

/** Something that was asked for in a way that cannot be done. */
export class UsageError extends Error {
  override name = 'UsageError';
}

const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

function describe(error: unknown): string {
  if (error instanceof DatabaseError) {
    const reason = systemCode(error.cause) === undefined ? '' : `: ${reasonOf(error.cause)}`;
    return `${sentence(error.message + reason)} ${error.hint}`;
  }
  return sentence(error instanceof Error ? error.message : String(error));
}

/** A line that stands out on a terminal. */
export const tellError = (text: string): void => tell(`${styled('red', 'error:', process.stderr)} ${text}`);

const isUsage = (error: unknown) =>
  error instanceof UsageError || (error instanceof DatabaseError && error.code === 'CATALOG_VALIDATION');

/** What was typed for a name of the library: `--keep-last` for `keepLast`. */
export type TypedNames = ReadonlyMap<string, string>;

const CAMEL_CASE = /\b[a-z]+(?:[A-Z][a-z]*)+\b/g;

/** A refused value, told by what was typed. */
function asTyped(error: unknown, names: TypedNames): unknown {
  if (!(error instanceof ValidationError)) return error;
  const { cause, hint, received } = error;
  const field = names.get(error.field) ?? error.field;
  // Words such as `from` are names as well; in a sentence they are words.
  const accepted = error.accepted.replace(CAMEL_CASE, (name) => names.get(name) ?? name);
  return new ValidationError({ field, received, accepted }, { cause, hint });
}

/** Tells the error and returns the exit code. The stack is for those who log at `debug`. */
export function report(error: unknown, logger: Logger | undefined, names: TypedNames = new Map()): ExitCode {
  // Commander has told it already; help and version that were asked for are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
  tellError(describe(asTyped(error, names)));
  logger?.debug({ err: error }, 'the command failed');
  return isUsage(error) ? USAGE : FAILED;
}

/** Reports failures: one sentence, a hint, and an exit code for scripts. */
import { CommanderError } from 'commander';
import type { Logger } from 'pino';
import { DatabaseError, ValidationError } from '../lib/index.ts';
import type { ExitCode } from './command.ts';
import { withReadableSizes } from './format.ts';
import { styled, tell } from './output.ts';
import { reasonOf, systemCode } from './system-error.ts';
import { flagFor, type TypedNames, type TypedWords, typedHint, typedText } from './typed-names.ts';

export const FAILED: ExitCode = 1;
const USAGE: ExitCode = 2;

/** Wrong usage of a command. */
export class UsageError extends Error {
  override name = 'UsageError';
}

const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Codes of errors whose sizes are shown with units. */
const SIZED: ReadonlySet<string> = new Set(['CATALOG_FULL', 'CATALOG_QUOTA_EXCEEDED']);

function describe(error: unknown): string {
  if (error instanceof DatabaseError) {
    const reason = systemCode(error.cause) === undefined ? '' : `: ${reasonOf(error.cause)}`;
    const message = SIZED.has(error.code) ? withReadableSizes(error.message) : error.message;
    return `${sentence(message + reason)} ${error.hint}`;
  }
  return sentence(error instanceof Error ? error.message : String(error));
}

/** Prints an error. */
export const tellError = (text: string): void => tell(`${styled('red', 'error:', process.stderr)} ${text}`);

/** Prints a warning. */
export const tellWarning = (text: string): void => tell(`${styled('yellow', 'warning:', process.stderr)} ${text}`);

const isUsage = (error: unknown) =>
  error instanceof UsageError || (error instanceof DatabaseError && error.code === 'CATALOG_VALIDATION');

/** The command line's words for the library's options: their flags, and what to type instead of a refused value. */
export interface Vocabulary {
  readonly names: TypedNames;
  readonly words: TypedWords;
}

const PLAIN: Vocabulary = { names: new Map(), words: {} };

/** The same error in terms of what can be typed. */
function asTyped(error: unknown, { names, words }: Vocabulary): unknown {
  if (!(error instanceof DatabaseError)) return error;
  const { cause } = error;
  const hint = typedHint(error.hint, names);
  if (!(error instanceof ValidationError)) return new DatabaseError(error.code, error.message, { cause, hint });
  const typed = words[error.field];
  return new ValidationError(
    {
      field: names.get(error.field) ?? flagFor(error.field),
      received: typed?.received ?? error.received.replace(/^number /, ''),
      accepted: typed?.accepted ?? typedText(error.accepted, names),
    },
    { cause, hint },
  );
}

/** Prints the error and returns the exit code. The stack goes to the log, at `debug`. */
export function report(error: unknown, logger: Logger | undefined, vocabulary = PLAIN): ExitCode {
  // Commander has printed its own errors; for help and version it exits with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
  tellError(describe(asTyped(error, vocabulary)));
  logger?.debug({ err: error }, 'the command failed');
  return isUsage(error) ? USAGE : FAILED;
}

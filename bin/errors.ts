/** How a failure is told: one sentence and what to do now, with the exit code that scripts see. */
import { CommanderError } from 'commander';
import type { Logger } from 'pino';
import { DatabaseError, ValidationError } from '../lib/index.ts';
import type { ExitCode } from './command.ts';
import { withReadableSizes } from './format.ts';
import { styled, tell } from './output.ts';
import { reasonOf, systemCode } from './system-error.ts';
import { type TypedNames, typedHint, typedText } from './typed-names.ts';

export const FAILED: ExitCode = 1;
const USAGE: ExitCode = 2;

/** Something that was asked for in a way that cannot be done. */
export class UsageError extends Error {
  override name = 'UsageError';
}

const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Codes of errors whose figures nobody compares byte by byte. */
const SIZED: ReadonlySet<string> = new Set(['CATALOG_FULL', 'CATALOG_QUOTA_EXCEEDED']);

function describe(error: unknown): string {
  if (error instanceof DatabaseError) {
    const reason = systemCode(error.cause) === undefined ? '' : `: ${reasonOf(error.cause)}`;
    const message = SIZED.has(error.code) ? withReadableSizes(error.message) : error.message;
    return `${sentence(message + reason)} ${error.hint}`;
  }
  return sentence(error instanceof Error ? error.message : String(error));
}

/** A line that stands out on a terminal. */
export const tellError = (text: string): void => tell(`${styled('red', 'error:', process.stderr)} ${text}`);

/** A line about what is not as it should be and hinders nothing. */
export const tellWarning = (text: string): void => tell(`${styled('yellow', 'warning:', process.stderr)} ${text}`);

const isUsage = (error: unknown) =>
  error instanceof UsageError || (error instanceof DatabaseError && error.code === 'CATALOG_VALIDATION');

/** A refused value, and every hint, told by what can be typed. */
function asTyped(error: unknown, names: TypedNames): unknown {
  if (!(error instanceof DatabaseError)) return error;
  const { cause } = error;
  const hint = typedHint(error.hint, names);
  if (!(error instanceof ValidationError)) return new DatabaseError(error.code, error.message, { cause, hint });
  const field = names.get(error.field) ?? error.field;
  return new ValidationError(
    { field, received: error.received, accepted: typedText(error.accepted, names) },
    { cause, hint },
  );
}

/** Tells the error and returns the exit code. The stack is for those who log at `debug`. */
export function report(error: unknown, logger: Logger | undefined, names: TypedNames = new Map()): ExitCode {
  // Commander has told it already; help and version that were asked for are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
  tellError(describe(asTyped(error, names)));
  logger?.debug({ err: error }, 'the command failed');
  return isUsage(error) ? USAGE : FAILED;
}

/** How a failure is told: one sentence and what to do now, with the exit code that scripts see. */
import { CommanderError } from 'commander';
import type { Logger } from 'pino';
import { DatabaseError } from '../lib/index.ts';
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

/** Tells the error and returns the exit code. The stack is for those who log at `debug`. */
export function report(error: unknown, logger: Logger | undefined): ExitCode {
  // Commander has told it already; help and version that were asked for are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
  tellError(describe(error));
  logger?.debug({ err: error }, 'the command failed');
  return isUsage(error) ? USAGE : FAILED;
}

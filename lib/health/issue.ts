/** Issues: what a person should know, its severity, and what to do about it. */

import { DatabaseError, type ErrorCode } from '../errors.ts';
import { reasonOf } from '../runtime/thrown.ts';

export type HealthStatus = 'pass' | 'warn' | 'fail';

/** Something a person should know, with one of these codes. */
export interface Issue<Code extends string> {
  readonly code: Code;
  readonly severity: 'warn' | 'fail';
  readonly message: string;
  readonly hint: string;
}

export const warning = <Code extends string>(code: Code, message: string, hint: string): Issue<Code> => ({
  code,
  severity: 'warn',
  message,
  hint,
});

export const failure = <Code extends string>(code: Code, message: string, hint: string): Issue<Code> => ({
  code,
  severity: 'fail',
  message,
  hint,
});

/** Error codes of a file that cannot be read or trusted. */
const UNREADABLE: ReadonlySet<string> = new Set([
  'CATALOG_CORRUPT',
  'CATALOG_IO',
  'CATALOG_NOT_FOUND',
  'CATALOG_CLOSED',
  'CATALOG_FOREIGN_DATABASE',
]);

/** An error as an issue. */
export function issueOf(error: unknown): Issue<ErrorCode> {
  const { code, message, hint } =
    error instanceof DatabaseError ? error : new DatabaseError('CATALOG_IO', reasonOf(error));
  return { code, severity: UNREADABLE.has(code) ? 'fail' : 'warn', message, hint };
}

/** The status of a whole with these issues. */
export const worst = (issues: readonly Issue<string>[]): HealthStatus => {
  if (issues.some(({ severity }) => severity === 'fail')) return 'fail';
  return issues.length > 0 ? 'warn' : 'pass';
};

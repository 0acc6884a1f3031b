/** Errors of the operating system in words. */
import { getSystemErrorMessage } from 'node:util';

/** The code of a system error (`ENOENT`), or undefined for any other value. */
export function systemCode(error: unknown): string | undefined {
  const isSystemError = error instanceof Error && 'errno' in error && 'code' in error;
  return isSystemError ? String(error.code) : undefined;
}

/**
 * Why the operating system refused, in words: `permission denied (EACCES)`.
 * @throws the error itself when it is not the operating system's: that would be a mistake of ours
 */
export function reasonOf(error: unknown): string {
  const code = systemCode(error);
  if (code === undefined) throw error;
  return `${getSystemErrorMessage((error as { errno: number }).errno)} (${code})`;
}

/**
 * The only place that turns SQLite's result codes into this library's errors. The codes are those of
 * https://sqlite.org/rescode.html as better-sqlite3 names them; no code above parses messages.
 */

import { DatabaseError, type ErrorCode } from '../errors.ts';
import { codeOf } from '../runtime/thrown.ts';

/** Primary result codes; an extended code (SQLITE_IOERR_FSYNC) matches its longest prefix. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  SQLITE_BUSY: 'CATALOG_BUSY',
  SQLITE_LOCKED: 'CATALOG_BUSY',
  SQLITE_FULL: 'CATALOG_FULL',
  SQLITE_IOERR: 'CATALOG_IO',
  SQLITE_CANTOPEN: 'CATALOG_IO',
  SQLITE_PERM: 'CATALOG_IO',
  SQLITE_NOMEM: 'CATALOG_IO',
  SQLITE_NOLFS: 'CATALOG_IO',
  SQLITE_PROTOCOL: 'CATALOG_BUSY',
  SQLITE_CORRUPT: 'CATALOG_CORRUPT',
  SQLITE_NOTADB: 'CATALOG_CORRUPT',
  SQLITE_READONLY: 'CATALOG_READ_ONLY',
  SQLITE_CONSTRAINT: 'CATALOG_CONFLICT',
  SQLITE_INTERRUPT: 'CATALOG_TIMEOUT',
};

/** The result code of a driver's error; '' for any other error. */
export function sqliteCode(error: unknown): string {
  const code = codeOf(error);
  return code.startsWith('SQLITE_') ? code : '';
}

const primaryCode = (code: string) => code.split('_').slice(0, 2).join('_');

/** Turns a driver's error into a {@link DatabaseError}; anything else is returned unchanged. */
export function classify(error: unknown): unknown {
  const code = sqliteCode(error);
  if (code === '') return error;
  const { message } = error as Error;
  return new DatabaseError(CODES[primaryCode(code)] ?? 'CATALOG_SQL', `${message} (${code})`, { cause: error });
}

/**
 * Like {@link classify}, for errors of a statement, including the wrong number or type of values, which better-sqlite3
 * refuses before SQLite sees the statement. The message contains none of the values, although SQLite quotes JSON paths
 * and words of full-text queries.
 */
export function classifyStatement(error: unknown, text: string, values: readonly unknown[]): unknown {
  if (!(error instanceof Error) || error instanceof DatabaseError) return error;
  const message = withoutValues(error.message, text, values);
  error.stack = error.stack?.replace(error.message, () => message) ?? '';
  error.message = message;
  const isRefused = error instanceof TypeError || error instanceof RangeError;
  return isRefused ? new DatabaseError('CATALOG_SQL', message, { cause: error }) : classify(error);
}

/** The message without words that occur in a bound value but not in the statement's text. */
function withoutValues(message: string, text: string, values: readonly unknown[]): string {
  const bound = values.map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : String(value)));
  const isBound = (word: string) => !text.includes(word) && bound.some((value) => value.includes(word));
  return message.replace(/[\p{L}\p{N}_]+/gu, (word) => (isBound(word) ? '…' : word));
}

/**
 * Whether a COMMIT that failed with this error certainly changed nothing. A full disk fails before the commit record is
 * complete, a constraint or lock before anything is written; after any other failure the record may be on the disk.
 */
export const commitFailedCleanly = (error: unknown) =>
  ['SQLITE_FULL', 'SQLITE_BUSY', 'SQLITE_CONSTRAINT'].includes(primaryCode(sqliteCode(error)));

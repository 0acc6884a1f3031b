/**
 * The one place where SQLite's result codes become this library's errors. Codes are those of
 * https://sqlite.org/rescode.html as better-sqlite3 names them; nobody above parses a message.
 */

import { DatabaseError, type ErrorCode } from '../errors.ts';
import { codeOf } from '../runtime/thrown.ts';

/** Primary result codes; an extended code (SQLITE_IOERR_FSYNC) is found by its longest prefix here. */
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

/** The result code of a driver's error, '' for any other. */
export function sqliteCode(error: unknown): string {
  const code = codeOf(error);
  return code.startsWith('SQLITE_') ? code : '';
}

const primaryCode = (code: string) => code.split('_').slice(0, 2).join('_');

/** Turns what the driver threw into a {@link DatabaseError}; everything else passes as it is. */
export function classify(error: unknown): unknown {
  const code = sqliteCode(error);
  if (code === '') return error;
  const { message } = error as Error;
  return new DatabaseError(CODES[primaryCode(code)] ?? 'CATALOG_SQL', `${message} (${code})`, { cause: error });
}

/**
 * What a statement threw, as {@link classify} does, and what better-sqlite3 refuses before SQLite sees the statement: the
 * wrong number or kind of values. None of the values is in the message, though SQLite quotes a JSON path or the words of
 * a full-text query there.
 */
export function classifyStatement(error: unknown, text: string, values: readonly unknown[]): unknown {
  if (!(error instanceof Error) || error instanceof DatabaseError) return error;
  const message = withoutValues(error.message, text, values);
  error.stack = error.stack?.replace(error.message, () => message) ?? '';
  error.message = message;
  const isRefused = error instanceof TypeError || error instanceof RangeError;
  return isRefused ? new DatabaseError('CATALOG_SQL', message, { cause: error }) : classify(error);
}

/** The message with every word left out that a bound value has and the statement's own text has not. */
function withoutValues(message: string, text: string, values: readonly unknown[]): string {
  const bound = values.map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : String(value)));
  const isBound = (word: string) => !text.includes(word) && bound.some((value) => value.includes(word));
  return message.replace(/[\p{L}\p{N}_]+/gu, (word) => (isBound(word) ? '…' : word));
}

/**
 * Whether a COMMIT that failed so can be told to have changed nothing. A full disk fails before the commit record is
 * whole, a constraint or a lock before anything is written; after any other failure the record may be on the disk.
 */
export const commitFailedCleanly = (error: unknown) =>
  ['SQLITE_FULL', 'SQLITE_BUSY', 'SQLITE_CONSTRAINT'].includes(primaryCode(sqliteCode(error)));

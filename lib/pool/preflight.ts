/**
 * Checks a file before any connection that could change it is opened: a procedure of the owner runs on a separate
 * connection and throws if the file must be left alone. A refused file keeps every byte, its log included, and no file
 * appears beside it. A file that cannot be read without leaving a trace is refused as foreign.
 */

import Database from 'better-sqlite3';
import { DatabaseError } from '../errors.ts';
import { sizeOfSync } from '../runtime/files-sync.ts';
import { ImmutableFile } from '../runtime/immutable-file.ts';
import { driveSync, type Registry, type Step } from '../sql/procedure.ts';
import type { Call, ConnectionSettings } from './protocol.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import { classify } from './sqlite-errors.ts';

/**
 * How to read a file without leaving a trace. If the log holds changes, closing a connection that may write moves them
 * into the file; if it holds none, a read-only connection leaves an empty log behind.
 */
function accessTo(path: string): { readonly readonly: boolean } | undefined {
  if ((sizeOfSync(`${path}-journal`) ?? 0) > 0) return undefined; // only a writer can roll this transaction back
  if ((sizeOfSync(`${path}-wal`) ?? 0) === 0) return { readonly: false };
  return sizeOfSync(`${path}-shm`) === undefined ? undefined : { readonly: true };
}

const execute =
  (database: Database.Database) =>
  ({ mode, sql }: Step): unknown => {
    const statement = database.prepare<unknown[]>(sqliteDialect.text(sql));
    if (!statement.readonly || (mode !== 'one' && mode !== 'all')) {
      throw new TypeError('a preflight asks for rows as objects and changes nothing');
    }
    return mode === 'one' ? statement.get(sql.values) : statement.all(sql.values);
  };

/**
 * Runs the named procedure.
 * @throws {DatabaseError} CATALOG_FOREIGN_DATABASE when only a full inspection can tell; whatever the procedure throws
 */
export function runPreflight(
  path: string,
  [name, input]: Call,
  registry: Registry,
  { busyTimeoutMs: timeout, immutable }: Pick<ConnectionSettings, 'busyTimeoutMs' | 'immutable'>,
): void {
  const found = registry.get(name);
  if (found === undefined) throw new TypeError(`the procedure ${name} is not registered`);
  const access = accessTo(path);
  if (access === undefined) throw new DatabaseError('CATALOG_FOREIGN_DATABASE', `${path} was not closed by its owner`);
  try {
    const unwritten = immutable ? ImmutableFile.at(path) : undefined;
    const database = unwritten?.open(timeout) ?? new Database(path, { ...access, fileMustExist: true, timeout });
    try {
      database.pragma('trusted_schema = OFF');
      driveSync(found.steps(input as never, sqliteDialect), execute(database));
    } finally {
      database.close();
    }
  } catch (error) {
    throw classify(error);
  }
}

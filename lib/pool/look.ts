/**
 * Looks at a file before a connection is opened that may change it: a procedure of the owner's runs on a connection of
 * its own and throws when the file shall be left alone. Promises that a file which is refused stays as it was to the
 * byte, its log included, and that nothing is left beside it; what cannot be looked at so is refused as foreign.
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
 * How to look without a trace. Where a log holds changes, closing a connection that may write would move them into the
 * file; where none does, one that may only read would leave an empty log behind.
 */
function accessTo(path: string): { readonly readonly: boolean } | undefined {
  if ((sizeOfSync(`${path}-journal`) ?? 0) > 0) return undefined; // a transaction that only a writer could roll back
  if ((sizeOfSync(`${path}-wal`) ?? 0) === 0) return { readonly: false };
  return sizeOfSync(`${path}-shm`) === undefined ? undefined : { readonly: true };
}

const execute =
  (database: Database.Database) =>
  ({ mode, sql }: Step): unknown => {
    const statement = database.prepare<unknown[]>(sqliteDialect.text(sql));
    if (!statement.readonly || (mode !== 'one' && mode !== 'all')) {
      throw new TypeError('a look asks for rows as objects and changes nothing');
    }
    return mode === 'one' ? statement.get(sql.values) : statement.all(sql.values);
  };

/**
 * Runs the named procedure.
 * @throws {DatabaseError} CATALOG_FOREIGN_DATABASE when only a thorough look can tell; what the procedure throws
 */
export function lookFirst(
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

/** Opens a database with every setting that this product relies on. docs/DESIGN.md gives the reasons. */
import Database from 'better-sqlite3';
import { DatabaseError } from '../errors.ts';
import type { ImmutableFile } from '../runtime/immutable-file.ts';
import { invariant } from '../runtime/invariant.ts';
import type { ConnectionSettings } from './protocol.ts';
import { assertSqliteVersion } from './sqlite-version.ts';

const CACHE_PAGES = 10_000; // 40 MB: more did not help at a million files
const JOURNAL_SIZE_LIMIT = 64 * 1024 * 1024; // bytes that a WAL shrinks to after a checkpoint
const CHECKPOINT_FRAMES = 4_000; // 1,000 costs a save 65-94 us; 10,000 the worst commit 97 ms instead of 56

function applyJournalMode(database: Database.Database, { allowRollbackJournal, readOnly }: ConnectionSettings): void {
  const mode = readOnly
    ? database.pragma('journal_mode', { simple: true })
    : database.pragma('journal_mode = WAL', { simple: true });
  if (mode === 'wal' || readOnly || allowRollbackJournal) return;
  throw new DatabaseError('CATALOG_IO', `the file system refuses write-ahead logging (journal mode stays ${mode})`, {
    hint: 'Move the database to a local disk, or set allowRollbackJournal and accept slower, blocking writes.',
  });
}

function applySettings(database: Database.Database, settings: ConnectionSettings): void {
  applyJournalMode(database, settings);
  const pragmas = {
    // The build's default in WAL mode is NORMAL, which loses acknowledged commits when power fails.
    synchronous: settings.durability === 'full' ? 'FULL' : 'NORMAL',
    foreign_keys: 'ON',
    // Without it REPLACE skips delete triggers.
    recursive_triggers: 'ON',
    cache_size: CACHE_PAGES,
    temp_store: 'MEMORY',
    journal_size_limit: JOURNAL_SIZE_LIMIT,
    trusted_schema: 'OFF',
    cell_size_check: 'ON',
    secure_delete: 'ON',
    ...(settings.readOnly ? {} : { wal_autocheckpoint: CHECKPOINT_FRAMES }),
  };
  for (const [name, value] of Object.entries(pragmas)) database.pragma(`${name} = ${value}`);
}

/** Whether a database has a write-ahead log. */
export const keepsLog = (database: Database.Database) => database.pragma('journal_mode', { simple: true }) === 'wal';

/** @throws {DatabaseError} CATALOG_IO for a missing folder, which the driver reports before SQLite does */
function openFile(path: string, options: Database.Options): Database.Database {
  try {
    return new Database(path, options);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new DatabaseError('CATALOG_IO', error.message, { cause: error });
  }
}

/** Opens a database with every setting. @throws {DatabaseError} CATALOG_IO, CATALOG_CORRUPT, CATALOG_BUSY */
export function openDatabase(settings: ConnectionSettings, immutable: ImmutableFile | undefined): Database.Database {
  const { database: path, readOnly: readonly, busyTimeoutMs: timeout } = settings;
  const database = immutable?.open(timeout) ?? openFile(path, { readonly, fileMustExist: true, timeout });
  try {
    assertSqliteVersion(String(database.prepare('SELECT sqlite_version()').pluck().get()));
    applySettings(database, settings);
    const hasLog = keepsLog(database) || settings.readOnly || settings.allowRollbackJournal;
    invariant(hasLog, 'a writing connection keeps a write-ahead log', 'it has another journal');
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

/**
 * Restores a catalogue that this process does not have open: into the live file where there is one that works, otherwise
 * in the place of the file that is damaged or gone.
 */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { checkRestoreOptions, RESTORE_KEYS } from '../backup/backups.ts';
import { checkSource } from '../backup/paths.ts';
import { replaceDatabase } from '../backup/restore/replace.ts';
import { assertHealthy, type RestoreOptions, type RestoreResult, restoreLive } from '../backup/restore/restore.ts';
import { ConflictError, DatabaseError } from '../errors.ts';
import { recordMaintenance } from '../maintenance/history.ts';
import { resolveOptions } from '../options/reader.ts';
import { OPTIONS } from '../options/table.ts';
import type { CatalogOptions, ResolvedOptions } from '../options/types.ts';
import { realDatabase } from '../pool/database-file.ts';
import { isOpenHere } from '../runtime/open-files.ts';
import { checkObject, refuse } from '../validation.ts';
import { now } from '../values/dates.ts';
import { backupHost } from './hosts.ts';
import { migrateCopy, openFile } from './open.ts';
import { settingsOf } from './settings.ts';

/** What is restored, and from where. */
export interface RestoreFileOptions extends Omit<CatalogOptions, 'create' | 'readOnly' | 'migrate'>, RestoreOptions {
  /** The backup. */
  readonly from: string;
}

const KEYS: ReadonlySet<string> = new Set(['from', ...RESTORE_KEYS, ...OPTIONS.map(({ option }) => option)]);

/**
 * Restores a catalogue, whatever state it is in.
 * @throws as `DatabaseManager.restore` says
 * @internal
 */
export async function restoreFile(given: RestoreFileOptions): Promise<RestoreResult> {
  checkObject(given, 'options', KEYS);
  const { from, allowMissingManifest, onProgress, signal, ...rest } = given;
  const how = checkRestoreOptions({ allowMissingManifest, onProgress, signal });
  const options = resolveOptions(rest);
  // A link to the database stays a link.
  const database = await realDatabase(resolve(options.database));
  const { backupDir } = settingsOf(options, database);
  const source = await checkSource(from, 'from', backupDir);
  if (source === database) refuse('from', from, 'another file than the catalogue that is to be restored');
  const restored = await intoLiveFile(database, options, source, how);
  if (restored !== undefined) return restored;
  if (await isOpenHere(database).catch(() => false)) {
    throw new ConflictError(`${database} is open in this process, and damaged`, {
      hint: 'Close it, here and in every other process, and restore again.',
    });
  }
  return inPlaceOf({ ...options, database, backupDir }, source, how);
}

/** Restores into a file that can be opened; undefined where it cannot, or is too damaged to be kept as a backup. */
async function intoLiveFile(
  database: string,
  options: ResolvedOptions,
  from: string,
  how: RestoreOptions,
): Promise<RestoreResult | undefined> {
  try {
    const catalog = await openFile({ ...options, create: false });
    try {
      return await restoreLive(backupHost(catalog), from, how);
    } finally {
      await catalog.close();
    }
  } catch (error) {
    if (isBeyondRepair(error)) return undefined;
    // Not even a header is left: whatever it was, it is kept like any damaged file.
    if (isForeign(error) && !(await isOpenHere(database)) && !(await saysDatabase(database))) return undefined;
    throw refused(error);
  }
}

/** Codes that say that there is no file which could be restored into. */
const BEYOND_REPAIR = new Set(['CATALOG_NOT_FOUND', 'CATALOG_CORRUPT']);

const isBeyondRepair = (error: unknown) => error instanceof DatabaseError && BEYOND_REPAIR.has(error.code);

const isForeign = (error: unknown) => error instanceof DatabaseError && error.code === 'CATALOG_FOREIGN_DATABASE';

const MAGIC = Buffer.from('SQLite format 3\0');

/** Whether a file says of itself that it is a database; it must not be open in this process. */
async function saysDatabase(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read({ buffer: Buffer.alloc(MAGIC.length), position: 0 });
    return buffer.equals(MAGIC);
  } finally {
    await file.close();
  }
}

/** The error, with a hint where the file is another program's database, which must not be set aside. */
function refused(error: unknown): unknown {
  if (!(error instanceof DatabaseError) || !isForeign(error)) return error;
  return new DatabaseError(error.code, error.message, {
    cause: error,
    hint: "Check the path: the file is another program's database. To restore here all the same, move it away.",
  });
}

/** Puts a backup in the place of a database that is damaged or gone; takes it back when the result does not work. */
async function inPlaceOf(options: ResolvedOptions, from: string, how: RestoreOptions): Promise<RestoreResult> {
  const [start, startedAt] = [performance.now(), now()];
  const { database } = options;
  const settings = settingsOf(options, database);
  const host = { database, migrateCopy: (copy: string) => migrateCopy(settings, copy) };
  const { manifest, ready, damaged, undo } = await replaceDatabase(host, from, how);
  try {
    const catalog = await openFile({ ...options, create: false });
    try {
      await catalog.engine.transaction('write', async (connection) => {
        await assertHealthy(connection, ready);
        const durationMs = Math.round(performance.now() - start);
        await connection.run(recordMaintenance, { kind: 'restore', startedAt, durationMs, ok: true, detail: from });
      });
    } finally {
      await catalog.close();
    }
  } catch (error) {
    await undo();
    throw error;
  }
  const { databaseId, schemaVersion, counts } = ready;
  const durationMs = Math.round(performance.now() - start);
  return { path: from, manifest, databaseId, schemaVersion, counts, safetyCopy: null, damaged, durationMs };
}

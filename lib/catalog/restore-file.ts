/**
 * Restoring a catalogue that nobody has open here: into the live file where there is one that works, else in the place of
 * the one that is damaged or gone.
 */
import { open, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BackupHost, checkRestoreOptions, RESTORE_KEYS } from '../backup/backups.ts';
import { checkSource, isOpenHere } from '../backup/paths.ts';
import { replaceDatabase } from '../backup/restore/replace.ts';
import { assertHealthy, type RestoreOptions, type RestoreResult, restoreLive } from '../backup/restore/restore.ts';
import { ConflictError, DatabaseError } from '../errors.ts';
import { recordMaintenance } from '../maintenance/history.ts';
import { OPTIONS } from '../options/table.ts';
import type { CatalogOptions } from '../options/types.ts';
import { checkObject, refuse } from '../validation.ts';
import { now } from '../values/dates.ts';
import { copyMigrator, type OpenedFile, openFile, resolveFile } from './open.ts';

/** What is restored, and from where. */
export interface RestoreFileOptions extends Omit<CatalogOptions, 'create' | 'readOnly' | 'migrate'>, RestoreOptions {
  /** The backup. */
  readonly from: string;
}

/** What the backups of an open catalogue work on. */
export const backupHost = ({ engine, options, logger, migrateCopy }: OpenedFile): BackupHost => ({
  engine,
  database: options.database,
  backupDir: options.backupDir,
  readOnly: options.readOnly,
  logger: logger.child({ module: 'backups' }),
  migrateCopy,
});

const KEYS: ReadonlySet<string> = new Set(['from', ...RESTORE_KEYS, ...OPTIONS.map(({ option }) => option)]);

/** Codes that say there is nothing here which could be restored into. */
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

/** Another program's database is not ours to put aside. */
function refused(error: unknown): unknown {
  if (!(error instanceof DatabaseError) || !isForeign(error)) return error;
  return new DatabaseError(error.code, error.message, {
    cause: error,
    hint: "Check the path: the file is another program's database. To restore here all the same, move it away.",
  });
}

/** Restores into a file that can be opened; undefined where it cannot, or is too damaged to be kept as a backup. */
async function intoLiveFile(
  database: string,
  options: CatalogOptions,
  from: string,
  how: RestoreOptions,
): Promise<RestoreResult | undefined> {
  try {
    const file = await openFile({ ...options, create: false });
    try {
      return await restoreLive(backupHost(file), from, how);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isBeyondRepair(error)) return undefined;
    // Not even a header is left: whatever it was, it is kept like any damaged file.
    if (isForeign(error) && !(await isOpenHere(database)) && !(await saysDatabase(database))) return undefined;
    throw refused(error);
  }
}

async function inPlaceOf(
  database: string,
  options: CatalogOptions,
  from: string,
  how: RestoreOptions,
): Promise<RestoreResult> {
  const [start, startedAt] = [performance.now(), now()];
  const { options: resolved, logger } = resolveFile(options, database);
  const host = { database, migrateCopy: copyMigrator(resolved, logger) };
  const { manifest, ready, damaged, undo } = await replaceDatabase(host, from, how);
  try {
    const file = await openFile({ ...options, database, create: false });
    try {
      await file.engine.transaction('write', async (connection) => {
        await assertHealthy(connection, ready);
        const durationMs = Math.round(performance.now() - start);
        await connection.run(recordMaintenance, { kind: 'restore', startedAt, durationMs, ok: true, detail: from });
      });
    } finally {
      await file.close();
    }
  } catch (error) {
    await undo();
    throw error;
  }
  const { databaseId, schemaVersion, counts } = ready;
  const durationMs = Math.round(performance.now() - start);
  return { path: from, manifest, databaseId, schemaVersion, counts, safetyCopy: null, damaged, durationMs };
}

/** The real path of a database, so that a link to it stays a link; as it is where there is none. */
const realDatabase = (path: string): Promise<string> => realpath(path).catch(() => path);

/** Restores a catalogue, whatever state it is in. @throws as `DatabaseManager.restore` says */
export async function restoreFile(given: RestoreFileOptions): Promise<RestoreResult> {
  checkObject(given, 'options', KEYS);
  const { from, allowMissingManifest, onProgress, signal, ...rest } = given;
  const how = checkRestoreOptions({ allowMissingManifest, onProgress, signal });
  const options: CatalogOptions = rest;
  const { options: resolved } = resolveFile(options);
  const database = await realDatabase(resolved.database);
  const backupDir = resolved.backupDir ?? join(dirname(resolved.database), 'backups');
  const source = await checkSource(from, 'from', backupDir);
  if (source === database) refuse('from', from, 'another file than the catalogue that is to be restored');
  const restored = await intoLiveFile(database, options, source, how);
  if (restored !== undefined) return restored;
  if (await isOpenHere(database).catch(() => false)) {
    throw new ConflictError(`${database} is open in this process, and damaged`, {
      hint: 'Close it, here and in every other process, and restore again.',
    });
  }
  return inPlaceOf(database, { ...options, backupDir }, source, how);
}

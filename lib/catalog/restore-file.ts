/**
 * Restores a catalogue that this process does not have open: into the live file if it works, otherwise in place of the
 * damaged or missing file.
 */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { checkRestoreOptions, RESTORE_KEYS } from '../backup/backups.ts';
import { checkSource, refuseTakenName } from '../backup/paths.ts';
import { type Standing, standingOf } from '../backup/restore/aside.ts';
import { assertHealthy, type Expected, onceFree } from '../backup/restore/content.ts';
import { Changed, replaceDatabase, tidyPlace } from '../backup/restore/replace.ts';
import { type RestoreOptions, type RestoreResult, restoreLive, restoreParts } from '../backup/restore/restore.ts';
import { ConflictError, DatabaseError } from '../errors.ts';
import { type MaintenanceRecord, recordMaintenance } from '../maintenance/history.ts';
import { RELEASE_SCHEMA } from '../migrations/journal.ts';
import { resolveOptions } from '../options/reader.ts';
import { OPTIONS } from '../options/table.ts';
import type { CatalogOptions, ResolvedOptions } from '../options/types.ts';
import { realDatabase } from '../pool/database-file.ts';
import { lockHolder } from '../runtime/file-locks.ts';
import { isOpenHere } from '../runtime/open-files.ts';
import { checkObject, refuse } from '../validation.ts';
import { now } from '../values/dates.ts';
import { backupHost } from './hosts.ts';
import { migrateCopy, openFile } from './open.ts';
import { settingsOf } from './settings.ts';

/** Options of a restore. */
export interface RestoreFileOptions extends Omit<CatalogOptions, 'create' | 'readOnly' | 'migrate'>, RestoreOptions {
  /** The backup. */
  readonly from: string;
}

const KEYS: ReadonlySet<string> = new Set(['from', ...RESTORE_KEYS, ...OPTIONS.map(({ option }) => option)]);

/** Codes of files that cannot be restored into. */
const BEYOND_REPAIR = new Set(['CATALOG_NOT_FOUND', 'CATALOG_CORRUPT']);

const isBeyondRepair = (error: unknown) => error instanceof DatabaseError && BEYOND_REPAIR.has(error.code);

const isForeign = (error: unknown) => error instanceof DatabaseError && error.code === 'CATALOG_FOREIGN_DATABASE';

const MAGIC = Buffer.from('SQLite format 3\0');

/** Whether a file has the header of a database; it must not be open in this process. */
async function saysDatabase(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read({ buffer: Buffer.alloc(MAGIC.length), position: 0 });
    return buffer.equals(MAGIC);
  } finally {
    await file.close();
  }
}

/** Never set another program's database aside. */
function refused(error: unknown): unknown {
  if (!(error instanceof DatabaseError) || !isForeign(error)) return error;
  return new DatabaseError(error.code, error.message, {
    cause: error,
    hint: "Check the path: the file is another program's database. To restore here anyway, move it away.",
  });
}

/** Parts of a restore that tests put others in the place of. @internal */
export interface RestoreFileParts {
  /** Checks the restored catalogue. */
  readonly health?: typeof assertHealthy;
  readonly migrate?: typeof migrateCopy;
}

/** A restore of one catalogue. */
interface Wanted {
  readonly options: ResolvedOptions;
  readonly from: string;
  readonly how: RestoreOptions;
  readonly parts: Required<RestoreFileParts>;
}

/** Restores into a file that can be opened; undefined if it cannot, or if it is too damaged to back up. */
async function intoLiveFile({ options, from, how, parts }: Wanted): Promise<RestoreResult | undefined> {
  const { database } = options;
  let isKept = false;
  const onProgress: RestoreOptions['onProgress'] = (progress) => {
    isKept ||= progress.step === 'swap';
    how.onProgress?.(progress);
  };
  const watched = { ...how, onProgress };
  try {
    const catalog = await openFile({ ...options, create: false });
    try {
      const host = backupHost(catalog);
      const migrate = (stage: string) => parts.migrate(catalog.settings, stage);
      return await restoreLive(host, from, watched, { ...restoreParts(host, from, watched), ...parts, migrate });
    } finally {
      await catalog.close();
    }
  } catch (error) {
    // A file that could be backed up works, whatever failed later.
    if (isKept) throw error;
    if (isBeyondRepair(error)) return undefined;
    // Not even the header is left: keep it like any damaged file.
    if (isForeign(error) && !(await isOpenHere(database)) && !(await saysDatabase(database))) return undefined;
    throw refused(error);
  }
}

const inUse = (database: string, kept: readonly string[], cause: unknown) =>
  new ConflictError(`${database} was restored but could not be checked, and other processes already use it`, {
    cause,
    hint: `It was left unchanged. The old state is in ${kept.join(', ') || 'no file'}; check the catalogue, or restore again.`,
  });

/** Checks a restored catalogue as its users will see it. */
async function confirm(
  options: ResolvedOptions,
  expected: Expected,
  record: MaintenanceRecord,
  health: typeof assertHealthy,
): Promise<void> {
  const catalog = await openFile({ ...options, create: false });
  try {
    await onceFree(() =>
      catalog.engine.transaction('write', async (connection) => {
        await health(connection, expected);
        await connection.run(recordMaintenance, record);
      }),
    );
  } finally {
    await catalog.close();
  }
}

/** Replaces a damaged or missing database with a backup; undoes that if the result does not work. */
async function inPlaceOf({ options, from, how, parts }: Wanted, found: Standing): Promise<RestoreResult> {
  const [start, startedAt] = [performance.now(), now()];
  const { database } = options;
  const settings = settingsOf(options, database);
  const host = { database, migrateCopy: (copy: string) => parts.migrate(settings, copy), release: RELEASE_SCHEMA };
  const { manifest, expected, damaged, undo } = await replaceDatabase(host, from, found, how);
  const elapsed = () => Math.round(performance.now() - start);
  try {
    const record = { kind: 'restore', startedAt, durationMs: elapsed(), ok: true, detail: from } as const;
    await confirm(options, expected, record, parts.health);
  } catch (error) {
    const isUndone = await undo().catch((second: unknown) => {
      throw new DatabaseError('CATALOG_INDETERMINATE', `${database} was restored, but neither checked nor undone`, {
        cause: second,
        hint: `The old state is in ${damaged.join(', ') || 'no file'}.`,
      });
    });
    throw isUndone ? error : inUse(database, damaged, error);
  }
  const { databaseId, schemaVersion, counts } = expected;
  return {
    path: from,
    manifest,
    databaseId,
    schemaVersion,
    counts,
    safetyCopy: null,
    damaged: [...damaged],
    durationMs: elapsed(),
  };
}

const ROUNDS = 3; // a starting server changes the files once

const busyFiles = (database: string, kept: readonly string[], cause: unknown) => {
  const where = kept.length === 0 ? '' : ` The old files are kept as ${kept.join(', ')}.`;
  return new ConflictError(`the files of ${database} changed during the restore`, {
    cause,
    hint: `Stop the programs that write them, and restore again; the present files were left unchanged.${where}`,
  });
};

/** Restores into a working file or replaces it, depending on its present state. @throws {Changed} */
async function restoreOnce(wanted: Wanted): Promise<RestoreResult> {
  const { database } = wanted.options;
  await tidyPlace(database);
  const { file } = await standingOf(database);
  const restored = await intoLiveFile(wanted);
  if (restored !== undefined) return restored;
  if (await isOpenHere(database).catch(() => false)) {
    throw new ConflictError(`${database} is damaged, and open in this process`, {
      hint: 'Close it here and in every other process, then restore again.',
    });
  }
  // A connection holds a lock on this file as long as it is open, however idle it is.
  const holder = await lockHolder(`${database}-shm`);
  if (holder !== undefined) {
    throw new ConflictError(`${database} is damaged, and process ${holder} has it open`, {
      hint: 'Stop that process, then restore again: it would go on saving into the old file.',
    });
  }
  const found = await standingOf(database);
  if (found.file !== file) throw new Changed([]);
  return inPlaceOf(wanted, found);
}

/**
 * Restores a catalogue, whatever its state.
 * @throws as `DatabaseManager.restore` says
 * @internal
 */
export async function restoreFile(
  given: RestoreFileOptions,
  { health = assertHealthy, migrate = migrateCopy }: RestoreFileParts = {},
): Promise<RestoreResult> {
  checkObject(given, 'options', KEYS);
  const { from: backup, allowMissingManifest, onProgress, signal, ...rest } = given;
  const how = checkRestoreOptions({ allowMissingManifest, onProgress, signal });
  const options = resolveOptions(rest);
  // A link to the database stays a link.
  const database = await realDatabase(resolve(options.database));
  refuseTakenName(database, 'database');
  const { backupDir } = settingsOf(options, database);
  const from = await checkSource(backup, 'from', backupDir);
  if (from === database) refuse('from', backup, 'a file other than the catalogue to restore');
  const wanted = { options: { ...options, database, backupDir }, from, how, parts: { health, migrate } };
  const kept: string[] = [];
  for (let round = 1; ; round += 1) {
    try {
      const result = await restoreOnce(wanted);
      return { ...result, damaged: [...kept, ...result.damaged] };
    } catch (error) {
      if (!(error instanceof Changed)) throw error;
      kept.push(...error.kept);
      if (round === ROUNDS) throw busyFiles(database, kept, error);
    }
  }
}

/**
 * `db.backups`: backups of the catalogue while it is in use, and restores. Every created backup is verified, only
 * verified backups are restored, and a call that fails changes nothing.
 */

import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseError, NotFoundError } from '../errors.ts';
import { databaseIdentity, type MaintenanceRecord, recordMaintenance } from '../maintenance/history.ts';
import { syncFolder } from '../runtime/files.ts';
import { reasonOf } from '../runtime/thrown.ts';
import { assertOpen, type CallOptions } from '../sql/engine.ts';
import {
  checkBoolean,
  checkCallOptions,
  checkListener,
  checkObject,
  checkSignal,
  checkText,
  isAbsent,
} from '../validation.ts';
import { now } from '../values/dates.ts';
import { type BackupEntry, greatestSequence, listBackups } from './list.ts';
import { manifestPath } from './manifest.ts';
import { backupPath, checkSource, checkTarget } from './paths.ts';
import { type BackupPolicy, type BackupPrune, checkBackupPolicy, planBackupPrune } from './prune.ts';
import { type DrillResult, drillBackup } from './restore/drill.ts';
import { type RestoreHost, type RestoreOptions, type RestoreResult, restoreLive } from './restore/restore.ts';
import { reserveSequence } from './sequence-procedures.ts';
import { type Snapshot, type SnapshotProgress, takeSnapshot } from './snapshot.ts';
import { type BackupVerdict, verifyBackup } from './verify.ts';

/** The parts of a catalogue that the facade needs. */
export interface BackupHost extends RestoreHost {
  readonly readOnly: boolean;
}

/** Options of a new backup. */
export interface BackupOptions extends CallOptions {
  /** The path of the backup. Default: a new file in `backupDir`. */
  readonly path?: string | undefined;
  /** Store a zstd stream: about a tenth of the size, at a cost of some seconds per gigabyte. Default false. */
  readonly compress?: boolean | undefined;
  /** The reason stored in the manifest, 1 to 1,000 characters. Default `manual`. */
  readonly reason?: string | undefined;
  readonly onProgress?: ((progress: SnapshotProgress) => void) | undefined;
}

/** A verified backup. */
export type Backup = Snapshot;

export interface BackupPruneOptions extends CallOptions {
  /** Only report which backups would be removed. Default false. */
  readonly dryRun?: boolean | undefined;
}

const CREATE_KEYS = new Set(['path', 'compress', 'reason', 'onProgress', 'signal']);
export const RESTORE_KEYS: ReadonlySet<string> = new Set(['allowMissingManifest', 'onProgress', 'signal']);
const PRUNE_KEYS = new Set(['dryRun', 'signal']);
const MAX_REASON = 1_000;

const flag = (value: unknown, field: string) => !isAbsent(value) && checkBoolean(value, field);

/** Checks the options of a restore. @throws {ValidationError} */
export function checkRestoreOptions(options: unknown): RestoreOptions {
  const given = checkObject(options, 'options', RESTORE_KEYS);
  return {
    allowMissingManifest: flag(given['allowMissingManifest'], 'allowMissingManifest'),
    onProgress: checkListener(given['onProgress']),
    signal: checkSignal(given['signal']),
  };
}

/** The verdict on a backup that another process has removed since the folder was read. */
function gone(error: unknown): Pick<BackupVerdict, 'ok' | 'problems'> {
  if (!(error instanceof NotFoundError)) throw error;
  return { ok: false, problems: ['it is gone'] };
}

/** The calls of `db.backups`. */
export class Backups {
  readonly #host: BackupHost;

  constructor(host: BackupHost) {
    this.#host = host;
  }

  /**
   * Makes a backup of the state at one instant, while others read and write, and verifies it.
   * @throws {ValidationError} if `path` belongs to a database or another backup, or if its extension does not fit
   *   `compress`
   * @throws {DatabaseError} CATALOG_NOT_FOUND if the folder of `path` does not exist, CATALOG_CONFLICT if `path`
   *   exists, CATALOG_FULL, CATALOG_CORRUPT if the catalogue is damaged, CATALOG_TIMEOUT if the verification takes too
   *   long; the reason of the signal. In all these cases no file is made
   * @example
   * ```ts
   * const { path, sha256, bytes } = await db.backups.create({ compress: true, reason: 'nightly' });
   * console.log(path, sha256, bytes);
   * ```
   */
  async create(options: BackupOptions = {}): Promise<Backup> {
    const given = checkObject(options, 'options', CREATE_KEYS);
    const { database, backupDir, free } = this.#host;
    const compress = flag(given['compress'], 'compress');
    const wanted = {
      compress,
      reason: isAbsent(given['reason']) ? 'manual' : checkText(given['reason'], 'reason', { max: MAX_REASON }),
      onProgress: checkListener<(progress: SnapshotProgress) => void>(given['onProgress']),
      signal: checkSignal(given['signal']),
      free,
    };
    assertOpen(this.#host.engine);
    const path = isAbsent(given['path'])
      ? backupPath(database, backupDir, '', compress)
      : await checkTarget(given['path'], 'path', { database, backupDir, compress });
    return this.#recorded('backup', path, async () => {
      const sequence = await this.#reserveNumber([backupDir, dirname(path)], wanted.signal);
      return { value: await takeSnapshot(database, path, { ...wanted, sequence }), ok: true };
    });
  }

  /**
   * Lists the backups in the folder by their manifests. Numbered backups come first, newest first. Backups of older
   * releases have no number and follow, sorted by time. Files without a manifest come last.
   */
  async list(options?: CallOptions): Promise<BackupEntry[]> {
    const { signal } = checkCallOptions(options);
    return listBackups(this.#host.backupDir, await this.#identity(signal));
  }

  /**
   * Verifies a backup completely. Reports damage as a result and never throws because of it.
   * @throws {DatabaseError} CATALOG_NOT_FOUND if there is no such file
   */
  async verify(path: string, options?: CallOptions): Promise<BackupVerdict> {
    const { signal } = checkCallOptions(options);
    assertOpen(this.#host.engine);
    return verifyBackup(await checkSource(path, 'path', this.#host.backupDir), { signal, free: this.#host.free });
  }

  /**
   * Replaces the current state with the state of a backup. This catalogue stays open, and other processes may have it
   * open too: each reader sees the old state or the new one, and writers wait. The current state is kept as a backup.
   * @throws {DatabaseError} CATALOG_BACKUP_INVALID if the backup does not verify, CATALOG_SCHEMA_NEWER, CATALOG_KEY,
   *   CATALOG_FULL, CATALOG_BUSY, CATALOG_CORRUPT if the catalogue is too damaged to back up first (then use
   *   `DatabaseManager.restore`); the catalogue is unchanged. CATALOG_INDETERMINATE if undoing the restore failed as
   *   well
   * @example
   * ```ts
   * const [newest] = await db.backups.list();
   * if (newest === undefined) throw new Error('there is no backup yet');
   * const { schemaVersion, safetyCopy } = await db.backups.restore(newest.path);
   * console.log(`restored at version ${schemaVersion}; the state before is kept in ${safetyCopy}`);
   * ```
   */
  async restore(path: string, options: RestoreOptions = {}): Promise<RestoreResult> {
    const checked = checkRestoreOptions(options);
    assertOpen(this.#host.engine);
    const from = await checkSource(path, 'path', this.#host.backupDir);
    if (this.#host.readOnly)
      throw new DatabaseError('CATALOG_READ_ONLY', 'a catalogue opened read-only cannot be restored');
    const result = await restoreLive(this.#host, from, checked);
    this.#host.logger.info({ from, safetyCopy: result.safetyCopy, durationMs: result.durationMs }, 'restored');
    return result;
  }

  /**
   * Restores the newest backup into a temporary folder to prove that this works, and measures how long it takes. A
   * backup that cannot be restored is a result, not an error.
   * @throws {NotFoundError} if this catalogue has no backup
   */
  async drill(options?: CallOptions): Promise<DrillResult> {
    const { signal } = checkCallOptions(options);
    const [newest] = (await this.list({ signal })).filter(({ own }) => own);
    if (newest === undefined) {
      throw new NotFoundError(`a backup of this catalogue in ${this.#host.backupDir}`, { hint: 'Make one first.' });
    }
    return this.#recorded('drill', newest.path, async (startedAt) => {
      const value = await drillBackup(this.#host, newest, startedAt, { signal });
      return { value, ok: value.ok };
    });
  }

  /**
   * Removes backups of this catalogue that no rule of the policy keeps. The newest verified backup always stays.
   * Backups of other databases are never touched. If no backup verifies, none is removed.
   * @throws {ValidationError} if the policy has no rule
   */
  async prune(policy: BackupPolicy, options: BackupPruneOptions = {}): Promise<BackupPrune> {
    const checked = checkBackupPolicy(policy);
    const given = checkObject(options, 'options', PRUNE_KEYS);
    const signal = checkSignal(given['signal']);
    const isDryRun = flag(given['dryRun'], 'dryRun');
    const { entries, newest } = await this.#withNewest(signal);
    const plan = planBackupPrune(entries, checked, newest, Date.now());
    if (isDryRun) return plan;
    // Remove the backup before its manifest: a manifest without a backup is recognised as a leftover.
    for (const { path } of plan.removed) {
      signal?.throwIfAborted();
      await rm(path, { force: true });
      await rm(manifestPath(path), { force: true });
    }
    for (const folder of new Set(plan.removed.map(({ path }) => dirname(path)))) await syncFolder(folder);
    this.#host.logger.info(
      { removed: plan.removed.length, kept: plan.kept.length, bytes: plan.bytes },
      'backups pruned',
    );
    return plan;
  }

  /**
   * The backups, and the newest one that verifies. Backups that fail verification get their problems in their entry.
   */
  async #withNewest(signal: AbortSignal | undefined): Promise<{ entries: BackupEntry[]; newest: string | null }> {
    const entries = await this.list({ signal });
    for (const [place, entry] of entries.entries()) {
      if (!entry.own || entry.problems.length > 0) continue;
      const { ok, problems } = await verifyBackup(entry.path, { signal, free: this.#host.free }).catch(gone);
      if (ok) return { entries, newest: entry.path };
      entries[place] = { ...entry, problems };
    }
    return { entries, newest: null };
  }

  #identity(signal?: AbortSignal): Promise<string | null> {
    return this.#host.engine.run(databaseIdentity, null, { signal });
  }

  /**
   * Reserves the next number in the database, so that no other process takes it. Returns undefined if this is
   * impossible; the number then follows from the copy and from the manifests in the folder.
   */
  async #reserveNumber(folders: readonly string[], signal: AbortSignal | undefined): Promise<number | undefined> {
    const { engine, readOnly, logger } = this.#host;
    if (readOnly) return undefined;
    try {
      const databaseId = await this.#identity(signal);
      const greatest = async () =>
        Math.max(...(await Promise.all(folders.map((at) => greatestSequence(at, databaseId)))));
      for (let least = await greatest(); ; ) {
        const taken = await engine.run(reserveSequence, least, { signal });
        // A restore that finished meanwhile has numbered its safety copy.
        const known = await greatest();
        if (taken === null || known < taken || taken === Number.MAX_SAFE_INTEGER) return taken ?? undefined;
        least = known;
      }
    } catch (error) {
      signal?.throwIfAborted();
      logger.warn({ err: error }, 'could not reserve the number of the backup in the database');
      return undefined;
    }
  }

  /** Records how the work ended. If recording fails, only logs that, because the work itself is done. */
  async #recorded<Value>(
    kind: MaintenanceRecord['kind'],
    path: string,
    work: (startedAt: string) => Promise<{ readonly value: Value; readonly ok: boolean }>,
  ): Promise<Value> {
    const startedAt = now();
    const start = performance.now();
    const record = async (ok: boolean, detail: string) => {
      if (this.#host.readOnly) return;
      const row = { kind, startedAt, durationMs: performance.now() - start, ok, detail };
      await this.#host.engine.run(recordMaintenance, row).catch((error: unknown) => {
        this.#host.logger.warn({ err: error, kind, path }, 'could not write the maintenance history');
      });
    };
    try {
      const { value, ok } = await work(startedAt);
      await record(ok, path);
      this.#host.logger.info({ kind, path, ok, durationMs: performance.now() - start }, 'done');
      return value;
    } catch (error) {
      await record(false, `${path}: ${reasonOf(error)}`);
      throw error;
    }
  }
}

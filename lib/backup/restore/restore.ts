/**
 * Restoring a backup into a catalogue that is open, here and in other processes. Everything that can fail is done on a
 * stage first; the safety copy is taken while nobody can write, and the write lock is kept from there to the swap, so that
 * no acknowledged save falls between. Whatever fails, the catalogue ends as it was.
 */

import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { DatabaseError } from '../../errors.ts';
import { recordMaintenance } from '../../maintenance/history.ts';
import { assertRoom, type FreeBytes, freeBytes } from '../../runtime/disk-space.ts';
import { makePrivateFolder } from '../../runtime/private-file.ts';
import { type CallOptions, type Engine, type Executor, fileOf, type WriterTransaction } from '../../sql/engine.ts';
import { now } from '../../values/dates.ts';
import { check, type Findings } from '../checker.ts';
import { type CatalogCounts, type Manifest, manifestPath } from '../manifest.ts';
import { backupPath, workName } from '../paths.ts';
import { partialPath, removeDatabase, removeDeadPartials } from '../publish.ts';
import { type Snapshot, takeSnapshot } from '../snapshot.ts';
import { invalid, type Staged, stageBackup } from '../verify.ts';
import { pageSize, restoredState } from './restore-procedures.ts';
import { SwapFailure, swapContent } from './swap.ts';

/** Which part of a restore begins. */
export type RestoreStep = 'read' | 'migrate' | 'check' | 'safety' | 'swap' | 'health';

export interface RestoreOptions extends CallOptions {
  /** Take a file that has no manifest, if it is sound by itself. Default false. */
  readonly allowMissingManifest?: boolean | undefined;
  /** Hears which part begins. */
  readonly onProgress?: ((progress: { readonly step: RestoreStep }) => void) | undefined;
}

/** What a restore did. */
export interface RestoreResult {
  /** The backup. */
  readonly path: string;
  readonly manifest: Manifest | null;
  /** Of the catalogue now. */
  readonly databaseId: string | null;
  readonly schemaVersion: number | null;
  readonly counts: CatalogCounts;
  /** The backup of the state before; null when there was none that could be read. */
  readonly safetyCopy: string | null;
  /** What a damaged catalogue was kept as. */
  readonly damaged: string[];
  readonly durationMs: number;
}

/** The catalogue that is restored. */
export interface RestoreHost {
  readonly engine: Engine;
  readonly database: string;
  readonly backupDir: string;
  readonly logger: Logger;
  /** Brings a file that nobody has open to this release's schema. */
  readonly migrateCopy: (path: string) => Promise<void>;
  readonly free?: FreeBytes | undefined;
}

/** The parts that can fail, each by itself. */
export interface RestoreParts {
  readonly stage: (stage: string) => Promise<Staged>;
  readonly migrate: (stage: string) => Promise<void>;
  readonly finish: (stage: string) => Promise<Findings>;
  readonly safety: (path: string) => Promise<Snapshot>;
  readonly swap: (source: string, whileLocked: () => Promise<void>) => Promise<void>;
  readonly health: (connection: Executor, expected: Findings) => Promise<void>;
}

/** Readies a stage for a database with such pages: the schema of this release, checked in full. */
export async function finishStage(stage: string, size: number | null, options: CallOptions): Promise<Findings> {
  const verdict = await check({ kind: 'finish', path: stage, pageSize: size }, options);
  if ('problem' in verdict) throw invalid(stage, `it does not verify once it is migrated: ${verdict.problem}`);
  return verdict.findings;
}

/** @throws {DatabaseError} CATALOG_CORRUPT when the connections in use do not see what was put in */
export async function assertHealthy(connection: Executor, expected: Findings): Promise<void> {
  const { problems, schemaVersion, databaseId } = await connection.run(restoredState, null);
  const isOther = schemaVersion !== expected.schemaVersion || databaseId !== expected.databaseId;
  const found = isOther ? [...problems, 'it is not what was put in'] : problems;
  if (found.length === 0) return;
  throw new DatabaseError('CATALOG_CORRUPT', `the restored catalogue does not verify: ${found.join('; ')}`);
}

/** The parts as they are; tests put others in their place. */
export function restoreParts(host: RestoreHost, from: string, options: RestoreOptions): RestoreParts {
  const { engine, database, free, migrateCopy } = host;
  const { signal, allowMissingManifest = false } = options;
  return {
    stage: (stage) => stageBackup(from, stage, { allowMissingManifest, free, signal }),
    migrate: migrateCopy,
    finish: async (stage) => finishStage(stage, await engine.run(pageSize, null), { signal }),
    safety: (path) => takeSnapshot(database, path, { reason: 'before restore', free, signal }),
    swap: (source, whileLocked) => swapContent(source, database, whileLocked),
    health: assertHealthy,
  };
}

/** A restore under way. */
class Restore {
  readonly #host: RestoreHost;
  readonly #parts: RestoreParts;
  readonly #options: RestoreOptions;
  readonly #start = performance.now();
  readonly #startedAt = now();

  constructor(host: RestoreHost, parts: RestoreParts, options: RestoreOptions) {
    this.#host = host;
    this.#parts = parts;
    this.#options = options;
  }

  async run(from: string): Promise<RestoreResult> {
    const { backupDir, engine } = this.#host;
    await makePrivateFolder(backupDir);
    await removeDeadPartials(backupDir);
    const stage = partialPath(join(backupDir, workName('restore')));
    try {
      this.#tell('read');
      const { manifest } = await this.#parts.stage(stage);
      this.#tell('migrate');
      await this.#parts.migrate(stage);
      this.#tell('check');
      const ready = await this.#parts.finish(stage);
      await this.#assertRoom(ready);
      const { signal } = this.#options;
      const safety = await fileOf(engine).holdWriter((transaction) => this.#exchange(stage, from, ready, transaction), {
        signal,
      });
      const { databaseId, schemaVersion, counts } = ready;
      const durationMs = Math.round(performance.now() - this.#start);
      return { path: from, manifest, databaseId, schemaVersion, counts, safetyCopy: safety, damaged: [], durationMs };
    } finally {
      await removeDatabase(stage);
    }
  }

  // The new content passes through the log before it reaches the file.
  async #assertRoom({ bytes }: Findings): Promise<void> {
    const { database, free = freeBytes } = this.#host;
    await assertRoom(dirname(database), bytes * 2, 'the restore', free);
  }

  async #exchange(stage: string, from: string, ready: Findings, transaction: WriterTransaction) {
    const path = backupPath(this.#host.database, this.#host.backupDir, 'before-restore');
    let isSafe = false;
    try {
      await this.#parts.swap(stage, async () => {
        this.#tell('safety');
        await this.#parts.safety(path);
        isSafe = true;
        this.#options.signal?.throwIfAborted();
        this.#tell('swap');
      });
      this.#tell('health');
      await transaction(async (connection) => {
        await this.#parts.health(connection, ready);
        const durationMs = Math.round(performance.now() - this.#start);
        await connection.run(recordMaintenance, {
          kind: 'restore',
          startedAt: this.#startedAt,
          durationMs,
          ok: true,
          detail: from,
        });
      });
      return path;
    } catch (error) {
      throw await this.#failed(error, path, isSafe);
    }
  }

  /** Leaves the catalogue as it was; returns what is to be thrown. */
  async #failed(error: unknown, safety: string, isSafe: boolean): Promise<unknown> {
    // Without a safety copy the lock was never let go for the swap.
    const swapped = isSafe && (error instanceof SwapFailure ? error.swapped : true);
    const cause = error instanceof SwapFailure ? error.cause : error;
    if (swapped === null) return undecided(safety, cause);
    if (!swapped) {
      if (isSafe) await Promise.all([removeDatabase(safety), removeDatabase(manifestPath(safety))]);
      return cause;
    }
    this.#host.logger.warn({ err: cause, safety }, 'the restore failed; going back to the state before it');
    try {
      await this.#parts.swap(safety, () => this.#keepAside());
      return cause;
    } catch (second) {
      this.#host.logger.error({ err: second, safety }, 'the state before the restore could not be put back');
      return undecided(safety, cause);
    }
  }

  // Between the swap and this lock another process may have saved something into what is given up now.
  async #keepAside(): Promise<void> {
    const aside = backupPath(this.#host.database, this.#host.backupDir, 'failed-restore');
    try {
      await this.#parts.safety(aside);
      this.#host.logger.warn({ aside }, 'the state that failed was kept as a backup');
    } catch (error) {
      this.#host.logger.error({ err: error }, 'the state that failed could not be kept; going back all the same');
    }
  }

  #tell(step: RestoreStep): void {
    try {
      this.#options.onProgress?.({ step });
    } catch (error) {
      this.#host.logger.warn({ err: error, step }, 'a listener of a restore threw');
    }
  }
}

const undecided = (safety: string, cause: unknown) =>
  new DatabaseError('CATALOG_INDETERMINATE', 'the restore failed half-way', {
    cause,
    hint: `The catalogue holds the state before the restore or that of the backup; the state before is in ${safety}.`,
  });

/**
 * Restores a backup into an open catalogue.
 * @throws {DatabaseError} CATALOG_BACKUP_INVALID, CATALOG_SCHEMA_NEWER, CATALOG_KEY, CATALOG_FULL, CATALOG_BUSY, what
 *   migrating met; the catalogue is as it was then. CATALOG_INDETERMINATE when not even going back was possible
 */
export const restoreLive = (
  host: RestoreHost,
  from: string,
  options: RestoreOptions,
  parts: RestoreParts = restoreParts(host, from, options),
): Promise<RestoreResult> => new Restore(host, parts, options).run(from);

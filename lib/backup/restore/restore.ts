/**
 * Restores a backup into a catalogue that is open, here and in other processes. Every step that can fail runs on a
 * stage first. The safety copy is made while nobody can write, and the write lock is held from then until the swap, so
 * no acknowledged save is lost between them. If anything fails, the catalogue keeps its state. A restore recognises its
 * content by a token, and never undoes a later restore or migration.
 */

import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { ConflictError, DatabaseError } from '../../errors.ts';
import { recordMaintenance } from '../../maintenance/history.ts';
import { assertRoom, type FreeBytes, freeBytes } from '../../runtime/disk-space.ts';
import { makePrivateFolder } from '../../runtime/private-file.ts';
import { type CallOptions, type Engine, type Executor, fileOf, type WriterTransaction } from '../../sql/engine.ts';
import { now } from '../../values/dates.ts';
import type { Findings, ReleaseSchema } from '../checker.ts';
import { type CatalogCounts, type Manifest, manifestPath } from '../manifest.ts';
import { type ContentMark, isSameContent, type StageMark } from '../marks.ts';
import { backupPath, workName } from '../paths.ts';
import { partialPath, removeDatabase, removeDeadPartials } from '../publish.ts';
import { keepSequence } from '../sequence-procedures.ts';
import { type Snapshot, takeSnapshot } from '../snapshot.ts';
import { type Staged, stageBackup } from '../verify.ts';
import { assertHealthy, type Expected, finishStage, migrateStage, newMark, onceFree, Superseded } from './content.ts';
import { pageSize } from './restore-procedures.ts';
import { SwapFailure, swapContent, type WhileLocked } from './swap.ts';

/** The steps of a restore. */
export type RestoreStep = 'read' | 'migrate' | 'check' | 'safety' | 'swap' | 'health';

export interface RestoreOptions extends CallOptions {
  /** Accept a file without a manifest if it is sound. Default false. */
  readonly allowMissingManifest?: boolean | undefined;
  /** Called at the start of each step. */
  readonly onProgress?: ((progress: { readonly step: RestoreStep }) => void) | undefined;
}

/** The result of a restore. */
export interface RestoreResult {
  /** The backup. */
  readonly path: string;
  readonly manifest: Manifest | null;
  /** The facts of the catalogue after the restore. */
  readonly databaseId: string | null;
  readonly schemaVersion: number | null;
  readonly counts: CatalogCounts;
  /** The backup of the previous state; null if that was missing or unreadable. */
  readonly safetyCopy: string | null;
  /** The names under which a damaged catalogue is kept. */
  readonly damaged: string[];
  readonly durationMs: number;
}

/** The catalogue to restore. */
export interface RestoreHost {
  readonly engine: Engine;
  readonly database: string;
  readonly backupDir: string;
  readonly logger: Logger;
  /** Migrates a file that nobody has open to this release's schema, and tests whether it can be used, in a process. */
  readonly migrateCopy: (path: string) => Promise<void>;
  /** The schema of this release. */
  readonly release: ReleaseSchema;
  readonly free?: FreeBytes | undefined;
}

/** The steps that can fail, so that tests can replace each one. */
export interface RestoreParts {
  readonly stage: (stage: string) => Promise<Staged>;
  readonly migrate: (stage: string, findings: Findings) => Promise<void>;
  readonly finish: (stage: string, mark: StageMark) => Promise<Findings>;
  readonly safety: (path: string) => Promise<Snapshot>;
  readonly swap: (source: string, whileLocked: WhileLocked) => Promise<void>;
  readonly health: (connection: Executor, expected: Expected) => Promise<void>;
}

/** The real steps. */
export function restoreParts(host: RestoreHost, from: string, options: RestoreOptions): RestoreParts {
  const { engine, database, free, release } = host;
  const { signal, allowMissingManifest = false } = options;
  return {
    stage: (stage) => stageBackup(from, stage, { allowMissingManifest, release, free, signal }),
    migrate: (stage, findings) => migrateStage(host, stage, findings),
    finish: async (stage, mark) => finishStage(stage, await engine.run(pageSize, null), mark, { signal }),
    safety: (path) => takeSnapshot(database, path, { reason: 'before restore', free, signal }),
    swap: (source, whileLocked) => swapContent(source, database, whileLocked),
    health: assertHealthy,
  };
}

/** A content that is ready for the swap, and the progress of the swap. */
interface Exchange {
  readonly stage: string;
  readonly from: string;
  readonly expected: Expected;
  /** The path of the safety copy. */
  readonly safety: string;
  /** The replaced content, known since the write lock is held. */
  before: ContentMark | undefined;
  /** The number of the safety copy, once there is one. */
  kept: number | null | undefined;
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
    const { backupDir, database, engine } = this.#host;
    await makePrivateFolder(backupDir);
    await removeDeadPartials(backupDir);
    const stage = partialPath(join(backupDir, workName('restore')));
    try {
      this.#tell('read');
      const { manifest, findings } = await this.#parts.stage(stage);
      this.#tell('migrate');
      await this.#parts.migrate(stage, findings);
      this.#tell('check');
      const mark = newMark(manifest);
      const ready = await this.#parts.finish(stage, mark);
      await this.#assertRoom(ready);
      const { signal } = this.#options;
      const expected = { ...ready, token: mark.token };
      const safety = backupPath(database, backupDir, 'before-restore');
      const exchange = { stage, from, expected, safety, before: undefined, kept: undefined };
      await fileOf(engine).holdWriter((transaction) => this.#exchange(exchange, transaction), { signal });
      const { databaseId, schemaVersion, counts } = ready;
      const durationMs = Math.round(performance.now() - this.#start);
      return { path: from, manifest, databaseId, schemaVersion, counts, safetyCopy: safety, damaged: [], durationMs };
    } finally {
      await removeDatabase(stage);
    }
  }

  // The new content goes through the log before it reaches the file.
  async #assertRoom({ bytes }: Findings): Promise<void> {
    const { database, free = freeBytes } = this.#host;
    await assertRoom(dirname(database), bytes * 2, 'the restore', free);
  }

  async #exchange(exchange: Exchange, transaction: WriterTransaction): Promise<void> {
    try {
      await this.#parts.swap(exchange.stage, async (found) => {
        exchange.before = found;
        this.#tell('safety');
        exchange.kept = (await this.#parts.safety(exchange.safety)).sequence;
        this.#options.signal?.throwIfAborted();
        this.#tell('swap');
      });
      this.#tell('health');
      await onceFree(() => transaction((connection) => this.#settle(exchange, connection)));
    } catch (error) {
      throw await this.#failed(error, exchange);
    }
  }

  async #settle({ from, expected, kept }: Exchange, connection: Executor): Promise<void> {
    await this.#parts.health(connection, expected);
    // Greater than any number recorded in the old content.
    await connection.run(keepSequence, kept ?? 0);
    const durationMs = Math.round(performance.now() - this.#start);
    const record = { kind: 'restore', startedAt: this.#startedAt, durationMs, ok: true, detail: from } as const;
    await connection.run(recordMaintenance, record);
  }

  /** Leaves the catalogue as it was, or as others have changed it since. Returns the error to throw. */
  async #failed(error: unknown, exchange: Exchange): Promise<unknown> {
    const { safety, kept } = exchange;
    if (error instanceof Superseded) return superseded(safety, error);
    // Without a safety copy, the thread never got permission to swap.
    const swapped = kept === undefined ? false : error instanceof SwapFailure ? error.swapped : true;
    const cause = error instanceof SwapFailure ? error.cause : error;
    if (swapped !== false) return this.#goBack(cause, exchange);
    if (kept !== undefined) await this.#dropSafety(safety);
    return cause;
  }

  /** Puts the previous content back, unless the present one is not from this restore. */
  async #goBack(cause: unknown, { safety, expected, before }: Exchange): Promise<unknown> {
    const { logger } = this.#host;
    logger.warn({ err: cause, safety }, 'the restore failed; going back to the state before it');
    try {
      await this.#parts.swap(safety, async (found) => {
        if (!isSameContent(found, expected)) throw new Superseded(found);
        await this.#keepAside();
      });
      return cause;
    } catch (second) {
      const reason = second instanceof SwapFailure ? second.cause : second;
      if (reason instanceof Superseded) {
        if (before === undefined || !isSameContent(reason.found, before)) return superseded(safety, cause);
        await this.#dropSafety(safety); // the swap had not happened
        return cause;
      }
      logger.error({ err: second, safety }, 'could not restore the state before the restore');
      return undecided(safety, cause);
    }
  }

  async #dropSafety(safety: string): Promise<void> {
    await Promise.all([removeDatabase(safety), removeDatabase(manifestPath(safety))]);
  }

  // Another process may have saved between the swap and this lock, and going back discards that.
  async #keepAside(): Promise<void> {
    const aside = backupPath(this.#host.database, this.#host.backupDir, 'failed-restore');
    try {
      await this.#parts.safety(aside);
      this.#host.logger.warn({ aside }, 'the state that failed was kept as a backup');
    } catch (error) {
      this.#host.logger.error({ err: error }, 'could not keep the state that failed; going back anyway');
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
  new DatabaseError('CATALOG_INDETERMINATE', 'the restore failed halfway', {
    cause,
    hint: `The catalogue has either the state before the restore or that of the backup; the state before is in ${safety}.`,
  });

const superseded = (safety: string, cause: unknown) =>
  new ConflictError('another restore or a migration replaced the content that this restore had put in place', {
    cause,
    hint: `That content was left unchanged. The state before this restore is in ${safety}; restore again if this backup is still wanted.`,
  });

/**
 * Restores a backup into an open catalogue.
 * @throws {DatabaseError} CATALOG_BACKUP_INVALID, CATALOG_SCHEMA_NEWER, CATALOG_KEY, CATALOG_FULL, CATALOG_BUSY, or the
 *   error of the migration; the catalogue is unchanged then. CATALOG_CONFLICT if another restore or a migration
 *   replaced the content, which then stays; CATALOG_INDETERMINATE if undoing the restore failed as well
 */
export const restoreLive = (
  host: RestoreHost,
  from: string,
  options: RestoreOptions,
  parts: RestoreParts = restoreParts(host, from, options),
): Promise<RestoreResult> => new Restore(host, parts, options).run(from);

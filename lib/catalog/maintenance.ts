/**
 * `db.maintenance`: checks and repairs of the whole catalogue. A repair makes a verified copy and then runs all repair
 * steps in one transaction. A dry run does the same and rolls back, so its counts are exact.
 */
import type { Logger } from 'pino';
import { repairTotals } from '../analytics/audit-procedures.ts';
import { backupPath } from '../backup/paths.ts';
import { takeSnapshot } from '../backup/snapshot.ts';
import { finishLeftDeletions } from '../core/client-deletion.ts';
import { isBeyondMemory } from '../core/search-index-table.ts';
import type { Integrity, IntegrityOptions, IntegrityReport } from '../maintenance/integrity.ts';
import {
  repairClients,
  repairFiles,
  repairOrphans,
  repairQuotas,
  repairReservations,
  repairSearch,
  reportRepair,
} from '../maintenance/repair-procedures.ts';
import { ZONE_ASSUMED } from '../runtime/time-zone.ts';
import type { WorkContext } from '../schema/migration.ts';
import { catchUpIndex, isIndexSound, renewIndex } from '../search/search-index.ts';
import type { CallOptions, Engine, Executor } from '../sql/engine.ts';
import { checkBoolean, checkListener, checkObject, checkSignal, isAbsent } from '../validation.ts';

/** How many rows of each kind were or would be repaired. */
export interface RepairCounts {
  /** Files, versions, quotas and activity of missing clients, and versions of missing files: moved aside. */
  readonly orphanFiles: number;
  readonly orphanVersions: number;
  readonly orphanQuotas: number;
  readonly orphanActivity: number;
  /** Daily totals of missing clients, and operations of missing files: removed. */
  readonly orphanTotals: number;
  /** Rows without an id, which get one. */
  readonly newIds: number;
  /** Second rows of split transfers. */
  readonly splitTransfers: number;
  /** Files that an old server wrote, and the versions made for them. */
  readonly files: number;
  readonly versions: number;
  /** Dates converted to UTC, unreadable dates, and values out of bounds. The originals are kept. */
  readonly datesToUtc: number;
  readonly unreadableDates: number;
  readonly oddValues: number;
  /** Restored versions that a file names, and corrected numbers and marks of active versions. */
  readonly missingVersions: number;
  readonly versionNumbers: number;
  readonly activeVersions: number;
  /** Files that differ from their current version. */
  readonly changedFiles: number;
  readonly quotasGiven: number;
  readonly quotasCounted: number;
  readonly totals: number;
  readonly expiredReservations: number;
  /** Rebuilt search indexes. */
  readonly searchIndexes: number;
  readonly missingIndexRows: number;
  readonly staleIndexRows: number;
}

export interface RepairOptions extends CallOptions {
  /** Only count; change nothing. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** `db.maintenance`: checks and repairs of the whole catalogue. */
export interface Maintenance {
  /**
   * Checks the whole file while it is in use, in a separate process: every page, every index against its table, every
   * foreign key. `full` runs SQLite's complete check, which takes about ten times as long. `health` reports the stored
   * verdict until the next check.
   * @throws {DatabaseError} CATALOG_TIMEOUT after `thresholds.checkMs`, CATALOG_NOT_FOUND if the file is gone; the
   *   reason of the signal. Damage is a result, not an error
   */
  checkIntegrity(options?: IntegrityOptions): Promise<IntegrityReport>;

  /**
   * Repairs the effects of raw SQL or an old server: orphans, split transfers, drifted quotas and totals, missing or
   * stale rows of the search index, expired reservations. Rows that cannot stay move to `quarantined_files`. A second
   * run finds nothing.
   * @returns the number of repaired rows of each kind; with `dryRun`, of rows to repair
   * @throws {ConflictError} if a foreign trigger never ends, which is tried on a copy
   */
  repair(options?: RepairOptions): Promise<RepairCounts>;
}

/**
 * The maintained catalogue.
 * @internal
 */
export interface MaintenanceHost {
  readonly engine: Engine;
  readonly database: string;
  readonly backupDir: string;
  /** The settings for repairing old rows. */
  readonly context: () => WorkContext;
  /** Whether the time zone of old dates is a guess, so that reading dates in it deserves a warning. */
  readonly assumesZone: () => boolean;
  /** Tests on a copy that changes terminate, if there are foreign triggers. */
  readonly assertTriggersEnd: (signal: AbortSignal | undefined) => Promise<void>;
  readonly integrity: Integrity;
  readonly logger: Logger;
}

const NONE: RepairCounts = {
  orphanFiles: 0,
  orphanVersions: 0,
  orphanQuotas: 0,
  orphanActivity: 0,
  orphanTotals: 0,
  newIds: 0,
  splitTransfers: 0,
  files: 0,
  versions: 0,
  datesToUtc: 0,
  unreadableDates: 0,
  oddValues: 0,
  missingVersions: 0,
  versionNumbers: 0,
  activeVersions: 0,
  changedFiles: 0,
  quotasGiven: 0,
  quotasCounted: 0,
  totals: 0,
  expiredReservations: 0,
  searchIndexes: 0,
  missingIndexRows: 0,
  staleIndexRows: 0,
};

const CHECK_KEYS = new Set(['full', 'onProgress', 'signal']);
const REPAIR_KEYS = new Set(['dryRun', 'signal']);

/**
 * Options of a repair's transaction: no deadline, and foreign keys suspended, because rows move before the rows that
 * they reference.
 */
const transactionOf = ({ supports }: Engine) => ({
  deadlineMs: Number.POSITIVE_INFINITY,
  suspendForeignKeys: supports.suspendedForeignKeys,
});

/** Rolls back a dry run. */
class DryRun extends Error {
  readonly counts: RepairCounts;

  constructor(counts: RepairCounts) {
    super('a dry run is rolled back');
    this.counts = counts;
  }
}

/** The settings of a repair. */
interface Work extends CallOptions {
  readonly context: WorkContext;
  /** Whether the search index is rebuilt as well. */
  readonly renewsIndex: boolean;
}

async function repair(tx: Executor, { context, renewsIndex, signal }: Work): Promise<RepairCounts> {
  const steps = [
    () => tx.run(repairOrphans, null),
    () => tx.run(repairClients, context),
    () => tx.run(repairFiles, context),
    () => tx.run(repairReservations, null),
    () => tx.run(repairQuotas, context),
    async () => ({ totals: (await tx.run(repairTotals, null)).repaired }),
    // First rebuild the index if necessary: it cannot be queried before.
    async () => {
      if (renewsIndex) await tx.run(renewIndex, null);
      return { searchIndexes: renewsIndex ? 1 : 0 };
    },
    () => tx.run(repairSearch, null),
  ];
  const counts: Record<string, number> = { ...NONE };
  for (const step of steps) {
    signal?.throwIfAborted();
    for (const [kind, rows] of Object.entries(await step())) counts[kind] = (counts[kind] ?? 0) + rows;
  }
  return counts as unknown as RepairCounts;
}

/**
 * Whether the search index is reliable. Checked in its own transaction, because some damage aborts the transaction that
 * meets it.
 */
async function isReliable(engine: Executor, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    return await engine.run(isIndexSound, null, { signal });
  } catch (error) {
    if (isBeyondMemory(error)) return false;
    throw error;
  }
}

const isWhole = (counts: RepairCounts) => Object.values(counts).every((rows) => rows === 0);

/** Counts the work of a repair in a transaction that is rolled back. */
async function countRepairs({ engine, context }: MaintenanceHost, signal: AbortSignal | undefined) {
  const renewsIndex = !(await isReliable(engine, signal));
  const use = async (tx: Executor): Promise<never> => {
    throw new DryRun(await repair(tx, { context: context(), renewsIndex, signal }));
  };
  return engine.transaction('write', use, { ...transactionOf(engine), signal }).catch((error: unknown) => {
    if (error instanceof DryRun) return error.counts;
    throw error;
  });
}

async function copyBefore({ database, backupDir }: MaintenanceHost): Promise<string> {
  const { path } = await takeSnapshot(database, backupPath(database, backupDir, 'before-repair'), {
    reason: 'before repair',
  });
  return path;
}

/** Old dates were read in a guessed time zone. */
function warnOfZone({ assumesZone, logger }: MaintenanceHost, { datesToUtc }: RepairCounts): void {
  if (datesToUtc > 0 && assumesZone()) logger.warn({ dates: datesToUtc }, ZONE_ASSUMED);
}

/** Fills the search index in batches, between other writes. */
async function fillIndex(engine: Engine, signal: AbortSignal | undefined): Promise<void> {
  for (let isLeft = true; isLeft; isLeft = await engine.run(catchUpIndex, null)) signal?.throwIfAborted();
}

/**
 * Builds `db.maintenance`.
 * @internal
 */
export function maintenanceOf(host: MaintenanceHost): Maintenance {
  const { engine, context, integrity, logger } = host;
  return {
    async checkIntegrity(given = {}) {
      const checked = checkObject(given, 'options', CHECK_KEYS);
      const full = !isAbsent(checked['full']) && checkBoolean(checked['full'], 'full');
      const onProgress = checkListener<IntegrityOptions['onProgress']>(checked['onProgress']);
      return integrity.check({ full, onProgress, signal: checkSignal(checked['signal']) });
    },

    async repair(given = {}) {
      const checked = checkObject(given, 'options', REPAIR_KEYS);
      const signal = checkSignal(checked['signal']);
      const dryRun = !isAbsent(checked['dryRun']) && checkBoolean(checked['dryRun'], 'dryRun');
      await host.assertTriggersEnd(signal);
      if (!dryRun) await finishLeftDeletions(engine, { signal });
      const expected = await countRepairs(host, signal);
      if (dryRun || isWhole(expected)) return expected;
      // The index is derived from the files, so rebuilding loses nothing; a copy with a damaged index would fail
      // verification.
      const { searchIndexes } = expected;
      if (searchIndexes > 0) await engine.run(renewIndex, null);
      const backup = await copyBefore(host);
      const use = async (tx: Executor) => {
        const counts = { ...(await repair(tx, { context: context(), renewsIndex: false, signal })), searchIndexes };
        if (!isWhole(counts)) await tx.run(reportRepair, { counts: { ...counts }, backup });
        return counts;
      };
      const counts = await engine.transaction('write', use, { ...transactionOf(engine), signal });
      if (counts.searchIndexes > 0) await fillIndex(engine, signal);
      warnOfZone(host, counts);
      logger.info({ counts, backup }, 'repaired');
      return counts;
    },
  };
}

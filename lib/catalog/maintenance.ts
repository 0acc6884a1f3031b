/**
 * `db.maintenance.repair`: every mending step of every part of the catalogue, in one transaction, after a verified copy
 * was made. What a dry run counts is what a real one does: it is the same work, rolled back.
 */
import { basename, extname, join } from 'node:path';
import { repairTotals } from '../analytics/audit-procedures.ts';
import { takeSnapshot } from '../backup/snapshot.ts';
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
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkBoolean, checkListener, checkObject, checkSignal, isAbsent } from '../validation.ts';
import { assertTriggersEnd } from './foreign-triggers.ts';
import type { OpenedFile } from './open.ts';

/** What was mended, or would be, and how many rows of each. */
export interface RepairCounts {
  /** Files, versions, quotas and activity of clients that do not exist, and versions of files that do not: moved away. */
  readonly orphanFiles: number;
  readonly orphanVersions: number;
  readonly orphanQuotas: number;
  readonly orphanActivity: number;
  /** Daily totals of clients that do not exist, and operations of files that do not: removed. */
  readonly orphanTotals: number;
  /** Rows that got an id. */
  readonly newIds: number;
  /** Rows that were the second half of a transfer. */
  readonly twins: number;
  /** Files that got a version for what an old server wrote, and versions made for them. */
  readonly files: number;
  readonly versions: number;
  /** Dates brought to UTC, and those that could not be read; values out of bounds. The originals are kept. */
  readonly datesToUtc: number;
  readonly unreadableDates: number;
  readonly oddValues: number;
  /** Versions put back that a file names, numbers and marks of the active one made right. */
  readonly missingVersions: number;
  readonly versionNumbers: number;
  readonly activeVersions: number;
  /** Files that were changed past their version. */
  readonly changedFiles: number;
  readonly quotasGiven: number;
  readonly quotasCounted: number;
  readonly totals: number;
  readonly expiredReservations: number;
  /** Search indexes that could not be relied on and were made anew. */
  readonly searchIndexes: number;
  readonly missingIndexRows: number;
  readonly staleIndexRows: number;
}

export interface RepairOptions extends CallOptions {
  /** Count what would be mended, and change nothing. Default false. */
  readonly dryRun?: boolean | undefined;
}

const NONE: RepairCounts = {
  orphanFiles: 0,
  orphanVersions: 0,
  orphanQuotas: 0,
  orphanActivity: 0,
  orphanTotals: 0,
  newIds: 0,
  twins: 0,
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
const LOAN = { deadlineMs: Number.POSITIVE_INFINITY, foreignKeys: false };

/** Ends a dry run's transaction without storing it. */
class DryRun extends Error {
  readonly counts: RepairCounts;

  constructor(counts: RepairCounts) {
    super('a dry run is rolled back');
    this.counts = counts;
  }
}

/** What is mended, and how. */
interface Work extends CallOptions {
  readonly context: WorkContext;
  /** Whether the search index is made anew as well. */
  readonly renewsIndex: boolean;
}

async function mend(tx: Executor, { context, renewsIndex, signal }: Work): Promise<RepairCounts> {
  const steps = [
    () => tx.run(repairOrphans, null),
    () => tx.run(repairClients, context),
    () => tx.run(repairFiles, context),
    () => tx.run(repairReservations, null),
    () => tx.run(repairQuotas, context),
    async () => ({ totals: (await tx.run(repairTotals, null)).repaired }),
    // First the index, if it has to be made anew: what it holds cannot be asked for before.
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

/** Whether the search index can be relied on. It is asked by itself: some damage of it ends the transaction that meets it. */
async function isReliable(engine: Executor, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    return await engine.run(isIndexSound, null, { signal });
  } catch (error) {
    if (isBeyondMemory(error)) return false;
    throw error;
  }
}

const isWhole = (counts: RepairCounts) => Object.values(counts).every((rows) => rows === 0);

/** The calls of `db.maintenance`. */
export function createMaintenance(file: OpenedFile, integrity: Integrity) {
  const { engine, options, logger } = file;
  const context: WorkContext = {
    timeZone: options.legacyTimeZone,
    defaultQuotaBytes: options.defaultQuotaBytes,
    legacy: false,
  };

  const count = async (signal: AbortSignal | undefined): Promise<RepairCounts> => {
    const renewsIndex = !(await isReliable(engine, signal));
    return engine
      .lend(
        'write',
        async (tx): Promise<never> => {
          throw new DryRun(await mend(tx, { context, renewsIndex, signal }));
        },
        { ...LOAN, signal },
      )
      .catch((error: unknown) => {
        if (error instanceof DryRun) return error.counts;
        throw error;
      });
  };

  const copy = async (): Promise<string> => {
    const { database, backupDir } = options;
    const extension = extname(database);
    const time = new Date().toISOString().replaceAll(/[-:.]/g, '');
    const name = `${basename(database, extension)}-before-repair-${time}${extension || '.db'}`;
    const { path } = await takeSnapshot(database, join(backupDir, name), { reason: 'before repair' });
    return path;
  };

  /** Portion by portion, among the writes of others. */
  const fillIndex = async (signal: AbortSignal | undefined): Promise<void> => {
    for (let isLeft = true; isLeft; isLeft = await engine.run(catchUpIndex, null)) signal?.throwIfAborted();
  };

  return {
    /**
     * Checks the whole file while it is in use, by a process of its own: every page, every index against its table, every
     * foreign key; with `full` SQLite's complete check, which takes about ten times as long. The verdict is kept, and told
     * by `health` until the next one.
     * @throws {DatabaseError} CATALOG_TIMEOUT past `thresholds.checkMs`, CATALOG_NOT_FOUND when the file is gone; the reason
     *   of the signal. What is wrong with the file is a result, not an error
     */
    async checkIntegrity(given: IntegrityOptions = {}): Promise<IntegrityReport> {
      const checked = checkObject(given, 'options', CHECK_KEYS);
      const full = !isAbsent(checked['full']) && checkBoolean(checked['full'], 'full');
      const onProgress = checkListener<IntegrityOptions['onProgress']>(checked['onProgress']);
      return integrity.check({ full, onProgress, signal: checkSignal(checked['signal']) });
    },

    /**
     * Mends what raw SQL or an old server did: orphans, halves of transfers, drifted quotas and totals, missing or stale
     * rows of the search index, stale reservations. Rows that cannot stay are kept in `quarantined_files`. A second run
     * finds nothing.
     * @returns how many rows of each kind were mended, or with `dryRun` would be
     * @throws {ConflictError} when a trigger of somebody else's never ends; it is tried on a copy
     */
    async repair(given: RepairOptions = {}): Promise<RepairCounts> {
      const checked = checkObject(given, 'options', REPAIR_KEYS);
      const signal = checkSignal(checked['signal']);
      const dryRun = !isAbsent(checked['dryRun']) && checkBoolean(checked['dryRun'], 'dryRun');
      await assertTriggersEnd(file, { signal });
      const expected = await count(signal);
      if (dryRun || isWhole(expected)) return expected;
      // Made of the files alone, so nothing of it can be lost; a copy with a damaged one would not verify.
      const { searchIndexes } = expected;
      if (searchIndexes > 0) await engine.run(renewIndex, null);
      const backup = await copy();
      const use = async (tx: Executor) => {
        const counts = { ...(await mend(tx, { context, renewsIndex: false, signal })), searchIndexes };
        if (!isWhole(counts)) await tx.run(reportRepair, { counts: { ...counts }, backup });
        return counts;
      };
      const counts = await engine.lend('write', use, { ...LOAN, signal });
      if (counts.searchIndexes > 0) await fillIndex(signal);
      const log = logger.child({ module: 'maintenance' });
      if (options.assumesZone && counts.datesToUtc > 0) log.warn({ dates: counts.datesToUtc }, ZONE_ASSUMED);
      log.info({ counts, backup }, 'repaired');
      return counts;
    },
  };
}

/** The calls of `db.maintenance`. */
export type Maintenance = ReturnType<typeof createMaintenance>;

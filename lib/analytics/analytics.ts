/** `db.analytics`: what the catalogue holds, in figures. */
import { stat } from 'node:fs/promises';
import type { CallOptions, EngineStats, Executor } from '../sql/engine.ts';
import { type GroupTotal, type SizeBand, storageFigures, type TopClient } from './storage-procedures.ts';

/** Sizes in bytes; the database's files and the state of its connections. */
export interface DatabaseInfo {
  readonly path: string;
  readonly databaseBytes: number;
  readonly walBytes: number;
  readonly pageSize: number;
  readonly pageCount: number;
  readonly freePages: number;
  readonly freeBytes: number;
  readonly pool: Pick<EngineStats, 'readers' | 'writers'>;
}

/** The folder of contents; its size is null until it has been measured. */
export interface StorageInfo {
  readonly path: string;
  readonly exists: boolean;
  readonly bytes: number | null;
  readonly measuredAt: string | null;
}

/** Clients, and what they store on average. */
export interface ClientStats {
  readonly totalClients: number;
  /** Heard of within 30 days. */
  readonly activeClients: number;
  readonly inactiveClients: number;
  readonly averageFilesPerClient: number;
  readonly averageBytesPerClient: number;
  readonly topClients: readonly TopClient[];
}

/** Files by their current version. */
export interface FileStats {
  readonly totalFiles: number;
  readonly totalBytes: number;
  readonly verifiedFiles: number;
  /** 0 to 1; 0 where there are no files. */
  readonly verificationRate: number;
  readonly averageFileSize: number;
  readonly byCategory: readonly GroupTotal[];
  /** The ten that hold most. */
  readonly byExtension: readonly GroupTotal[];
  readonly bySize: readonly SizeBand[];
}

/** How the engine fares. */
export interface PerformanceInfo {
  readonly indexes: readonly { readonly name: string; readonly table: string }[];
  readonly reads: EngineStats['reads'];
  readonly writes: EngineStats['writes'];
}

/** Everything `storage` tells. */
export interface StorageStatistics {
  readonly databaseInfo: DatabaseInfo;
  readonly storageInfo: StorageInfo;
  readonly clientStats: ClientStats;
  readonly fileStats: FileStats;
  readonly performanceInfo: PerformanceInfo;
}

const ACTIVE_DAYS = 30;
const DAY_MS = 86_400_000;

// stat opens no descriptor, so it leaves the database's locks alone.
const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);

/** What statistics need to know beside the rows. */
export interface Surroundings {
  readonly database: string;
  readonly storageDir: string;
  readonly stats: () => EngineStats;
}

/** The calls of `db.analytics`. */
export function createAnalytics(executor: Executor, { database, storageDir, stats }: Surroundings) {
  return {
    /** Sizes, totals and figures of the whole catalogue, from one snapshot. */
    async storage(options?: CallOptions): Promise<StorageStatistics> {
      const activeSince = new Date(Date.now() - ACTIVE_DAYS * DAY_MS).toISOString();
      const figures = await executor.run(storageFigures, activeSince, options);
      const { totals, clients, pages } = figures;
      const { readers, writers, reads, writes } = stats();
      return {
        databaseInfo: {
          path: database,
          databaseBytes: await sizeOf(database),
          walBytes: await sizeOf(`${database}-wal`),
          ...pages,
          freeBytes: pages.freePages * pages.pageSize,
          pool: { readers, writers },
        },
        storageInfo: { path: storageDir, exists: await exists(storageDir), bytes: null, measuredAt: null },
        clientStats: {
          totalClients: clients.total,
          activeClients: clients.active,
          inactiveClients: clients.total - clients.active,
          averageFilesPerClient: ratio(totals.files, clients.total),
          averageBytesPerClient: ratio(totals.bytes, clients.total),
          topClients: figures.topClients,
        },
        fileStats: {
          totalFiles: totals.files,
          totalBytes: totals.bytes,
          verifiedFiles: totals.verified,
          verificationRate: ratio(totals.verified, totals.files),
          averageFileSize: ratio(totals.bytes, totals.files),
          byCategory: figures.byCategory,
          byExtension: figures.byExtension,
          bySize: figures.bySize,
        },
        performanceInfo: { indexes: figures.indexes, reads, writes },
      };
    },
  };
}

/** The calls of `db.analytics`. */
export type Analytics = ReturnType<typeof createAnalytics>;

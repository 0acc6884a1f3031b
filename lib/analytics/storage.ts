import { DatabaseError } from '../errors.ts';
import type { CallFigures } from '../sql/call-log.ts';
import { type DatabaseFile, type EngineStats, fileOf } from '../sql/engine.ts';
import { type Distribution, distribution } from '../sql/histogram.ts';
import { dayOf, now } from '../values/dates.ts';
import { folderBytes, isFolder } from './folder-size.ts';
import type { GroupTotal, SizeBand, SizesToRecord, StorageFigures, TopClient } from './storage-procedures.ts';

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

/** The folder of contents at its last measurement; null before the first. */
export interface StorageInfo {
  readonly path: string;
  readonly exists: boolean;
  readonly bytes: number | null;
  readonly measuredAt: string | null;
  /** Milliseconds since it was measured. */
  readonly ageMs: number | null;
}

/** Clients, and what they store on average. */
export interface ClientStats {
  readonly totalClients: number;
  /** In contact within 30 days. */
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
  /** 0 to 1; 0 without files. */
  readonly verificationRate: number;
  readonly averageFileSize: number;
  readonly byCategory: readonly GroupTotal[];
  /** The ten largest. */
  readonly byExtension: readonly GroupTotal[];
  readonly bySize: readonly SizeBand[];
}

/** Performance of the engine. Times in milliseconds. */
export interface PerformanceInfo {
  readonly indexes: readonly { readonly name: string; readonly table: string }[];
  /** Average wait of calls for a connection. */
  readonly averageReadWaitMs: number;
  readonly averageWriteWaitMs: number;
  /** Average number of calls in a commit. */
  readonly averageGroup: number;
  readonly reads: EngineStats['reads'];
  readonly writes: EngineStats['writes'];
  /** Executed statements, by whether the cache had them prepared. */
  readonly statements: EngineStats['statements'];
  /** The fraction that the cache had prepared, 0 to 1; null before the first. */
  readonly cacheHitRate: number | null;
  /** Milliseconds from a call to its answer. */
  readonly latency: { readonly reads: Distribution; readonly writes: Distribution };
}

/** The result of `storage`. */
export interface StorageStatistics {
  readonly databaseInfo: DatabaseInfo;
  readonly storageInfo: StorageInfo;
  readonly clientStats: ClientStats;
  readonly fileStats: FileStats;
  readonly performanceInfo: PerformanceInfo;
}

const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);

// Unavailable sizes are no reason to withhold the rest.
const UNKNOWN = { databaseBytes: 0, walBytes: 0 };

const sizesOf = (file: DatabaseFile) => file.figures().catch(() => UNKNOWN);

/** The paths of the catalogue and the contents. */
export interface Places {
  readonly file: DatabaseFile | undefined;
  readonly storageDir: string;
}

async function contentBytes(storageDir: string, signal?: AbortSignal): Promise<number | null> {
  try {
    return await folderBytes(storageDir, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw new DatabaseError('CATALOG_IO', `${storageDir} cannot be measured`, { cause: error });
  }
}

/** Measures the sizes in the file system. @throws {DatabaseError} CATALOG_IO for a folder that may not be read */
export async function measureSizes(places: Places, signal?: AbortSignal): Promise<SizesToRecord> {
  const file = fileOf(places);
  const storageBytes = await contentBytes(places.storageDir, signal);
  const freeDiskBytes = await file.freeBytes();
  const measuredAt = now();
  return {
    date: dayOf(measuredAt),
    measuredAt,
    databaseBytes: (await sizesOf(file)).databaseBytes,
    freeDiskBytes,
    storageBytes,
  };
}

async function storageInfo(path: string, { measured }: StorageFigures): Promise<StorageInfo> {
  const known = measured === null || measured.storageBytes === null ? null : measured;
  return {
    path,
    exists: await isFolder(path).catch(() => false),
    bytes: known?.storageBytes ?? null,
    measuredAt: known?.measuredAt ?? null,
    ageMs: known === null ? null : Math.max(0, Date.now() - Date.parse(known.measuredAt)),
  };
}

async function databaseInfo(file: DatabaseFile, { pages }: StorageFigures, stats: EngineStats): Promise<DatabaseInfo> {
  const { databaseBytes, walBytes } = await sizesOf(file);
  return {
    path: file.path,
    databaseBytes,
    walBytes,
    ...pages,
    freeBytes: pages.freePages * pages.pageSize,
    pool: { readers: stats.readers, writers: stats.writers },
  };
}

/** The engine's measurements. */
export interface Measurements {
  readonly stats: EngineStats;
  readonly calls: readonly CallFigures[];
}

/** Everything, from one snapshot of the totals. */
export async function assemble(
  figures: StorageFigures,
  { stats, calls }: Measurements,
  places: Places,
): Promise<StorageStatistics> {
  const { totals, clients, topClients, byCategory, byExtension, bySize, indexes } = figures;
  const { reads, writes, statements } = stats;
  const { found, prepared } = statements;
  const latencyOf = (intent: CallFigures['intent']) =>
    distribution(calls.filter((call) => call.intent === intent).flatMap(({ ok, failed }) => [ok, failed]));
  return {
    databaseInfo: await databaseInfo(fileOf(places), figures, stats),
    storageInfo: await storageInfo(places.storageDir, figures),
    clientStats: {
      totalClients: clients.total,
      activeClients: clients.active,
      inactiveClients: clients.total - clients.active,
      averageFilesPerClient: ratio(totals.files, clients.total),
      averageBytesPerClient: ratio(totals.bytes, clients.total),
      topClients,
    },
    fileStats: {
      totalFiles: totals.files,
      totalBytes: totals.bytes,
      verifiedFiles: totals.verified,
      verificationRate: ratio(totals.verified, totals.files),
      averageFileSize: ratio(totals.bytes, totals.files),
      byCategory,
      byExtension,
      bySize,
    },
    performanceInfo: {
      indexes,
      averageReadWaitMs: ratio(reads.totalWaitMs, reads.calls),
      averageWriteWaitMs: ratio(writes.totalWaitMs, writes.calls),
      averageGroup: ratio(writes.calls, writes.rounds),
      reads,
      writes,
      statements,
      cacheHitRate: found + prepared === 0 ? null : found / (found + prepared),
      latency: { reads: latencyOf('read'), writes: latencyOf('write') },
    },
  };
}

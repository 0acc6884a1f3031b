/**
 * The restore drill proves a backup by restoring it. It reads the newest backup into a temporary folder as a restore of
 * a lost catalogue would, migrates it, checks it completely and compares it with its manifest. A real restore takes
 * about as long.
 */

import { join } from 'node:path';
import { DatabaseError } from '../../errors.ts';
import { makePrivateFolder } from '../../runtime/private-file.ts';
import type { CallOptions } from '../../sql/engine.ts';
import type { BackupEntry } from '../list.ts';
import type { CatalogCounts } from '../manifest.ts';
import { workName } from '../paths.ts';
import { partialPath, removeDatabase } from '../publish.ts';
import { stageBackup } from '../verify.ts';
import { finishStage, migrateStage } from './content.ts';
import type { RestoreHost } from './restore.ts';

/** The result of a drill. */
export interface DrillResult {
  /** Whether the backup can be restored. */
  readonly ok: boolean;
  /** The backup. */
  readonly path: string;
  /** Texts; empty if it can be restored. */
  readonly problems: string[];
  /** Row counts of the restored catalogue; null if the restore failed. */
  readonly counts: CatalogCounts | null;
  readonly schemaVersion: number | null;
  readonly startedAt: string;
  /** The time in milliseconds that restoring a lost catalogue would take. */
  readonly durationMs: number;
}

/** Failures of the machine say nothing about the backup. */
const OF_THE_MACHINE = new Set(['CATALOG_FULL', 'CATALOG_IO', 'CATALOG_TIMEOUT']);

/**
 * Restores a backup into a temporary folder.
 * @throws {DatabaseError} CATALOG_FULL, CATALOG_IO, CATALOG_TIMEOUT: if the drill itself was impossible
 */
export async function drillBackup(
  { backupDir, free, release, ...host }: Pick<RestoreHost, 'backupDir' | 'migrateCopy' | 'release' | 'free'>,
  { path }: BackupEntry,
  startedAt: string,
  { signal }: CallOptions,
): Promise<DrillResult> {
  const folder = partialPath(join(backupDir, workName('drill')));
  const start = performance.now();
  const result = (outcome: Pick<DrillResult, 'problems' | 'counts' | 'schemaVersion'>): DrillResult => ({
    ok: outcome.problems.length === 0,
    path,
    ...outcome,
    startedAt,
    durationMs: Math.round(performance.now() - start),
  });
  try {
    await makePrivateFolder(folder);
    const restored = join(folder, 'catalogue.db');
    const { findings } = await stageBackup(path, restored, { allowMissingManifest: false, release, free, signal });
    await migrateStage(host, restored, findings);
    const { counts, schemaVersion } = await finishStage(restored, null, null, { signal });
    // Adopting a file of an old server merges and moves rows; migrating our own must keep them all.
    const isSame = findings.schemaVersion === null || JSON.stringify(counts) === JSON.stringify(findings.counts);
    const problems = isSame
      ? []
      : [`after its migration it holds ${JSON.stringify(counts)}, not ${JSON.stringify(findings.counts)}`];
    return result({ problems, counts, schemaVersion });
  } catch (error) {
    if (!(error instanceof DatabaseError) || OF_THE_MACHINE.has(error.code)) throw error;
    return result({ problems: [error.message], counts: null, schemaVersion: null });
  } finally {
    await removeDatabase(folder);
  }
}

/**
 * The restore drill: a backup is proven by restoring it. The newest one is read into a temporary folder as a real restore
 * of a lost catalogue would read it, migrated, checked in full and compared with its manifest; how long that took is how
 * long a real one would take.
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

/** What a drill showed. */
export interface DrillResult {
  /** Whether the backup can be restored. */
  readonly ok: boolean;
  /** The backup. */
  readonly path: string;
  /** In words; nothing when it can. */
  readonly problems: string[];
  /** What the restored catalogue held; null when there was none. */
  readonly counts: CatalogCounts | null;
  readonly schemaVersion: number | null;
  readonly startedAt: string;
  /** What a real restore of a lost catalogue would take. */
  readonly durationMs: number;
}

/** Failures of the machine say nothing about the backup. */
const OF_THE_MACHINE = new Set(['CATALOG_FULL', 'CATALOG_IO', 'CATALOG_TIMEOUT']);

/**
 * Restores a backup into a temporary folder.
 * @throws {DatabaseError} CATALOG_FULL, CATALOG_IO, CATALOG_TIMEOUT: when the drill itself was not possible
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
    // Rows of an old server are merged and moved when it is adopted; of our own none may go.
    const isSame = findings.schemaVersion === null || JSON.stringify(counts) === JSON.stringify(findings.counts);
    const problems = isSame
      ? []
      : [`migrated it holds ${JSON.stringify(counts)}, not ${JSON.stringify(findings.counts)}`];
    return result({ problems, counts, schemaVersion });
  } catch (error) {
    if (!(error instanceof DatabaseError) || OF_THE_MACHINE.has(error.code)) throw error;
    return result({ problems: [error.message], counts: null, schemaVersion: null });
  } finally {
    await removeDatabase(folder);
  }
}

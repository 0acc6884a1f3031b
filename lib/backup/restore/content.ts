/** Prepares, marks and checks the content that replaces a catalogue, and recognises it in place by its mark. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseError } from '../../errors.ts';
import type { CallOptions, Executor } from '../../sql/engine.ts';
import { check, type Findings } from '../checker.ts';
import type { Manifest } from '../manifest.ts';
import { type ContentMark, isSameContent, type StageMark } from '../marks.ts';
import { invalid } from '../verify.ts';
import { restoredState } from './restore-procedures.ts';

/** What the open connections must see after a swap. */
export interface Expected extends Findings {
  readonly token: string;
}

/** The restored content is no longer in place: another restore or a migration has replaced it. */
export class Superseded extends Error {
  override name = 'Superseded';
  readonly found: ContentMark;

  constructor(found: ContentMark) {
    super('another restore or a migration came after');
    this.found = found;
  }
}

/** A new mark for the content of a stage. */
export const newMark = (manifest: Manifest | null): StageMark => ({
  token: randomUUID(),
  sequence: manifest?.sequence ?? null,
});

/**
 * Migrates a stage to this release's schema, and tests whether it can be used. A stage with exactly that schema, as in
 * most backups, needs neither, so no process is started for it.
 */
export async function migrateStage(
  { migrateCopy }: { readonly migrateCopy: (path: string) => Promise<void> },
  stage: string,
  { isPlain }: Findings,
): Promise<void> {
  if (!isPlain) await migrateCopy(stage);
}

/** Prepares a stage for a database with this page size: migrated, marked and completely checked. */
export async function finishStage(
  stage: string,
  size: number | null,
  stageMark: StageMark | null,
  options: CallOptions,
): Promise<Findings> {
  const verdict = await check({ kind: 'finish', path: stage, pageSize: size, stageMark }, options);
  if ('problem' in verdict) throw invalid(stage, `it does not verify after its migration: ${verdict.problem}`);
  return verdict.findings;
}

/**
 * @throws {DatabaseError} CATALOG_CORRUPT if the open connections do not see the restored content
 * @throws {Superseded} if they see content that replaced it
 */
export async function assertHealthy(connection: Executor, expected: Expected): Promise<void> {
  const { mark, problems, databaseId } = await connection.run(restoredState, null);
  if (!isSameContent(mark, expected)) throw new Superseded(mark);
  const found =
    databaseId === expected.databaseId ? problems : [...problems, 'it is not the content that was restored'];
  if (found.length === 0) return;
  throw new DatabaseError('CATALOG_CORRUPT', `the restored catalogue does not verify: ${found.join('; ')}`);
}

const HEALTH_WAIT_MS = 60_000; // for other processes' transactions, as long as the swap waits for them
const HEALTH_PAUSE_MS = 50;

/** Repeats work while the write lock is taken. */
export async function onceFree<Result>(work: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + HEALTH_WAIT_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const isBusy = error instanceof DatabaseError && error.code === 'CATALOG_BUSY';
      if (!isBusy || performance.now() > deadline) throw error;
      await pause(HEALTH_PAUSE_MS);
    }
  }
}

/**
 * A content that is put in the place of a catalogue: it is marked and checked on a stage, and known again once it is in
 * place, by whoever put it there.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseError } from '../../errors.ts';
import type { CallOptions, Executor } from '../../sql/engine.ts';
import { check, type Findings } from '../checker.ts';
import type { Manifest } from '../manifest.ts';
import { type ContentMark, isSameContent, type StageMark } from '../marks.ts';
import { invalid } from '../verify.ts';
import { restoredState } from './restore-procedures.ts';

/** What the connections in use must see after a swap. */
export interface Expected extends Findings {
  readonly token: string;
}

/** The content is no more the one that was put in place: another restore, or a migration, came after. */
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
 * Brings a stage to this release's schema, and tries whether it can be used. What holds that schema and nothing else, as most
 * backups do, needs neither, and no process is started for it.
 */
export async function migrateStage(
  { migrateCopy }: { readonly migrateCopy: (path: string) => Promise<void> },
  stage: string,
  { isPlain }: Findings,
): Promise<void> {
  if (!isPlain) await migrateCopy(stage);
}

/** Readies a stage for a database with such pages: the schema of this release, marked, checked in full. */
export async function finishStage(
  stage: string,
  size: number | null,
  stageMark: StageMark | null,
  options: CallOptions,
): Promise<Findings> {
  const verdict = await check({ kind: 'finish', path: stage, pageSize: size, stageMark }, options);
  if ('problem' in verdict) throw invalid(stage, `it does not verify once it is migrated: ${verdict.problem}`);
  return verdict.findings;
}

/**
 * @throws {DatabaseError} CATALOG_CORRUPT when the connections in use do not see what was put in
 * @throws {Superseded} when they see what came after it
 */
export async function assertHealthy(connection: Executor, expected: Expected): Promise<void> {
  const { mark, problems, databaseId } = await connection.run(restoredState, null);
  if (!isSameContent(mark, expected)) throw new Superseded(mark);
  const found = databaseId === expected.databaseId ? problems : [...problems, 'it is not what was put in'];
  if (found.length === 0) return;
  throw new DatabaseError('CATALOG_CORRUPT', `the restored catalogue does not verify: ${found.join('; ')}`);
}

const HEALTH_WAIT_MS = 60_000; // for other processes' transactions, as long as the swap waits for them
const HEALTH_PAUSE_MS = 50;

/** Repeats what finds the write lock taken. */
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

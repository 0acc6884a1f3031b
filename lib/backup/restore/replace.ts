/**
 * Restores a catalogue that is damaged or missing. The backup is prepared beside it and takes its name in one step. The
 * old files are kept under other names, never removed. Files that others create meanwhile are left unchanged.
 */
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseError } from '../../errors.ts';
import { syncFolder } from '../../runtime/files.ts';
import type { Findings } from '../checker.ts';
import { isSameContent } from '../marks.ts';
import { nameFile, partialPath, removeDatabase, removeDeadStages } from '../publish.ts';
import { type Staged, stageBackup } from '../verify.ts';
import {
  type Aside,
  dropLogs,
  dropSecondNames,
  keepAside,
  moveAside,
  moveLogsAside,
  putBack,
  type Standing,
  standingOf,
} from './aside.ts';
import { type Expected, finishStage, migrateStage, newMark, Superseded } from './content.ts';
import { whileExclusive } from './exclusive.ts';
import type { RestoreHost, RestoreOptions } from './restore.ts';

/** The replacement of a database, and how to undo it. */
export interface Replaced extends Staged {
  readonly expected: Expected;
  /** The names of the old files. */
  readonly damaged: readonly string[];
  /**
   * Puts the old files back, and keeps the new one under another name. Returns false if others use the new one, which
   * then stays.
   */
  readonly undo: () => Promise<boolean>;
}

/** The files have changed since they were found damaged or missing: somebody has created, replaced or written them. */
export class Changed extends Error {
  override name = 'Changed';
  /** The names of old files that are kept nevertheless. */
  readonly kept: readonly string[];

  constructor(kept: readonly string[]) {
    super('the files have changed');
    this.kept = kept;
  }
}

const DAMAGED = 'damaged';
const FAILED = 'failed-restore';

const isTaken = (error: unknown) => error instanceof DatabaseError && error.code === 'CATALOG_CONFLICT';

/** Removes the leftovers of a restore that was killed while it replaced the database. */
export async function tidyPlace(database: string): Promise<void> {
  const isUnderWay = await removeDeadStages(database);
  // A second name given by a running restore may soon be the only one.
  if (!isUnderWay) await dropSecondNames(database, DAMAGED);
}

/** Checks that the files are unchanged, by their second names, which nobody replaces. @throws {Changed} */
async function assertUnchanged({ name }: Aside, found: Standing): Promise<void> {
  if ((await standingOf(name)).state !== found.state) throw new Changed([]);
}

/** Renames a stage to the name of a database: over the damaged file, or where no file is. */
async function takeName(stage: string, database: string, found: Standing): Promise<void> {
  const { file } = await standingOf(database);
  // A hard link fails where a rename would overwrite a new file.
  if (file !== null && file === found.file) await rename(stage, database);
  else await nameFile(stage, database);
}

/**
 * Replaces the old files with a stage, which nobody can open meanwhile. The old log is removed and the removal is
 * flushed to disk first. A log that appears meanwhile is set aside before the new file can be opened.
 */
async function exchange(stage: string, database: string, found: Standing): Promise<Aside> {
  if ((await standingOf(database)).state !== found.state) throw new Changed([]);
  const aside = await keepAside(database, DAMAGED);
  let hasName = false;
  try {
    // Check twice: a log in use must not be removed, and a file that others write must not be replaced.
    await assertUnchanged(aside, found);
    await dropLogs(database, aside);
    await assertUnchanged(aside, found);
    await takeName(stage, database, found);
    hasName = true;
    const late = await moveLogsAside(database, DAMAGED);
    await syncFolder(dirname(database));
    return { name: aside.name, names: [...aside.names, ...(late?.names ?? [])] };
  } catch (error) {
    if (hasName) await rename(database, stage);
    const kept = await putBack(database, aside);
    if (error instanceof Changed || isTaken(error)) throw new Changed(kept);
    throw new DatabaseError('CATALOG_IO', `${database} cannot be replaced`, { cause: error });
  }
}

const UNDO_WAIT_MS = 5_000; // until connections of this process and short ones of other processes are closed

const hasSqliteCode = (error: unknown, codes: RegExp) =>
  error instanceof Error && 'code' in error && codes.test(String(error.code));

const isInUse = (error: unknown) =>
  error instanceof Superseded || hasSqliteCode(error, /^(?:SQLITE_BUSY|SQLITE_LOCKED|CATALOG_BUSY)/);

/** Undoes a replacement that failed its check, unless others use it or have restored again. */
async function takeBack(database: string, aside: Aside, expected: Expected): Promise<boolean> {
  const work = async () => {
    await moveAside(database, FAILED);
    await putBack(database, aside);
  };
  try {
    await whileExclusive(database, UNDO_WAIT_MS, async (found) => {
      if (!isSameContent(found, expected)) throw new Superseded(found);
      await work();
    });
  } catch (error) {
    if (isInUse(error)) return false;
    if (!hasSqliteCode(error, /^SQLITE_(?:CORRUPT|NOTADB)/)) throw error;
    await work(); // nobody can use it
  }
  return true;
}

/**
 * Replaces an unusable database with a backup.
 * @param found the damaged or missing files
 * @throws {Changed} if the files have changed since
 * @throws {DatabaseError} CATALOG_BACKUP_INVALID, CATALOG_SCHEMA_NEWER, CATALOG_KEY, CATALOG_FULL, CATALOG_IO; nothing
 *   is changed then
 */
export async function replaceDatabase(
  { database, free, release, ...host }: Pick<RestoreHost, 'database' | 'migrateCopy' | 'release' | 'free'>,
  from: string,
  found: Standing,
  { allowMissingManifest = false, signal, onProgress }: RestoreOptions,
): Promise<Replaced> {
  const stage = partialPath(database);
  onProgress?.({ step: 'read' });
  const staged = await stageBackup(from, stage, { allowMissingManifest, release, free, signal });
  try {
    onProgress?.({ step: 'migrate' });
    await migrateStage(host, stage, staged.findings);
    onProgress?.({ step: 'check' });
    const mark = newMark(staged.manifest);
    const ready: Findings = await finishStage(stage, null, mark, { signal });
    const expected = { ...ready, token: mark.token };
    signal?.throwIfAborted();
    onProgress?.({ step: 'swap' });
    const aside = await whileExclusive(stage, 0, () => exchange(stage, database, found)).catch((error: unknown) => {
      if (error instanceof Changed || error instanceof DatabaseError) throw error;
      throw new DatabaseError('CATALOG_IO', `${database} cannot be replaced`, { cause: error });
    });
    return { ...staged, expected, damaged: aside.names, undo: () => takeBack(database, aside, expected) };
  } finally {
    await removeDatabase(stage);
  }
}

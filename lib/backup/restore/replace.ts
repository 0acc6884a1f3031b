/**
 * Restoring where there is no catalogue that SQLite could write: the file is damaged or gone. The backup is readied
 * beside it and takes its name in one step; what was there is kept under another name, never removed. What somebody has put
 * there in the meantime is left alone.
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

/** What was put in the place of a database, and how to undo it. */
export interface Replaced extends Staged {
  readonly expected: Expected;
  /** The names under which the old files are kept. */
  readonly damaged: readonly string[];
  /** Puts the old files back, and keeps the new one; false when others use that, and it stays. */
  readonly undo: () => Promise<boolean>;
}

/** The files are not those that were found damaged or gone: somebody has made, replaced or written them since. */
export class Changed extends Error {
  override name = 'Changed';
  /** Names under which old files are kept all the same. */
  readonly kept: readonly string[];

  constructor(kept: readonly string[]) {
    super('the files have changed');
    this.kept = kept;
  }
}

const DAMAGED = 'damaged';
const FAILED = 'failed-restore';

const isTaken = (error: unknown) => error instanceof DatabaseError && error.code === 'CATALOG_CONFLICT';

/** Removes what a restore left beside a database that was killed while it put a backup in its place. */
export async function tidyPlace(database: string): Promise<void> {
  const isUnderWay = await removeDeadStages(database);
  // A second name that a restore has just given is soon the only one.
  if (!isUnderWay) await dropSecondNames(database, DAMAGED);
}

/** Asks whether the files are as they were found, by their second names, which nobody replaces. @throws {Changed} */
async function assertUnchanged({ name }: Aside, found: Standing): Promise<void> {
  if ((await standingOf(name)).state !== found.state) throw new Changed([]);
}

/** Gives a stage the name of a database: over the damaged file that was found, or where there is none. */
async function takeName(stage: string, database: string, found: Standing): Promise<void> {
  const { file } = await standingOf(database);
  // A second name refuses what a rename would replace.
  if (file !== null && file === found.file) await rename(stage, database);
  else await nameFile(stage, database);
}

/**
 * Puts a stage, which nobody can open meanwhile, in the place of what was found. The old log is gone before, on the disk as
 * well, and one that appears meanwhile is moved away before the new file can be opened.
 */
async function exchange(stage: string, database: string, found: Standing): Promise<Aside> {
  if ((await standingOf(database)).state !== found.state) throw new Changed([]);
  const aside = await keepAside(database, DAMAGED);
  let hasName = false;
  try {
    // Asked twice: a log that somebody uses must not be taken away, nor a file that somebody writes be replaced.
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

const UNDO_WAIT_MS = 5_000; // until connections of this process are closed, and short ones of others

const hasSqliteCode = (error: unknown, codes: RegExp) =>
  error instanceof Error && 'code' in error && codes.test(String(error.code));

const isInUse = (error: unknown) =>
  error instanceof Superseded || hasSqliteCode(error, /^(?:SQLITE_BUSY|SQLITE_LOCKED|CATALOG_BUSY)/);

/** Takes a new file back that failed its check, unless others use it or have restored again. */
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
 * Puts a backup in the place of a database that nobody can use.
 * @param found what was found damaged or gone
 * @throws {Changed} when something else is there now
 * @throws {DatabaseError} CATALOG_BACKUP_INVALID, CATALOG_SCHEMA_NEWER, CATALOG_KEY, CATALOG_FULL, CATALOG_IO: nothing
 *   was changed then
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

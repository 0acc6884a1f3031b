/**
 * Restoring where there is no catalogue that SQLite could write: the file is damaged or gone. The backup is readied
 * beside it and takes its name in one step; what was there is kept under another name, never removed.
 */

import { link, lstat, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseError } from '../../errors.ts';
import { exists, syncFolder } from '../../runtime/files.ts';
import { hasCode } from '../../runtime/thrown.ts';
import { timeName } from '../../values/dates.ts';
import type { Findings } from '../checker.ts';
import { NO_LINKS, partialPath, removeDatabase, removeDeadStages } from '../publish.ts';
import { type Staged, stageBackup } from '../verify.ts';
import { finishStage, type RestoreHost, type RestoreOptions } from './restore.ts';

/** What was put in the place of a database, and how to undo it. */
export interface Replaced extends Staged {
  readonly ready: Findings;
  /** The names under which the old files are kept. */
  readonly damaged: string[];
  /** Puts the old files back. */
  readonly undo: () => Promise<void>;
}

// The file itself last: until then it stands under its own name as well.
const SUFFIXES = ['-wal', '-shm', '-journal', ''] as const;

/** A second name for a file; where there are no hard links, its only name. */
async function keepAs(path: string, kept: string): Promise<void> {
  await link(path, kept).catch((error: unknown) => {
    if (!hasCode(error, ...NO_LINKS)) throw error;
    return rename(path, kept);
  });
}

/** Keeps the old files under another name; their log goes, since SQLite would play it into the new file. */
async function setAside(database: string): Promise<Map<string, string>> {
  const time = timeName();
  const kept = new Map<string, string>();
  for (const suffix of SUFFIXES) {
    const path = `${database}${suffix}`;
    if (!(await exists(path))) continue;
    kept.set(path, `${path}.damaged-${time}`);
    await keepAs(path, `${path}.damaged-${time}`);
  }
  await syncFolder(dirname(database));
  for (const suffix of SUFFIXES) if (suffix !== '') await rm(`${database}${suffix}`, { force: true });
  return kept;
}

const isSameFile = async (one: string, other: string): Promise<boolean> => {
  const [a, b] = await Promise.all([one, other].map((path) => lstat(path, { bigint: true })));
  return a?.dev === b?.dev && a?.ino === b?.ino;
};

/** Gives the old files their names back; where another file has taken one meanwhile, both stay. */
async function putBack(kept: ReadonlyMap<string, string>): Promise<void> {
  for (const [path, name] of kept) {
    if (!(await exists(path))) await rename(name, path);
    else if (await isSameFile(path, name)) await rm(name);
  }
}

/**
 * Puts a backup in the place of a database that nobody can use.
 * @throws {DatabaseError} CATALOG_BACKUP_INVALID, CATALOG_SCHEMA_NEWER, CATALOG_KEY, CATALOG_FULL, CATALOG_IO: nothing
 *   was changed then
 */
export async function replaceDatabase(
  { database, migrateCopy, free }: Pick<RestoreHost, 'database' | 'migrateCopy' | 'free'>,
  from: string,
  { allowMissingManifest = false, signal, onProgress }: RestoreOptions,
): Promise<Replaced> {
  await removeDeadStages(database);
  const stage = partialPath(database);
  onProgress?.({ step: 'read' });
  const staged = await stageBackup(from, stage, { allowMissingManifest, free, signal });
  try {
    onProgress?.({ step: 'migrate' });
    await migrateCopy(stage);
    onProgress?.({ step: 'check' });
    const ready = await finishStage(stage, null, { signal });
    signal?.throwIfAborted();
    onProgress?.({ step: 'swap' });
    const kept = await setAside(database);
    await rename(stage, database).catch(async (cause: unknown) => {
      await putBack(kept);
      throw new DatabaseError('CATALOG_IO', `${database} cannot be replaced`, { cause });
    });
    await syncFolder(dirname(database));
    const undo = async () => {
      await removeDatabase(database);
      for (const [path, name] of kept) await rename(name, path);
      await syncFolder(dirname(database));
    };
    return { ...staged, ready, damaged: [...kept.values()].reverse(), undo };
  } finally {
    await removeDatabase(stage);
  }
}

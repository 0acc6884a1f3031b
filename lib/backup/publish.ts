/**
 * Gives finished files their final name: complete, flushed to disk, and never over another file. Until then a file has
 * a temporary name with the id of its process, so that leftovers of a killed process are recognised.
 */
import type { Dirent } from 'node:fs';
import { link, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DatabaseError } from '../errors.ts';
import { exists, sizeOf, syncFolder } from '../runtime/files.ts';
import { createPrivateFile, writePrivateFile } from '../runtime/private-file.ts';
import { BEGAN, isAlive, MACHINE } from '../runtime/process-identity.ts';
import { hasCode } from '../runtime/thrown.ts';
import { DAY_MS } from '../values/intervals.ts';
import { backupOfManifest, type Manifest, manifestPath, manifestText } from './manifest.ts';

/** Files that SQLite keeps beside a database. */
const COMPANIONS = ['-journal', '-wal', '-shm'] as const;

/** The unfinished files of this process. */
const begun = new Set<string>();

/** The temporary name of a file while this process makes it. */
export function partialPath(path: string): string {
  begun.add(path);
  return `${path}.${MACHINE}-${process.pid}.partial`;
}

const PARTIAL = /^(.+)\.([0-9a-f]{8})-(\d+)\.partial(?:-journal|-wal|-shm)?$/;

/** Removes a folder, or a database file and the files that SQLite keeps beside it. */
export async function removeDatabase(path: string): Promise<void> {
  const all = ['', ...COMPANIONS].map((suffix) => rm(`${path}${suffix}`, { force: true, recursive: true }));
  await Promise.all(all);
}

/**
 * Creates an empty file that only its owner may read.
 * @throws {DatabaseError} CATALOG_CONFLICT if it exists, because other work then owns it
 * @internal
 */
export async function createPrivate(path: string): Promise<void> {
  if (await createPrivateFile(path)) return;
  const hint = 'The same work is under way: wait until it ends.';
  throw new DatabaseError('CATALOG_CONFLICT', `${path} already exists`, { hint });
}

const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

/** Whether a hard link failed because the file system does not support them. */
export const hasNoLinks = (error: unknown): boolean => hasCode(error, ...NO_LINKS);

const taken = (path: string, cause?: unknown) =>
  new DatabaseError('CATALOG_CONFLICT', `${path} already exists`, {
    cause,
    hint: 'Choose another name: a backup never replaces a file.',
  });

/** @throws {DatabaseError} CATALOG_CONFLICT if the name is taken */
export async function assertFree(path: string): Promise<void> {
  if (await exists(path)) throw taken(path);
}

/** SQLite would replay an old log of this name into the new file. @throws {DatabaseError} CATALOG_CONFLICT */
export async function assertNoLog(path: string): Promise<void> {
  for (const suffix of COMPANIONS) await assertFree(`${path}${suffix}`);
}

/**
 * Claims a name with an empty file, then renames the finished file to it: a rename alone could replace another file.
 */
async function renameToFree(temporary: string, path: string): Promise<void> {
  try {
    await (await open(path, 'wx', 0o600)).close();
  } catch (error) {
    throw hasCode(error, 'EEXIST') ? taken(path, error) : error;
  }
  try {
    await rename(temporary, path);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Gives a finished file its name, unless the name is taken. @throws {DatabaseError} CATALOG_CONFLICT */
export async function nameFile(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (hasCode(error, 'EEXIST')) throw taken(path, error);
    if (!hasNoLinks(error)) throw error;
    await renameToFree(temporary, path);
    return;
  }
  await rm(temporary);
}

/** Publishes a file that is already flushed to disk. @throws {DatabaseError} CATALOG_CONFLICT if the name is taken */
export async function publish(temporary: string, path: string): Promise<void> {
  await nameFile(temporary, path);
  await syncFolder(dirname(path));
}

/**
 * Publishes a backup and its manifest. The manifest goes first, so no backup is ever visible without one, and a
 * manifest without a backup is a recognisable leftover of a killed process.
 */
export async function publishBackup(temporary: string, path: string, manifest: Manifest): Promise<void> {
  const beside = manifestPath(path);
  const unfinished = partialPath(beside);
  try {
    await writePrivateFile(unfinished, manifestText(manifest));
    await nameFile(unfinished, beside);
  } finally {
    await rm(unfinished, { force: true });
  }
  try {
    // This also holds after a power failure: a backup always has its manifest.
    await syncFolder(dirname(path));
    await nameFile(temporary, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

const entriesIn = (folder: string): Promise<Dirent[]> =>
  readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  });

const nameOf = ({ name }: Dirent) => name;

const ABANDONED_MS = DAY_MS; // copying, checking and compressing leave a file unchanged for less time

const isOlder = async (path: string, instant: number): Promise<boolean> => {
  const stats = await stat(path).catch(() => undefined);
  return stats !== undefined && stats.mtimeMs < instant;
};

/** The process that makes a file, and the file's final name. */
interface Maker {
  readonly of: string;
  readonly machine: string;
  readonly pid: number;
}

/**
 * Whether the process that made a file is dead. In a container, every process may have the id of its predecessor: a
 * file with this process's id that is older than this process belongs to a predecessor.
 */
async function isLeft(path: string, { of, machine, pid }: Maker): Promise<boolean> {
  if (machine !== MACHINE) return isOlder(path, Date.now() - ABANDONED_MS);
  if (pid !== process.pid) return !isAlive(pid);
  return !begun.has(join(dirname(path), of)) && isOlder(path, BEGAN);
}

/** A file with a temporary name. */
interface Partial {
  readonly name: string;
  /** Its final name. */
  readonly of: string;
  /** Whether no process is making it any more. */
  readonly dead: boolean;
}

async function partialsAmong(folder: string, names: readonly string[]): Promise<Partial[]> {
  const found = names.map(async (name) => {
    const [, of, machine = '', pid] = PARTIAL.exec(name) ?? [];
    if (of === undefined) return [];
    return [{ name, of, dead: await isLeft(join(folder, name), { of, machine, pid: Number(pid) }) }];
  });
  return (await Promise.all(found)).flat();
}

/** Manifests without a backup, because the process died between publishing the two. */
async function orphanedManifests(
  folder: string,
  entries: readonly Dirent[],
  partials: readonly Partial[],
): Promise<string[]> {
  const underWay = new Set(partials.filter(({ dead }) => !dead).map(({ of }) => of));
  const names = new Set(entries.map(nameOf));
  const files = entries.filter((entry) => entry.isFile()).map(nameOf);
  const alone = files.filter((name) => {
    const backup = backupOfManifest(name);
    return backup !== undefined && !names.has(backup) && !underWay.has(backup);
  });
  // Check again: the backup may have got its name since the folder was read.
  const asked = await Promise.all(
    alone.map(async (name) => ((await exists(join(folder, backupOfManifest(name) ?? ''))) ? [] : [name])),
  );
  return asked.flat();
}

/** Removes the leftovers of dead processes from a folder of backups. */
export async function removeDeadPartials(folder: string): Promise<void> {
  const entries = await entriesIn(folder);
  const partials = await partialsAmong(folder, entries.map(nameOf));
  const dead = partials.filter((partial) => partial.dead).map(({ name }) => name);
  const remove = async (name: string) => rm(join(folder, name), { force: true, recursive: true });
  await Promise.all([...dead, ...(await orphanedManifests(folder, entries, partials))].map(remove));
}

/**
 * Removes the leftovers of dead restores beside a database.
 * @returns whether another process is restoring it now
 */
export async function removeDeadStages(database: string): Promise<boolean> {
  const folder = dirname(database);
  const partials = await partialsAmong(folder, (await entriesIn(folder)).map(nameOf));
  const stages = partials.filter(({ of }) => of === basename(database));
  const dead = stages.filter((stage) => stage.dead);
  await Promise.all(dead.map(({ name }) => rm(join(folder, name), { force: true, recursive: true })));
  return dead.length < stages.length;
}

/** The size of a database with its log, in bytes. */
export const databaseBytes = async (path: string): Promise<number> =>
  ((await sizeOf(path)) ?? 0) + ((await sizeOf(`${path}-wal`)) ?? 0);

/**
 * Sets the files of a database aside under other names, byte for byte. The names keep SQLite's pattern, so that it
 * still finds the log of a database (`x.db.damaged-TIME`, `x.db.damaged-TIME-wal`).
 */
import { link, lstat, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { exists, syncFolder } from '../../runtime/files.ts';
import { timeName } from '../../values/dates.ts';
import { hasNoLinks, nameFile } from '../publish.ts';

const LOGS = ['-wal', '-shm', '-journal'] as const;
// The files that a commit changes; `-shm` is memory that processes share.
const WRITTEN = ['', '-wal', '-journal'] as const;

/** The present files of a database. */
export interface Standing {
  /** Device and inode; null if there is no file. */
  readonly file: string | null;
  /** Changes with every commit. */
  readonly state: string;
}

const statsOf = (path: string) => lstat(path, { bigint: true }).catch(() => undefined);

const identityOf = async (path: string): Promise<string | null> => {
  const stats = await statsOf(path);
  return stats === undefined ? null : `${stats.dev}:${stats.ino}`;
};

/** Examines the files of a database without opening them. */
export async function standingOf(database: string): Promise<Standing> {
  const found = await Promise.all(WRITTEN.map((suffix) => statsOf(`${database}${suffix}`)));
  const [main] = found;
  const told = found.map((stats) =>
    stats === undefined ? 'none' : `${stats.dev}:${stats.ino} ${stats.size} ${stats.mtimeNs}`,
  );
  return { file: main === undefined ? null : `${main.dev}:${main.ino}`, state: told.join() };
}

/** Files that were set aside. */
export interface Aside {
  /** The name for the database file, even if only its log existed. */
  readonly name: string;
  /** The new names, the database file first. */
  readonly names: readonly string[];
}

const MAX_NAMES = 100;

/** A name that is free with every suffix. */
async function freeName(database: string, what: string): Promise<string> {
  const start = Date.now();
  for (let number = 0; number < MAX_NAMES; number += 1) {
    const name = `${database}.${what}-${timeName(new Date(start + number))}`;
    const taken = await Promise.all(['', ...LOGS].map((suffix) => exists(`${name}${suffix}`)));
    if (!taken.includes(true)) return name;
  }
  throw new Error(`${database}: every name for keeping it is taken`);
}

async function present(database: string, suffixes: readonly string[]): Promise<string[]> {
  const found = await Promise.all(suffixes.map((suffix) => exists(`${database}${suffix}`)));
  return suffixes.filter((_, place) => found[place]);
}

const asideOf = (name: string, suffixes: readonly string[]): Aside => ({
  name,
  names: suffixes.toSorted().map((suffix) => `${name}${suffix}`),
});

/** Gives the files of a database second names; without hard links, renames them. */
export async function keepAside(database: string, what: string): Promise<Aside> {
  const name = await freeName(database, what);
  const suffixes = await present(database, [...LOGS, '']);
  for (const suffix of suffixes) {
    await link(`${database}${suffix}`, `${name}${suffix}`).catch((error: unknown) => {
      if (!hasNoLinks(error)) throw error;
      return rename(`${database}${suffix}`, `${name}${suffix}`);
    });
  }
  await syncFolder(dirname(database));
  return asideOf(name, suffixes);
}

/** Removes logs that are kept under another name, because SQLite would replay them into the replacement file. */
export async function dropLogs(database: string, { name }: Aside): Promise<void> {
  for (const suffix of LOGS) {
    const [old, kept] = await Promise.all([identityOf(`${database}${suffix}`), identityOf(`${name}${suffix}`)]);
    if (old !== null && old === kept) await rm(`${database}${suffix}`);
  }
  await syncFolder(dirname(database));
}

/**
 * Returns logs to a database if a killed restore had removed them, so that database and log are kept together again. A
 * log that is older than the last write of the file would damage it and keeps its other name.
 */
async function returnLogs(database: string, name: string): Promise<void> {
  const main = await statsOf(database);
  for (const suffix of await present(name, LOGS)) {
    const [old, log] = [`${database}${suffix}`, `${name}${suffix}`];
    const [there, kept] = await Promise.all([statsOf(old), statsOf(log)]);
    if (main === undefined || kept === undefined) continue;
    // The removal of its old name was the last change of the log's inode.
    if (there === undefined && main.mtimeNs < kept.ctimeNs) await rename(log, old);
    else if (there?.ino === kept.ino && there.dev === kept.dev) await rm(log);
  }
}

/** Removes second names that a killed restore has given to the database file. */
export async function dropSecondNames(database: string, what: string): Promise<void> {
  const [folder, identity] = [dirname(database), await identityOf(database)];
  if (identity === null) return;
  const start = `${basename(database)}.${what}-`;
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith(start));
  for (const path of names.map((name) => join(folder, name))) {
    if ((await identityOf(path)) !== identity) continue;
    await returnLogs(database, path);
    await rm(path, { force: true });
  }
}

/** Renames the files of a database. */
export async function moveAside(database: string, what: string, suffixes: readonly string[] = ['', ...LOGS]) {
  const found = await present(database, suffixes);
  if (found.length === 0) return undefined;
  const name = await freeName(database, what);
  for (const suffix of found) await rename(`${database}${suffix}`, `${name}${suffix}`);
  await syncFolder(dirname(database));
  return asideOf(name, found);
}

/** Sets logs aside so that nobody replays them into the present file. */
export const moveLogsAside = (database: string, what: string) => moveAside(database, what, LOGS);

/**
 * Gives files their old names back. If another file has taken the database's name, they keep their present names, which
 * are returned.
 */
export async function putBack(database: string, { name }: Aside): Promise<readonly string[]> {
  const [there, kept] = await Promise.all([identityOf(database), identityOf(name)]);
  const suffixes = await present(name, LOGS);
  if (there !== null && there !== kept) return asideOf(name, kept === null ? suffixes : ['', ...suffixes]).names;
  for (const suffix of suffixes) {
    const [old, log] = [`${database}${suffix}`, `${name}${suffix}`];
    if (!(await exists(old))) await rename(log, old);
    else if ((await identityOf(old)) === (await identityOf(log))) await rm(log);
  }
  if (there === null && kept !== null) await nameFile(name, database);
  else if (kept !== null) await rm(name);
  await syncFolder(dirname(database));
  return [];
}

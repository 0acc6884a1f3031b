/**
 * The files of a database under other names: kept to the byte, and so that SQLite still finds the log of a database
 * beside it (`x.db.damaged-TIME`, `x.db.damaged-TIME-wal`).
 */
import { link, lstat, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { exists, syncFolder } from '../../runtime/files.ts';
import { timeName } from '../../values/dates.ts';
import { hasNoLinks, nameFile } from '../publish.ts';

const LOGS = ['-wal', '-shm', '-journal'] as const;
// Those that a commit changes; the third is memory that processes share.
const WRITTEN = ['', '-wal', '-journal'] as const;

/** What stands under the names of a database. */
export interface Standing {
  /** Device and inode; null where there is no file. */
  readonly file: string | null;
  /** Changes with every commit. */
  readonly state: string;
}

const statsOf = (path: string) => lstat(path, { bigint: true }).catch(() => undefined);

const identityOf = async (path: string): Promise<string | null> => {
  const stats = await statsOf(path);
  return stats === undefined ? null : `${stats.dev}:${stats.ino}`;
};

/** Looks at the files of a database without opening them. */
export async function standingOf(database: string): Promise<Standing> {
  const found = await Promise.all(WRITTEN.map((suffix) => statsOf(`${database}${suffix}`)));
  const [main] = found;
  const told = found.map((stats) =>
    stats === undefined ? 'none' : `${stats.dev}:${stats.ino} ${stats.size} ${stats.mtimeNs}`,
  );
  return { file: main === undefined ? null : `${main.dev}:${main.ino}`, state: told.join() };
}

/** The files that were put aside. */
export interface Aside {
  /** The name of the database file, also where only its log was there. */
  readonly name: string;
  /** The names there are now, the file itself first. */
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
  throw new Error(`${database}: every name to keep it by is taken`);
}

async function present(database: string, suffixes: readonly string[]): Promise<string[]> {
  const found = await Promise.all(suffixes.map((suffix) => exists(`${database}${suffix}`)));
  return suffixes.filter((_, place) => found[place]);
}

const asideOf = (name: string, suffixes: readonly string[]): Aside => ({
  name,
  names: suffixes.toSorted().map((suffix) => `${name}${suffix}`),
});

/** Gives the files of a database second names; where there are no hard links, their only ones. */
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

/** Takes the logs that are kept elsewhere away: SQLite would play them into the file that comes in their place. */
export async function dropLogs(database: string, { name }: Aside): Promise<void> {
  for (const suffix of LOGS) {
    const [old, kept] = await Promise.all([identityOf(`${database}${suffix}`), identityOf(`${name}${suffix}`)]);
    if (old !== null && old === kept) await rm(`${database}${suffix}`);
  }
  await syncFolder(dirname(database));
}

/**
 * Gives a database the logs back that a restore had taken away when it was killed, so that the two are kept together again.
 * A log that is older than what was written into the file since would damage it, and stays where it is.
 */
async function returnLogs(database: string, name: string): Promise<void> {
  const main = await statsOf(database);
  for (const suffix of await present(name, LOGS)) {
    const [old, log] = [`${database}${suffix}`, `${name}${suffix}`];
    const [there, kept] = await Promise.all([statsOf(old), statsOf(log)]);
    if (main === undefined || kept === undefined) continue;
    // Taking its other name away was the last change of the log itself.
    if (there === undefined && main.mtimeNs < kept.ctimeNs) await rename(log, old);
    else if (there?.ino === kept.ino && there.dev === kept.dev) await rm(log);
  }
}

/** Removes the second name that a restore, which was killed meanwhile, has given to a file. */
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

/** Moves what stands under the names of a database away. */
export async function moveAside(database: string, what: string, suffixes: readonly string[] = ['', ...LOGS]) {
  const found = await present(database, suffixes);
  if (found.length === 0) return undefined;
  const name = await freeName(database, what);
  for (const suffix of found) await rename(`${database}${suffix}`, `${name}${suffix}`);
  await syncFolder(dirname(database));
  return asideOf(name, found);
}

/** Moves logs away that nobody may play into the file they stand beside now. */
export const moveLogsAside = (database: string, what: string) => moveAside(database, what, LOGS);

/** Gives files their names back. Where another file has taken the database's, they keep those they have, which are told. */
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

/** Lists the backups of a folder by their manifests, without reading the backups. */

import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseError } from '../errors.ts';
import { sizeOf } from '../runtime/files.ts';
import { isOpenHere } from '../runtime/open-files.ts';
import { hasCode } from '../runtime/thrown.ts';
import { backupOfManifest, type Manifest, readManifest } from './manifest.ts';

/** A file that is a backup or looks like one; values from the manifest are null without a manifest. */
export interface BackupEntry extends Omit<{ readonly [Key in keyof Manifest]: Manifest[Key] | null }, 'bytes'> {
  readonly path: string;
  /** The size of the file on disk. */
  readonly bytes: number;
  /** Whether it belongs to this database. */
  readonly own: boolean;
  /** Problems visible without reading the file; `verify` checks completely. */
  readonly problems: string[];
}

const NOTHING = {
  sha256: null,
  schemaVersion: null,
  databaseId: null,
  counts: null,
  createdAt: null,
  sequence: null,
  reason: null,
  compressed: null,
} as const;

const LOOKS_LIKE_ONE = /\.(?:db|sqlite3?)(?:\.zst)?$/;

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw new DatabaseError('CATALOG_IO', `${folder} cannot be read`, { cause: error });
  }
}

async function entryOf(path: string, databaseId: string | null): Promise<BackupEntry> {
  const { manifest, problem } = await readManifest(path);
  const bytes = (await sizeOf(path)) ?? 0;
  if (manifest === null) return { path, ...NOTHING, bytes, own: false, problems: [problem] };
  const own = databaseId !== null && manifest.databaseId === databaseId;
  const problems = manifest.bytes === bytes ? [] : [`it has ${bytes} bytes, the manifest says ${manifest.bytes}`];
  return { path, ...manifest, bytes, own, problems };
}

/** Sorts the backups of one database by number; those without a number follow, by time. */
const newestFirst = (a: BackupEntry, b: BackupEntry) =>
  (b.sequence ?? 0) - (a.sequence ?? 0) ||
  (b.createdAt ?? '').localeCompare(a.createdAt ?? '') ||
  b.path.localeCompare(a.path);

/** Merges the lists of several databases by time, because numbers of different databases are not comparable. */
function inOneOrder(lists: readonly BackupEntry[][]): BackupEntry[] {
  const rest = lists.map((list) => list.toSorted(newestFirst));
  const merged: BackupEntry[] = [];
  for (;;) {
    const next = rest.filter((list) => list.length > 0);
    const latest = next.toSorted(([a], [b]) => (b?.createdAt ?? '').localeCompare(a?.createdAt ?? ''))[0]?.shift();
    if (latest === undefined) return merged;
    merged.push(latest);
  }
}

const FILES_AT_ONCE = 32; // far fewer manifests than the thousand files that a process may have open

/** Processes a list, a few items at a time. */
async function inPortions<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>) {
  const results: Result[] = [];
  for (let from = 0; from < items.length; from += FILES_AT_ONCE) {
    results.push(...(await Promise.all(items.slice(from, from + FILES_AT_ONCE).map(work))));
  }
  return results;
}

/** All backups in a folder, newest first; those without a manifest last. Only regular files count. */
export async function listBackups(folder: string, databaseId: string | null): Promise<BackupEntry[]> {
  const files = (await entriesOf(folder)).filter((entry) => entry.isFile()).map(({ name }) => name);
  const withManifest = new Set(files.map(backupOfManifest));
  const paths = files
    .filter((name) => withManifest.has(name) || LOOKS_LIKE_ONE.test(name))
    .map((name) => join(folder, name));
  const found = await inPortions(paths, async (path) => {
    const isOpen = await isOpenHere(path).catch(() => true); // it has been removed: no entry
    return isOpen ? [] : [await entryOf(path, databaseId)];
  });
  const entries = found.flat();
  const isKnown = ({ sha256 }: BackupEntry) => sha256 !== null;
  const byDatabase = Map.groupBy(entries.filter(isKnown), (entry) => entry.databaseId);
  const unknown = entries.filter((entry) => !isKnown(entry)).sort(newestFirst);
  return [...inOneOrder([...byDatabase.values()]), ...unknown];
}

/** The greatest backup number of a database in a folder; 0 without one. */
export async function greatestSequence(folder: string, databaseId: string | null): Promise<number> {
  const files = (await entriesOf(folder)).filter((entry) => entry.isFile());
  const backups = files.flatMap(({ name }) => backupOfManifest(name) ?? []);
  const numbers = await inPortions(backups, async (name) => {
    const { manifest } = await readManifest(join(folder, name));
    return manifest?.databaseId === databaseId ? (manifest.sequence ?? 0) : 0;
  });
  return Math.max(0, ...numbers);
}

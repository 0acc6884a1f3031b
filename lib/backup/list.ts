/** The backups of a folder as their manifests tell them; nothing of a backup itself is read. */

import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseError } from '../errors.ts';
import { sizeOf } from '../runtime/files.ts';
import { isOpenHere } from '../runtime/open-files.ts';
import { hasCode } from '../runtime/thrown.ts';
import { backupOfManifest, type Manifest, readManifest } from './manifest.ts';

/** A file that is a backup, or looks like one; what only a manifest tells is null where there is none. */
export interface BackupEntry extends Omit<{ readonly [Key in keyof Manifest]: Manifest[Key] | null }, 'bytes'> {
  readonly path: string;
  /** Of the file as it lies on the disk. */
  readonly bytes: number;
  /** Whether it is of this database. */
  readonly own: boolean;
  /** What is wrong with it at first sight; `verify` looks thoroughly. */
  readonly problems: string[];
}

const NOTHING = {
  sha256: null,
  schemaVersion: null,
  databaseId: null,
  counts: null,
  createdAt: null,
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

const newestFirst = (a: BackupEntry, b: BackupEntry) =>
  (b.createdAt ?? '').localeCompare(a.createdAt ?? '') || b.path.localeCompare(a.path);

/** Every backup in a folder, newest first; those without a manifest last. */
export async function listBackups(folder: string, databaseId: string | null): Promise<BackupEntry[]> {
  const files = (await entriesOf(folder)).filter((entry) => entry.isFile()).map(({ name }) => name);
  const withManifest = new Set(files.map(backupOfManifest));
  const paths = files
    .filter((name) => withManifest.has(name) || LOOKS_LIKE_ONE.test(name))
    .map((name) => join(folder, name));
  const open = await Promise.all(paths.map((path) => isOpenHere(path).catch(() => true))); // gone since: no entry
  const entries = await Promise.all(paths.filter((_, i) => !open[i]).map((path) => entryOf(path, databaseId)));
  return entries.sort(newestFirst);
}

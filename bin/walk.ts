/**
 * Walks a folder: everything below it, in the byte order of names, one folder in memory at a time. Reports links
 * without following them, reports what it cannot read, and continues.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { canonical, escapeBytes } from './names.ts';
import { reasonOf } from './system-error.ts';

/** An entry of the walk. */
export interface Found {
  /** `special` is a named pipe, a socket or a device. */
  readonly kind: 'file' | 'symlink' | 'special';
  /** The path to open it by. */
  readonly path: string;
  /** The path from the walked folder, with forward slashes. */
  readonly relative: string;
  /** Whether a canonically equal name of it, or of a parent folder, is in the walk. */
  readonly hasTwin: boolean;
}

/** A name whose bytes differ from those of a name beside it, while its characters are the same: NFC and NFD. */
export interface Twin {
  readonly kind: 'twin';
  readonly path: string;
}

/** An unreadable entry, and the reason. */
export interface Unreadable {
  readonly kind: 'unreadable';
  /** For people: bytes of the name that are not UTF-8 are escaped. */
  readonly path: string;
  readonly message: string;
}

interface Folder {
  readonly kind: 'folder';
  readonly relative: string;
  readonly hasTwin: boolean;
}

type Met = Found | Folder | Twin | Unreadable;

type Entry = Dirent<NonSharedBuffer>;

function kindOf(entry: Entry): Found['kind'] {
  if (entry.isFile()) return 'file';
  return entry.isSymbolicLink() ? 'symlink' : 'special';
}

/** The sorted entries of a folder, or why it cannot be read. */
async function readFolder(root: string, folder: Folder): Promise<Met[]> {
  const path = join(root, folder.relative);
  try {
    // Names as bytes: a name that is not UTF-8 would otherwise be changed and open nothing. Sorted here, because
    // readdir guarantees no order.
    const entries = await readdir(path, { withFileTypes: true, encoding: 'buffer' });
    const known = entries.every(({ name }) => isAscii(name)) ? undefined : new Set<string>();
    return entries
      .sort((a, b) => Buffer.compare(a.name, b.name))
      .flatMap((entry) => toMet(entry, { root, folder, known }));
  } catch (error) {
    return [{ kind: 'unreadable', path, message: reasonOf(error) }];
  }
}

interface Place {
  readonly root: string;
  readonly folder: Folder;
  /** The characters of the names so far; undefined where all are ASCII, so that none can have a twin. */
  readonly known: Set<string> | undefined;
}

function toMet(entry: Entry, { root, folder, known }: Place): Met[] {
  const isText = isUtf8(entry.name);
  const name = isText ? entry.name.toString() : escapeBytes(entry.name);
  const relative = folder.relative === '' ? name : `${folder.relative}/${name}`;
  const path = join(root, relative);
  if (!isText) return [{ kind: 'unreadable', path, message: 'the name is not valid UTF-8' }];
  const characters = canonical(name);
  const isTwin = known?.has(characters) === true;
  known?.add(characters);
  const hasTwin = isTwin || folder.hasTwin;
  const met: Met = entry.isDirectory()
    ? { kind: 'folder', relative, hasTwin }
    : { kind: kindOf(entry), path, relative, hasTwin };
  return isTwin ? [{ kind: 'twin', path }, met] : [met];
}

/** Everything below `root` until the signal fires, without the folders themselves. */
export async function* walk(
  root: string,
  signal?: AbortSignal,
): AsyncGenerator<Found | Twin | Unreadable, void, undefined> {
  const waiting: Folder[] = [{ kind: 'folder', relative: '', hasTwin: false }];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const inside: Folder[] = [];
    for (const met of await readFolder(root, folder)) {
      if (signal?.aborted) return;
      if (met.kind === 'folder') inside.push(met);
      else yield met;
    }
    // Last in, first out; one by one, because a spread of a very large folder overflows the stack.
    for (const folder of inside.reverse()) waiting.push(folder);
  }
}

/** Counts the regular files below `root`, reporting the growing count. */
export async function countFiles(
  root: string,
  signal?: AbortSignal,
  onCount?: (files: number) => void,
): Promise<number> {
  let files = 0;
  for await (const { kind } of walk(root, signal)) {
    if (kind !== 'file') continue;
    files += 1;
    onCount?.(files);
  }
  return files;
}

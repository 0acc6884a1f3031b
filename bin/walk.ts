/**
 * Walking a folder: everything below it, in the byte order of the names, one folder in memory at a time. Links are told
 * but never followed; what cannot be read is told as well, and the walk goes on.
 */
import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf } from './system-error.ts';

/** Something the walk came by. */
export interface Found {
  /** `special` is a named pipe, a socket or a device. */
  readonly kind: 'file' | 'symlink' | 'special';
  /** The path to open it by. */
  readonly path: string;
  /** The path from the walked folder, with forward slashes. */
  readonly relative: string;
}

/** Something the walk could not get at, and why. */
export interface Unreadable {
  readonly kind: 'unreadable';
  readonly path: string;
  readonly message: string;
}

interface Folder {
  readonly kind: 'folder';
  readonly relative: string;
}

type Entry = Dirent<NonSharedBuffer>;

function kindOf(entry: Entry): Found['kind'] {
  if (entry.isFile()) return 'file';
  return entry.isSymbolicLink() ? 'symlink' : 'special';
}

/** What a folder holds, sorted, or why it cannot be read. */
async function readFolder(root: string, folder: string): Promise<(Found | Folder | Unreadable)[]> {
  const path = join(root, folder);
  try {
    // Names as bytes: one that is not UTF-8 would come out as another name, which opens nothing. Sorted here, since
    // readdir promises no order.
    const entries = await readdir(path, { withFileTypes: true, encoding: 'buffer' });
    return entries.sort((a, b) => Buffer.compare(a.name, b.name)).map((entry) => toFound(entry, root, folder));
  } catch (error) {
    return [{ kind: 'unreadable', path, message: reasonOf(error) }];
  }
}

function toFound(entry: Entry, root: string, folder: string): Found | Folder | Unreadable {
  const name = entry.name.toString();
  const relative = folder === '' ? name : `${folder}/${name}`;
  const path = join(root, relative);
  if (!isUtf8(entry.name)) return { kind: 'unreadable', path, message: 'the name is not valid UTF-8' };
  return entry.isDirectory() ? { kind: 'folder', relative } : { kind: kindOf(entry), path, relative };
}

/** Everything below `root` until the signal fires. Folders themselves are not told. */
export async function* walk(root: string, signal?: AbortSignal): AsyncGenerator<Found | Unreadable, void, undefined> {
  const waiting = [''];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const inside: string[] = [];
    for (const found of await readFolder(root, folder)) {
      if (signal?.aborted) return;
      if (found.kind === 'folder') inside.push(found.relative);
      else yield found;
    }
    // Last in, first out; one by one, because a spread of a very large folder overflows the stack.
    for (const relative of inside.reverse()) waiting.push(relative);
  }
}

/** Counts the regular files below `root`, telling the count as it grows. */
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

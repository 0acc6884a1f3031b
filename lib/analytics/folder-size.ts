/** The size of a folder of contents: every regular file below it; links below it are not followed. */

import type { Dirent } from 'node:fs';
import { lstat, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../runtime/thrown.ts';

/** Returns `otherwise` for an entry that vanished meanwhile. */
const unlessMissing =
  <Value>(otherwise: Value) =>
  (error: unknown): Value => {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return otherwise;
    throw error;
  };

async function* entriesOf(folder: string): AsyncGenerator<Dirent, void, undefined> {
  const opened = await opendir(folder).catch(unlessMissing(null));
  if (opened !== null) yield* opened;
}

/** Whether there is a folder of this name, or a link to one. */
export const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(unlessMissing(null)))?.isDirectory() ?? false;

/**
 * Bytes of the regular files below a folder; null if it does not exist. Files that vanish meanwhile are not counted.
 * @throws the signal's reason, or the file system's error for an unreadable folder
 */
export async function folderBytes(path: string, signal?: AbortSignal): Promise<number | null> {
  if (!(await isFolder(path))) return null;
  const waiting = [path];
  let bytes = 0;
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    signal?.throwIfAborted();
    for await (const entry of entriesOf(folder)) {
      const inner = join(folder, entry.name);
      if (entry.isDirectory()) waiting.push(inner);
      else if (entry.isFile()) bytes += (await lstat(inner).catch(unlessMissing({ size: 0 }))).size;
    }
  }
  return bytes;
}

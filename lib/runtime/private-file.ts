/** Creates files and folders that only the owner may read: SQLite would make them readable for everyone. */
import { mkdir, open } from 'node:fs/promises';
import { hasCode } from './thrown.ts';

const OWNER_ONLY = 0o600;
const OWNER_ONLY_FOLDER = 0o700;

/** Creates an empty file; false if the name is taken. */
export async function createPrivateFile(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', OWNER_ONLY)).close();
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Writes a new file and flushes it to the disk. @throws EEXIST if the name is taken */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx', OWNER_ONLY);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates a folder and its parents, if missing. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: OWNER_ONLY_FOLDER });
}

/** Files and folders that only their owner may read: SQLite would make them readable for everyone. */
import { mkdir, open } from 'node:fs/promises';
import { hasCode } from './thrown.ts';

const OWNER_ONLY = 0o600;
const OWNER_ONLY_FOLDER = 0o700;

/** Makes an empty file; false when the name is taken. */
export async function createPrivateFile(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', OWNER_ONLY)).close();
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Writes a new file and puts it on the disk. @throws EEXIST when the name is taken */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx', OWNER_ONLY);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder with those above it, unless it exists. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: OWNER_ONLY_FOLDER });
}

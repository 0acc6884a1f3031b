/**
 * Opens files in a folder of backups, whoever put them there, without blocking. `open` blocks for ever on a FIFO
 * without a writer, and four such calls occupy all threads that Node.js has for files.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { hasCode } from '../runtime/thrown.ts';

// Windows lacks the last two flags. O_NOFOLLOW refuses a link that replaces the file between check and open.
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);

/** A FIFO, a device, a socket, a folder or a link instead of a regular file. */
export class NotRegular extends Error {
  override name = 'NotRegular';
}

/**
 * Opens a regular file for reading.
 * @throws {NotRegular} for any other kind of file
 * @throws the errors of the file system
 */
export async function openRegular(path: string): Promise<FileHandle> {
  // Check before opening, because opening a device may have effects, and check the opened file again.
  if (!(await lstat(path)).isFile()) throw new NotRegular(path);
  const file = await open(path, FLAGS).catch((error: unknown) => {
    throw hasCode(error, 'ELOOP') ? new NotRegular(path) : error;
  });
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new NotRegular(path);
}

/**
 * Reads the first bytes of a regular file, at most the given number.
 * @throws as {@link openRegular}
 */
export async function firstBytes(path: string, most: number): Promise<Buffer> {
  const file = await openRegular(path);
  try {
    return await readFirst(file, most);
  } finally {
    await file.close();
  }
}

/** Reads the first bytes of an open file, at most the given number. */
export async function readFirst(file: FileHandle, most: number): Promise<Buffer> {
  const buffer = Buffer.alloc(most);
  let length = 0;
  while (length < most) {
    const { bytesRead } = await file.read(buffer, length, most - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

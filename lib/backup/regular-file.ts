/**
 * Opens what lies in a folder of backups, whoever put it there. Promises that nothing waits: a FIFO without a writer would
 * make `open` wait for ever, and four such calls take every thread that Node.js has for files.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { hasCode } from '../runtime/thrown.ts';

// Windows lacks the last two. A link could lead to another file between two looks.
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);

/** A FIFO, a device, a socket, a folder or a link where a file should be. */
export class NotRegular extends Error {
  override name = 'NotRegular';
}

/**
 * Opens a regular file to read it.
 * @throws {NotRegular} for anything else of that name
 * @throws what the file system reports
 */
export async function openRegular(path: string): Promise<FileHandle> {
  // Opening a device may already do something; the second look is at what was opened.
  if (!(await lstat(path)).isFile()) throw new NotRegular(path);
  const file = await open(path, FLAGS).catch((error: unknown) => {
    throw hasCode(error, 'ELOOP') ? new NotRegular(path) : error;
  });
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new NotRegular(path);
}

/**
 * The first bytes of a regular file, at most so many.
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

/** The first bytes of an open file, at most so many. */
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

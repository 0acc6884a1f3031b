/**
 * Finds the uncompressed size of a backup from its first bytes, and stops a stream that exceeds it: 96 KB of zstd can
 * hold 3 GB. Content that does not start like a SQLite database is refused at once.
 */
import { Transform } from 'node:stream';
// No named import: an old Node.js lacks the export and would fail before the check of its version reports that.
import zlib from 'node:zlib';
import { firstBytes } from './regular-file.ts';

/** The content is not a sound backup. Any other error is a failure of the machine. */
export class Unsound extends Error {}

const ZSTD_MAGIC = 0xfd2fb528;
const DATABASE_MAGIC = Buffer.from('SQLite format 3\0');
const DATABASE_HEADER = 100; // bytes; https://sqlite.org/fileformat2.html, section 1.3
const FRAME_HEADER = 18; // bytes at most; RFC 8878, section 3.1.1.1
const MIN_PAGE = 512;
const MAX_PAGE = 65_536;
// A block holds at most 128 KB, packed or not, so this is enough to decode its first bytes.
const FIRST_BLOCK = 256 * 1024;

/** Whether a file that starts with these bytes is a zstd stream. */
export const isZstd = (start: Buffer): boolean => start.length >= 4 && start.readUInt32LE(0) === ZSTD_MAGIC;

/** The size that a zstd frame announces, in bytes; undefined if it announces none. */
function frameSize(start: Buffer): number | undefined {
  if (start.length < FRAME_HEADER || !isZstd(start)) return undefined;
  const descriptor = start.readUInt8(4);
  const [sizeFlag, dictionaryFlag] = [descriptor >> 6, descriptor & 3];
  const isSingle = (descriptor & 0x20) !== 0;
  const at = 5 + (isSingle ? 0 : 1) + (dictionaryFlag === 3 ? 4 : dictionaryFlag);
  if (sizeFlag === 0) return isSingle ? start.readUInt8(at) : undefined;
  if (sizeFlag === 1) return start.readUInt16LE(at) + 256;
  return sizeFlag === 2 ? start.readUInt32LE(at) : Number(start.readBigUInt64LE(at));
}

/** The size that a database header announces, in bytes; undefined if the header is not up to date. */
function databaseSize(header: Buffer): number | undefined {
  const stored = header.readUInt16BE(16);
  const pageSize = stored === 1 ? MAX_PAGE : stored;
  const isPageSize = pageSize >= MIN_PAGE && (pageSize & (pageSize - 1)) === 0;
  const pages = header.readUInt32BE(28);
  // Very old releases of SQLite write neither the page count nor the change counter that it is valid for.
  const isCurrent = pages > 0 && header.readUInt32BE(24) === header.readUInt32BE(92);
  return isPageSize && isCurrent ? pages * pageSize : undefined;
}

function assertDatabase(header: Buffer): void {
  const isOne = header.length >= DATABASE_HEADER && header.subarray(0, DATABASE_MAGIC.length).equals(DATABASE_MAGIC);
  if (!isOne) throw new Unsound('it does not start with the header of a SQLite database');
}

const unsized = () => new Unsound('it does not announce its unpacked size: unpack it yourself and use that file');

/** The unpacked size in bytes, from the database header or else from the frame. @throws {Unsound} */
function unpackedSize(start: Buffer, header: Buffer): number {
  assertDatabase(header);
  const size = databaseSize(header) ?? frameSize(start);
  if (size === undefined) throw unsized();
  return size;
}

/** Decodes the header of the database from the first bytes of a zstd stream. @throws {Unsound} */
async function unpackHeader(start: Buffer): Promise<Buffer> {
  const unpacking = zlib.createZstdDecompress();
  unpacking.end(start);
  let header = Buffer.alloc(0);
  try {
    for await (const chunk of unpacking) {
      header = Buffer.concat([header, chunk as Buffer]).subarray(0, DATABASE_HEADER);
      if (header.length === DATABASE_HEADER) return header;
    }
    return header;
  } catch (error) {
    // The input is cut off, so decoding may fail in the end; the first block is complete.
    if (header.length === DATABASE_HEADER) return header;
    throw new Unsound(`it cannot be decompressed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * The unpacked size of a file in bytes; its own size if it is not compressed.
 * @throws {Unsound} for a zstd stream that holds no database or does not announce its size
 */
export async function announcedSize(path: string, size: number): Promise<number> {
  const start = await firstBytes(path, FIRST_BLOCK);
  return isZstd(start) ? unpackedSize(start, await unpackHeader(start)) : size;
}

/** Passes an unpacked database through; fails if it is not a database or exceeds its announced size. */
export class Bounded extends Transform {
  readonly #start: Buffer;
  #header: Buffer = Buffer.alloc(0);
  #limit: number | undefined;
  #passed = 0;

  /**
   * @param start the first bytes of the file
   * @param size the size of an uncompressed file, in bytes
   */
  constructor(start: Buffer, size?: number) {
    super();
    this.#start = start;
    this.#limit = size;
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: (error: Error | null, data?: Buffer) => void): void {
    this.#passed += chunk.length;
    try {
      this.#look(chunk);
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null, chunk);
  }

  override _flush(done: (error?: Error | null) => void): void {
    done(
      this.#header.length < DATABASE_HEADER
        ? new Unsound('it does not start with the header of a SQLite database')
        : null,
    );
  }

  #look(chunk: Buffer): void {
    if (this.#header.length < DATABASE_HEADER) {
      this.#header = Buffer.concat([this.#header, chunk.subarray(0, DATABASE_HEADER - this.#header.length)]);
      if (this.#header.length < DATABASE_HEADER) return;
      assertDatabase(this.#header);
      this.#limit ??= unpackedSize(this.#start, this.#header);
    }
    if (this.#passed > (this.#limit ?? 0)) throw new Unsound(`it is longer than the ${this.#limit} bytes it announces`);
  }
}

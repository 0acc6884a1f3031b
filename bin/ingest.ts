/**
 * Cataloguing a real folder: every regular file below it with its size, date and CRC-32, in the order of the walk and in
 * memory that does not grow with the folder. What cannot be read, and what is wrong with a file, is collected, and the rest
 * is catalogued.
 */
import { basename } from 'node:path';
import type { DatabaseManager } from '../lib/index.ts';
import { type CatalogueFiles, catalogueFiles } from './catalogue-files.ts';
import { mapInOrder, take } from './iterate.ts';
import { hasForms } from './names.ts';
import { readContent } from './read-content.ts';
import { type Found, type Twin, type Unreadable, walk } from './walk.ts';

export interface IngestRequest {
  readonly clientId: string;
  /** The absolute path of the folder. */
  readonly folder: string;
  /** The file of the database that is open. */
  readonly database: string;
  /** Stops the walk; what is under way is saved, and the result says what was. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: IngestProgress) => void) | undefined;
}

/** How far it has come. */
export interface IngestProgress {
  /** Files that are done, those that failed included. */
  readonly files: number;
  /** Bytes that were read. */
  readonly bytes: number;
}

/** What is to be said of a file or folder. */
interface Remark {
  readonly path: string;
  readonly message: string;
}

export interface IngestResult {
  /** Files of the folder that the catalogue now holds as they are: `saved` and `unchanged` together. */
  readonly files: number;
  /** Files that got a version. */
  readonly saved: number;
  readonly unchanged: number;
  /** Files and folders that could not be catalogued, and why. */
  readonly failed: readonly Remark[];
  /** What is not as it should be with what was catalogued. */
  readonly warnings: readonly Remark[];
  readonly skipped: { readonly symlinks: number; readonly special: number; readonly catalogue: number };
  /** The size of `files`. */
  readonly bytes: number;
}

const READERS = 16; // files read at once: enough to keep a disk busy
const CHUNK = 10_000; // files to a call of saveMany: their paths are remembered, to name those that fail

type Row = Parameters<DatabaseManager['files']['save']>[0];

/** What became of something found: a row to save with what is wrong with it, or a reason why there is none. */
type Outcome =
  | { readonly kind: 'row'; readonly row: Row; readonly warnings: readonly string[] }
  | { readonly kind: 'symlink' | 'special' | 'catalogue' | 'stopped' }
  | Twin
  | Unreadable;

/** What the result will say, and how much was read, while it grows. */
interface Tally {
  saved: number;
  unchanged: number;
  bytes: number;
  readonly progress: { files: number; bytes: number };
  readonly failed: Remark[];
  readonly warnings: Remark[];
  readonly skipped: { symlinks: number; special: number; catalogue: number };
}

const newTally = (): Tally => ({
  saved: 0,
  unchanged: 0,
  bytes: 0,
  progress: { files: 0, bytes: 0 },
  failed: [],
  warnings: [],
  skipped: { symlinks: 0, special: 0, catalogue: 0 },
});

const SKIPPED = { symlink: 'symlinks', special: 'special', catalogue: 'catalogue' } as const;

const rowOf = (clientId: string, { path, relative }: Found) => ({
  clientId,
  fileName: basename(path),
  pathName: path,
  originalPath: relative,
});

const TWIN_BESIDE = 'it differs from a name beside it by the Unicode form alone (NFC or NFD); both are catalogued';
const TWIN_KNOWN = 'the catalogue already has a file of this name in another Unicode form (NFC or NFD); both are kept';

/** Whether the catalogue does not have a file, but one whose name and path are canonically equal. */
async function hasKnownTwin(files: DatabaseManager['files'], clientId: string, found: Found): Promise<boolean> {
  if (found.hasTwin || !hasForms(found.relative)) return false;
  const known = await files.find(clientId, basename(found.path), found.relative);
  return known !== null && known.originalPath !== found.relative;
}

/** What reading needs. */
interface Reading {
  readonly files: DatabaseManager['files'];
  readonly own: CatalogueFiles;
  readonly tally: Tally;
  readonly request: IngestRequest;
}

/** Reads what the walk came by. */
async function read(found: Found | Twin | Unreadable, { files, own, tally, request }: Reading): Promise<Outcome> {
  const { clientId, signal, onProgress } = request;
  if (found.kind === 'unreadable' || found.kind === 'twin') return found;
  if (found.kind !== 'file') return { kind: found.kind };
  if (own.hasPath(found.relative)) return { kind: 'catalogue' };
  const onRead = (bytes: number) => {
    tally.progress.bytes += bytes;
    onProgress?.(tally.progress);
  };
  const content = await readContent(found.path, { isCatalogue: own.hasInode, signal, onRead });
  if (content.kind === 'unreadable') return { ...content, path: found.path };
  if (content.kind !== 'content') return content;
  const { size, modified, crc } = content;
  const row = { ...rowOf(clientId, found), fileSize: size, modificationDate: modified, crc };
  const isTwin = await hasKnownTwin(files, clientId, found);
  return { kind: 'row', row, warnings: [...content.warnings, ...(isTwin ? [TWIN_KNOWN] : [])] };
}

/** Keeps what is to be said of an outcome. */
function remark(outcome: Outcome, { failed, warnings, skipped }: Tally): void {
  switch (outcome.kind) {
    case 'row':
      for (const message of outcome.warnings) warnings.push({ path: outcome.row.pathName, message });
      break;
    case 'twin':
      warnings.push({ path: outcome.path, message: TWIN_BESIDE });
      break;
    case 'unreadable':
      failed.push({ path: outcome.path, message: outcome.message });
      break;
    case 'stopped':
      break;
    default:
      skipped[SKIPPED[outcome.kind]] += 1;
  }
}

/** The rows of the folder; what gives no row goes to the tally. */
async function* rowsOf(reading: Reading): AsyncGenerator<Row, void, undefined> {
  const { folder, signal } = reading.request;
  for await (const outcome of mapInOrder(walk(folder, signal), READERS, (found) => read(found, reading))) {
    remark(outcome, reading.tally);
    if (outcome.kind === 'row') yield outcome.row;
  }
}

/** Saves the next rows; false when these were the last. */
async function saveChunk(
  rows: AsyncIterator<Row>,
  files: DatabaseManager['files'],
  tally: Tally,
  onProgress: IngestRequest['onProgress'],
): Promise<boolean> {
  const taken: Row[] = [];
  const done = tally.saved + tally.unchanged;
  const result = await files.saveMany(remember(take(rows, CHUNK), taken), {
    ifChanged: true,
    onProgress: ({ saved, unchanged, failed }) => {
      tally.progress.files = done + saved + unchanged + failed + tally.failed.length;
      onProgress?.(tally.progress);
    },
  });
  tally.saved += result.saved;
  tally.unchanged += result.unchanged;
  const sizes = taken.map(({ fileSize }) => fileSize);
  for (const { index, error } of result.failed) {
    sizes[index] = 0;
    tally.failed.push({ path: taken[index]?.pathName ?? '', message: `${error.message}. ${error.hint}` });
  }
  tally.bytes += sizes.reduce((sum, size) => sum + size, 0);
  return taken.length === CHUNK;
}

async function* remember<Item>(items: AsyncIterable<Item>, into: Item[]): AsyncGenerator<Item, void, undefined> {
  for await (const item of items) {
    into.push(item);
    yield item;
  }
}

/**
 * Catalogues a folder for a client. A file that is as it was the last time gets no version.
 * @throws {DatabaseError} when the database cannot go on; what was saved stays saved
 */
export async function ingest({ files }: DatabaseManager, request: IngestRequest): Promise<IngestResult> {
  const own = await catalogueFiles(request.database, request.folder);
  const tally = newTally();
  const rows = rowsOf({ files, own, tally, request });
  try {
    while (await saveChunk(rows, files, tally, request.onProgress));
  } finally {
    await rows.return();
  }
  const { saved, unchanged, failed, warnings, skipped, bytes } = tally;
  return { files: saved + unchanged, saved, unchanged, failed, warnings, skipped, bytes };
}

/**
 * Catalogues a folder: every regular file below it with its size, date and CRC-32, in the order of the walk and in
 * constant memory. Collects problems and unreadable files, and catalogues the rest.
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
  /** Stops the walk; files in progress are saved, and the result counts what was saved. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: IngestProgress) => void) | undefined;
}

/** The progress. */
export interface IngestProgress {
  /** Finished files, including failed ones. */
  readonly files: number;
  /** Bytes read. */
  readonly bytes: number;
}

/** A message about a file or folder. */
interface Remark {
  readonly path: string;
  readonly message: string;
}

export interface IngestResult {
  /** Files of the folder that the catalogue now holds: `saved` plus `unchanged`. */
  readonly files: number;
  /** Files that got a version. */
  readonly saved: number;
  readonly unchanged: number;
  /** Files and folders that could not be catalogued, and why. */
  readonly failed: readonly Remark[];
  /** Warnings about catalogued files. */
  readonly warnings: readonly Remark[];
  readonly skipped: { readonly symlinks: number; readonly special: number; readonly catalogue: number };
  /** The size of `files`. */
  readonly bytes: number;
}

const READERS = 16; // files read at once: enough to keep a disk busy
const CHUNK = 10_000; // files per call of saveMany, whose paths are kept to name failures

type Row = Parameters<DatabaseManager['files']['save']>[0];

/** The outcome of an entry: a row to save with its warnings, or the reason why there is none. */
type Outcome =
  | { readonly kind: 'row'; readonly row: Row; readonly warnings: readonly string[] }
  | { readonly kind: 'symlink' | 'special' | 'catalogue' | 'stopped' }
  | Twin
  | Unreadable;

/** The growing result. */
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

const TWIN_BESIDE = 'another name in the folder differs only in its Unicode form (NFC or NFD); both are catalogued';
const TWIN_KNOWN = 'the catalogue already has this name in another Unicode form (NFC or NFD); both are kept';

/** Whether the catalogue has no such file, but one whose name and path are canonically equal. */
async function hasKnownTwin(files: DatabaseManager['files'], clientId: string, found: Found): Promise<boolean> {
  if (found.hasTwin || !hasForms(found.relative)) return false;
  const known = await files.find(clientId, basename(found.path), found.relative);
  return known !== null && known.originalPath !== found.relative;
}

/** The settings for reading. */
interface Reading {
  readonly files: DatabaseManager['files'];
  readonly own: CatalogueFiles;
  readonly tally: Tally;
  readonly request: IngestRequest;
}

/** Reads an entry of the walk. */
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

/** Records the messages of an outcome. */
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

/** The rows of the folder; the tally counts entries without a row. */
async function* rowsOf(reading: Reading): AsyncGenerator<Row, void, undefined> {
  const { folder, signal } = reading.request;
  for await (const outcome of mapInOrder(walk(folder, signal), READERS, (found) => read(found, reading))) {
    remark(outcome, reading.tally);
    if (outcome.kind === 'row') yield outcome.row;
  }
}

/** Saves the next rows; false if these were the last. */
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
 * Catalogues a folder for a client. An unchanged file gets no version.
 * @throws {DatabaseError} if the database fails; saved files stay saved
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

/** `db.files`: what the server has received, each file with its current version. */
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkBoolean, checkObject, checkSignal, checkText, optional, refuse } from '../validation.ts';
import {
  checkCrc,
  checkFile,
  checkFileName,
  checkOriginalPath,
  checkSize,
  type FileInput,
  type SaveOptions,
} from '../values/file-input.ts';
import { checkId, type IdInput } from '../values/ids.ts';
import { checkPage, cutPage, everyItem, type PageOptions } from '../values/pages.ts';
import { deleteFile, recordFailure, verifyFile } from './file-changes.ts';
import { countFiles, findFile, getFile, listFiles, listFilesOfClient, totalFileBytes } from './file-procedures.ts';
import type { CatalogFile } from './file-rows.ts';
import type { Deletion } from './freed-paths.ts';
import { type SaveResult, type Stored, saveBatch, saveFile } from './save-file.ts';
import { type SaveManyResult, type SaveProgress, saveEach } from './save-many.ts';

/** A page of files. */
export interface FilePage {
  readonly files: CatalogFile[];
  readonly nextCursor: string | null;
}

/** Options for saving a stream of files. */
export interface SaveManyOptions extends CallOptions {
  /** As for `save`: add no version if the file has not changed. Default false. */
  readonly ifChanged?: boolean | undefined;
  /** Called every few hundred rows and at the end. */
  readonly onProgress?: ((progress: SaveProgress) => void) | undefined;
}

/** A failed transfer. */
export interface FailureInput {
  readonly clientId: IdInput;
  readonly fileName: string;
  /** Bytes received. Default 0. */
  readonly bytes?: number | null | undefined;
  /** At most 1,000 characters. */
  readonly reason?: string | null | undefined;
}

/** Options of a verification. */
export interface FileVerifyOptions extends CallOptions {
  /** CRC-32 of the content, 0 to 2^32-1. */
  readonly crc?: number | null | undefined;
}

/** The files of a stream. */
type FileRows = Iterable<FileInput> | AsyncIterable<FileInput>;

/** `db.files`: what the server has received, each file with its current version. */
export interface Files {
  /**
   * Stores a file, or a new version of it, in one transaction with its quota, activity and statistics.
   * @throws {ValidationError} for a bad field
   * @throws {NotFoundError} when the client does not exist
   * @throws {QuotaExceededError} if the file does not fit; nothing is written then
   * @throws {ConflictError} if the id belongs to another file, or the operationId was used for another file
   * @example
   * ```ts
   * const { file, version, quota } = await db.files.save({
   *   clientId,
   *   fileName: 'report.pdf',
   *   originalPath: 'C:\\Users\\Ada\\report.pdf',
   *   pathName: '/srv/contents/7f3a',
   *   fileSize: 48_213,
   * });
   * console.log(`${file.fileName} has version ${version}; the client uses ${quota.usedBytes} bytes`);
   * ```
   */
  save(file: FileInput, options?: SaveOptions & CallOptions): Promise<SaveResult>;

  /**
   * Stores a stream of files in the order given. A row that cannot be saved is reported in `failed` and does not stop
   * the others.
   * @throws what the source throws, or the signal's reason; earlier rows stay saved
   * @example
   * ```ts
   * const rows = ['a.txt', 'b.txt'].map((fileName) => ({
   *   clientId,
   *   fileName,
   *   pathName: `/srv/contents/${fileName}`,
   *   fileSize: 1_024,
   * }));
   * const { saved, unchanged, failed } = await db.files.saveMany(rows, { ifChanged: true });
   * for (const { index, error } of failed) console.error(`row ${index}: ${error.message}`);
   * console.log(`${saved} saved, ${unchanged} unchanged`);
   * ```
   */
  saveMany(files: FileRows, options?: SaveManyOptions): Promise<SaveManyResult>;

  /** The file with this id, or null. */
  get(id: IdInput, options?: CallOptions): Promise<CatalogFile | null>;

  /** The client's file with this name and path, or null. */
  find(
    clientId: IdInput,
    fileName: string,
    originalPath?: string | null,
    options?: CallOptions,
  ): Promise<CatalogFile | null>;

  /** A page of a client's files, ordered by name and original path. */
  forClient(clientId: IdInput, page?: PageOptions): Promise<FilePage>;

  /** Every file of a client; fetches a page at a time. */
  forClientAll(clientId: IdInput, options?: CallOptions): AsyncGenerator<CatalogFile, void, undefined>;

  /** A page of all files, ordered by id, which is the order of first saves. */
  list(page?: PageOptions): Promise<FilePage>;

  /** Every file; fetches a page at a time. */
  listAll(options?: CallOptions): AsyncGenerator<CatalogFile, void, undefined>;

  /**
   * Marks the current version verified, and stores the CRC if none is stored yet.
   * @throws {NotFoundError} when the file does not exist
   * @throws {DatabaseError} CATALOG_CHECKSUM_MISMATCH if the stored CRC differs; nothing is changed then
   */
  verify(id: IdInput, options?: FileVerifyOptions): Promise<CatalogFile>;

  /**
   * Counts a failed transfer in the day's statistics and the client's activity.
   * @throws {NotFoundError} when the client does not exist
   */
  recordFailure(failure: FailureInput, options?: CallOptions): Promise<void>;

  /**
   * Removes a file with all its versions.
   * @returns the bytes that were removed, and the contents that no remaining version names
   * @throws {NotFoundError} when the file does not exist
   */
  delete(id: IdInput, options?: CallOptions): Promise<Deletion>;

  /** The number of files. */
  count(options?: CallOptions): Promise<number>;

  /** The bytes of the current versions of all files together. */
  totalBytes(options?: CallOptions): Promise<number>;
}

const MAX_REASON = 1_000;
const FAILURE_KEYS = new Set(['clientId', 'fileName', 'bytes', 'reason']);
const VERIFY_KEYS = new Set(['crc', 'signal']);
const LIST = 'files.list';
const FOR_CLIENT = 'files.forClient';
const MANY_KEYS = new Set(['ifChanged', 'onProgress', 'signal']);

function checkRows(rows: unknown): FileRows {
  const isGood = typeof rows === 'object' && rows !== null && (Symbol.iterator in rows || Symbol.asyncIterator in rows);
  return isGood ? (rows as FileRows) : refuse('files', rows, 'an iterable or async iterable of files');
}

function checkManyOptions(options: SaveManyOptions): Required<SaveManyOptions> {
  const { ifChanged, onProgress, signal } = checkObject(options, 'options', MANY_KEYS);
  if (onProgress !== undefined && typeof onProgress !== 'function') refuse('onProgress', onProgress, 'a function');
  return {
    ifChanged: optional(ifChanged, (value) => checkBoolean(value, 'ifChanged')) ?? false,
    onProgress: onProgress as SaveManyOptions['onProgress'],
    signal: checkSignal(signal),
  };
}

const checkIdentity = (clientId: unknown, fileName: unknown, originalPath: unknown) => ({
  clientId: checkId(clientId, 'clientId'),
  fileName: checkFileName(fileName),
  originalPath: checkOriginalPath(originalPath),
});

function checkFailure(failure: FailureInput) {
  const given = checkObject(failure, 'failure', FAILURE_KEYS);
  return {
    clientId: checkId(given['clientId'], 'clientId'),
    fileName: checkFileName(given['fileName']),
    bytes: optional(given['bytes'], (value) => checkSize(value, 'bytes')) ?? 0,
    reason: optional(given['reason'], (value) => checkText(value, 'reason', { min: 0, max: MAX_REASON })),
  };
}

/**
 * Builds `db.files`; `onSaved` is called after each commit with what was stored.
 * @internal
 */
export function filesOf(executor: Executor, onSaved: (stored: Stored) => void): Files {
  const stored = async <Outcome extends Stored>(saved: Promise<Outcome>): Promise<Outcome> => {
    const outcome = await saved;
    onSaved(outcome);
    return outcome;
  };

  const list: Files['list'] = async (page = {}) => {
    const request = checkPage(page, LIST, 1);
    const found = await executor.run(listFiles, request, { signal: page.signal });
    const { rows, nextCursor } = cutPage(found, request.limit, LIST, ({ id }) => [id]);
    return { files: rows, nextCursor };
  };

  const forClient: Files['forClient'] = async (clientId, page = {}) => {
    const request = { clientId: checkId(clientId, 'clientId'), ...checkPage(page, FOR_CLIENT, 3) };
    const found = await executor.run(listFilesOfClient, request, { signal: page.signal });
    const keysOf = ({ fileName, originalPath, id }: CatalogFile) => [fileName, originalPath ?? '', id];
    const { rows, nextCursor } = cutPage(found, request.limit, FOR_CLIENT, keysOf);
    return { files: rows, nextCursor };
  };

  const everyFile = (fetch: (page: PageOptions) => Promise<FilePage>, options: CallOptions | undefined) =>
    everyItem(async (page) => {
      const { files: items, nextCursor } = await fetch(page);
      return { items, nextCursor };
    }, options);

  return {
    async save(file, options = {}) {
      const input = checkFile(file, options);
      const { result } = await stored(executor.run(saveFile, input, { signal: checkSignal(options.signal) }));
      return result;
    },

    async saveMany(rows, options = {}) {
      const { ifChanged, onProgress, signal } = checkManyOptions(options);
      return saveEach({
        rows: checkRows(rows),
        check: (file) => checkFile(file, { ifChanged }),
        saveBatch: (files) => stored(executor.run(saveBatch, files)),
        saveOne: (file) => stored(executor.run(saveFile, file)),
        onProgress,
        signal,
      });
    },

    get: async (id, options) => executor.run(getFile, checkId(id, 'id'), options),

    find: async (clientId, fileName, originalPath, options) =>
      executor.run(findFile, checkIdentity(clientId, fileName, originalPath), options),

    forClient,
    forClientAll: (clientId, options) => everyFile((page) => forClient(clientId, page), options),
    list,
    listAll: (options) => everyFile(list, options),

    async verify(id, options = {}) {
      const { crc, signal } = checkObject(options, 'options', VERIFY_KEYS);
      const input = { id: checkId(id, 'id'), crc: optional(crc, checkCrc) };
      return executor.run(verifyFile, input, { signal: checkSignal(signal) });
    },

    recordFailure: async (failure, options) => executor.run(recordFailure, checkFailure(failure), options),
    delete: async (id, options) => executor.run(deleteFile, checkId(id, 'id'), options),
    count: async (options) => executor.run(countFiles, null, options),
    totalBytes: async (options) => executor.run(totalFileBytes, null, options),
  };
}

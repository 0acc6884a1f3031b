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

/** How a stream of files is saved. */
export interface SaveManyOptions extends CallOptions {
  readonly ifChanged?: boolean | undefined;
  /** Called every few hundred rows and at the end. */
  readonly onProgress?: ((progress: SaveProgress) => void) | undefined;
}

/** A transfer that did not succeed. */
export interface FailureInput {
  readonly clientId: IdInput;
  readonly fileName: string;
  /** Bytes that had arrived. Default 0. */
  readonly bytes?: number | null | undefined;
  /** At most 1,000 characters. */
  readonly reason?: string | null | undefined;
}

const MAX_REASON = 1_000;
const FAILURE_KEYS = new Set(['clientId', 'fileName', 'bytes', 'reason']);
const VERIFY_KEYS = new Set(['crc', 'signal']);
const LIST = 'files.list';
const FOR_CLIENT = 'files.forClient';
const MANY_KEYS = new Set(['ifChanged', 'onProgress', 'signal']);

type FileRows = Iterable<FileInput> | AsyncIterable<FileInput>;

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

/** The calls of `db.files`; `onSaved` hears of what was stored once it is committed. */
export function createFiles(executor: Executor, onSaved: (stored: Stored) => void) {
  const stored = async <Outcome extends Stored>(saved: Promise<Outcome>): Promise<Outcome> => {
    const outcome = await saved;
    onSaved(outcome);
    return outcome;
  };

  const save = async (file: FileInput, options: SaveOptions & CallOptions = {}): Promise<SaveResult> => {
    const input = checkFile(file, options);
    const { result } = await stored(executor.run(saveFile, input, { signal: checkSignal(options.signal) }));
    return result;
  };

  const list = async (page: PageOptions = {}): Promise<FilePage> => {
    const request = checkPage(page, LIST, 1);
    const found = await executor.run(listFiles, request, { signal: page.signal });
    const { rows, nextCursor } = cutPage(found, request.limit, LIST, ({ id }) => [id]);
    return { files: rows, nextCursor };
  };

  const forClient = async (clientId: IdInput, page: PageOptions = {}): Promise<FilePage> => {
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
    /**
     * Stores a file, or a new version of it, in one transaction with its quota, activity and statistics.
     * @throws {ValidationError} for a bad field
     * @throws {NotFoundError} when the client does not exist
     * @throws {QuotaExceededError} when it does not fit; nothing is written then
     * @throws {ConflictError} when the id belongs to another file, or the operationId was used for one
     */
    save,

    /**
     * Stores a stream of files in the order given and goes on past bad rows.
     * @throws what the source throws, or the signal's reason; what was saved stays saved
     */
    async saveMany(rows: FileRows, options: SaveManyOptions = {}): Promise<SaveManyResult> {
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

    /** The file of an id, or null. */
    async get(id: IdInput, options?: CallOptions): Promise<CatalogFile | null> {
      return executor.run(getFile, checkId(id, 'id'), options);
    },

    /** The file a client knows by this name and path, or null. */
    async find(
      clientId: IdInput,
      fileName: string,
      originalPath?: string | null,
      options?: CallOptions,
    ): Promise<CatalogFile | null> {
      const identity = {
        clientId: checkId(clientId, 'clientId'),
        fileName: checkFileName(fileName),
        originalPath: checkOriginalPath(originalPath),
      };
      return executor.run(findFile, identity, options);
    },

    /** A page of a client's files, ordered by name and original path. */
    forClient,

    /** Every file of a client, a page at a time. */
    forClientAll: (clientId: IdInput, options?: CallOptions): AsyncGenerator<CatalogFile, void, undefined> =>
      everyFile((page) => forClient(clientId, page), options),

    /** A page of all files, ordered by id: those with an id made here in the order they were first saved. */
    list,

    /** Every file, a page at a time. */
    listAll: (options?: CallOptions): AsyncGenerator<CatalogFile, void, undefined> => everyFile(list, options),

    /**
     * Marks the current version verified, and keeps a CRC that was not known.
     * @throws {NotFoundError} when the file does not exist
     * @throws {DatabaseError} CATALOG_CHECKSUM_MISMATCH when the CRC differs; nothing is changed then
     */
    async verify(id: IdInput, options: { readonly crc?: number | null } & CallOptions = {}): Promise<CatalogFile> {
      const { crc, signal } = checkObject(options, 'options', VERIFY_KEYS);
      const input = { id: checkId(id, 'id'), crc: optional(crc, checkCrc) };
      return executor.run(verifyFile, input, { signal: checkSignal(signal) });
    },

    /**
     * Counts a transfer that failed in the day's statistics and the client's activity.
     * @throws {NotFoundError} when the client does not exist
     */
    async recordFailure(failure: FailureInput, options?: CallOptions): Promise<void> {
      const given = checkObject(failure, 'failure', FAILURE_KEYS);
      const input = {
        clientId: checkId(given['clientId'], 'clientId'),
        fileName: checkFileName(given['fileName']),
        bytes: optional(given['bytes'], (value) => checkSize(value, 'bytes')) ?? 0,
        reason: optional(given['reason'], (value) => checkText(value, 'reason', { min: 0, max: MAX_REASON })),
      };
      await executor.run(recordFailure, input, options);
    },

    /**
     * Removes a file with every version of it.
     * @returns the bytes that went, and the contents that nothing names any more
     * @throws {NotFoundError} when the file does not exist
     */
    async delete(id: IdInput, options?: CallOptions): Promise<Deletion> {
      return executor.run(deleteFile, checkId(id, 'id'), options);
    },

    /** How many files there are. */
    async count(options?: CallOptions): Promise<number> {
      return executor.run(countFiles, null, options);
    },

    /** The bytes of every file's current version together: exact up to 2^53-1, beyond that the nearest number. */
    async totalBytes(options?: CallOptions): Promise<number> {
      return executor.run(totalFileBytes, null, options);
    },
  };
}

/** The calls of `db.files`. */
export type Files = ReturnType<typeof createFiles>;

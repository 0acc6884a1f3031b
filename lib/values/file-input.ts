/** Checks the files that callers pass and converts them to the form that the saving procedure expects. */

import { createRequire } from 'node:module';
import { checkBoolean, checkInteger, checkNumber, checkObject, checkText, isAbsent, optional } from '../validation.ts';
import { checkDate, type DateInput } from './dates.ts';
import { categoryOf, extensionOf } from './file-category.ts';
import { checkId, type IdInput } from './ids.ts';

type MimeTypes = typeof import('mime-types');

const require = createRequire(import.meta.url);
let loadedTypes: MimeTypes | undefined;

/** Loaded with the first file, because reading the whole registry would slow every opening by 10 ms. */
function mimeTypes(): MimeTypes {
  loadedTypes ??= require('mime-types') as MimeTypes;
  return loadedTypes;
}

/** A file to save. Omitted fields are null or derived from the name, never taken from the previous version. */
export interface FileInput {
  /** The id of a new file; an existing file keeps its own. */
  readonly id?: IdInput | null | undefined;
  readonly clientId: IdInput;
  /** 1 to 255 characters. */
  readonly fileName: string;
  /** The path of the content on the server; 1 to 32,767 characters. */
  readonly pathName: string;
  /** The path of the file on the client; identifies the file together with client and name. */
  readonly originalPath?: string | null | undefined;
  /** Bytes, 0 to 2^53-1. */
  readonly fileSize: number;
  readonly modificationDate?: DateInput | null | undefined;
  /** CRC-32, 0 to 2^32-1. */
  readonly crc?: number | null | undefined;
  readonly verified?: boolean | null | undefined;
  /** Derived from the name if left out. */
  readonly category?: string | null | undefined;
  /** Derived from the name if left out. */
  readonly mimeType?: string | null | undefined;
  /** At most 64 characters, such as a SHA-256 in hex. */
  readonly fileHash?: string | null | undefined;
  /** Milliseconds; rounded to whole ones. */
  readonly transferDuration?: number | null | undefined;
  /** Bytes per second; rounded to whole ones. */
  readonly transferSpeed?: number | null | undefined;
  /** 0 or more. */
  readonly compressionRatio?: number | null | undefined;
}

/** Options of a save. */
export interface SaveOptions {
  /** Add no version if the given size, modification date and CRC equal those of the current one. */
  readonly ifChanged?: boolean | undefined;
  /** 1 to 128 characters; repeating a call with the same id returns the first result and saves nothing. */
  readonly operationId?: string | null | undefined;
}

/** A checked file for the database. */
export interface FileToSave {
  readonly id: string | null;
  readonly clientId: string;
  readonly fileName: string;
  readonly pathName: string;
  readonly originalPath: string | null;
  readonly fileSize: number;
  readonly modificationDate: string | null;
  readonly crc: number | null;
  readonly verified: 0 | 1;
  /** Null to derive it: a custom category may claim the extension. */
  readonly category: string | null;
  readonly derivedCategory: string;
  readonly mimeType: string | null;
  readonly extension: string | null;
  readonly fileHash: string | null;
  readonly transferDuration: number | null;
  readonly transferSpeed: number | null;
  readonly compressionRatio: number | null;
  readonly ifChanged: boolean;
  readonly operationId: string | null;
}

const MAX_FILE_NAME = 255;
export const MAX_PATH = 32_767; // the longest path Windows has
export const MAX_CRC = 2 ** 32 - 1;
const MAX_CATEGORY = 50; // VARCHAR(50) in the schema
const MAX_MIME_TYPE = 100;
const MAX_HASH = 64;
const MAX_OPERATION_ID = 128;

const FILE_KEYS: ReadonlySet<string> = new Set([
  'id',
  'clientId',
  'fileName',
  'pathName',
  'originalPath',
  'fileSize',
  'modificationDate',
  'crc',
  'verified',
  'category',
  'mimeType',
  'fileHash',
  'transferDuration',
  'transferSpeed',
  'compressionRatio',
]);

const SAVE_KEYS = new Set(['ifChanged', 'operationId', 'signal']);

/** A path the server or a client names. */
const checkPath = (value: unknown, field: string): string => checkText(value, field, { max: MAX_PATH });

/** '' and null mean the same place: the identity of a file is (client, name, originalPath ?? ''). */
export const checkOriginalPath = (value: unknown): string | null =>
  optional(value, (given) => checkText(given, 'originalPath', { min: 0, max: MAX_PATH })) || null;

export const checkFileName = (value: unknown): string => checkText(value, 'fileName', { max: MAX_FILE_NAME });

/** The MIME type of an extension. The lookup would treat a bare name such as `zip` as an extension. */
export const mimeTypeOf = (extension: string | null): string | null =>
  extension === null ? null : mimeTypes().lookup(extension) || null;

/** A CRC-32. */
export const checkCrc = (value: unknown): number => checkInteger(value, 'crc', 0, MAX_CRC);

/** Bytes. */
export const checkSize = (value: unknown, field: string): number =>
  checkInteger(value, field, 0, Number.MAX_SAFE_INTEGER);

const checkRounded = (value: unknown, field: string) =>
  Math.round(checkNumber(value, field, 0, Number.MAX_SAFE_INTEGER));

/**
 * The checked file and its save options.
 * @throws {ValidationError} for the first unacceptable field
 */
export function checkFile(file: FileInput, options: SaveOptions = {}): FileToSave {
  const given = checkObject(file, 'file', FILE_KEYS);
  const { ifChanged, operationId } = checkObject(options, 'options', SAVE_KEYS);
  const fileName = checkFileName(given['fileName']);
  const extension = extensionOf(fileName);
  const short = (field: string, max: number) => optional(given[field], (value) => checkText(value, field, { max }));
  const mimeType = short('mimeType', MAX_MIME_TYPE) ?? mimeTypeOf(extension);
  return {
    id: optional(given['id'], (value) => checkId(value, 'id')),
    clientId: checkId(given['clientId'], 'clientId'),
    fileName,
    pathName: checkPath(given['pathName'], 'pathName'),
    originalPath: checkOriginalPath(given['originalPath']),
    fileSize: checkSize(given['fileSize'], 'fileSize'),
    modificationDate: optional(given['modificationDate'], (value) => checkDate(value, 'modificationDate')),
    crc: optional(given['crc'], checkCrc),
    verified: !isAbsent(given['verified']) && checkBoolean(given['verified'], 'verified') ? 1 : 0,
    category: short('category', MAX_CATEGORY),
    derivedCategory: categoryOf(extension),
    mimeType,
    extension,
    fileHash: short('fileHash', MAX_HASH),
    transferDuration: optional(given['transferDuration'], (value) => checkRounded(value, 'transferDuration')),
    transferSpeed: optional(given['transferSpeed'], (value) => checkRounded(value, 'transferSpeed')),
    compressionRatio: optional(given['compressionRatio'], (value) => checkNumber(value, 'compressionRatio', 0)),
    ifChanged: !isAbsent(ifChanged) && checkBoolean(ifChanged, 'ifChanged'),
    operationId: optional(operationId, (value) =>
      checkText(value, 'operationId', { max: MAX_OPERATION_ID, secret: true }),
    ),
  };
}

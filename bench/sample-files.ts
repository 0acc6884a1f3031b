/**
 * Files as a backup server receives them, made from a number: a repeated run saves the same files. Every optional fact
 * is given, so that a save does as much work as a save can.
 */
import { createHash } from 'node:crypto';
import type { FileInput } from '../lib/values/file-input.ts';

/** The number of clients that own the files. */
export const CLIENTS = 20;

const KINDS = ['docx', 'pdf', 'jpg', 'xlsx', 'txt', 'ts', 'json', 'mp4', 'zip', 'html', 'dat', 'png'] as const;
const NAMES = ['report', 'invoice', 'IMG', 'minutes', 'draft', 'index', 'backup', 'notes', 'Über', 'summary'] as const;
const FOLDERS = ['Documents', 'Pictures', 'Desktop', 'Projects', 'Downloads', 'Archive', 'Mail'] as const;
const FIRST_DATE = Date.UTC(2020, 0, 1);
const MINUTE = 60_000;
const FILES_IN_FOLDER = 40;
const SPREAD = 2_654_435_761; // odd, so that multiplying by it modulo 2^32 gives every number another place

const pick = <Value>(values: readonly Value[], seed: number): Value => values[seed % values.length] as Value;

/** The name of client `number`. */
export const clientName = (number: number): string => `workstation-${String(number).padStart(3, '0')}`;

// Names arrive in no order, as in a directory walk: each lands on another page of the indexes of names.
const scattered = (number: number): string => (Math.imul(number, SPREAD) >>> 0).toString(36);

/** File `number` of a catalogue with these clients; no two numbers make the same file. */
export function sampleFile(number: number, clientIds: readonly string[]): FileInput {
  const hash = createHash('sha256').update(String(number)).digest('hex');
  const fileName = `${pick(NAMES, number * 7)}-${scattered(number)}.${pick(KINDS, number * 5)}`;
  const folder = `${pick(FOLDERS, number * 3)}\\Team ${number % 17}\\${Math.floor(number / FILES_IN_FOLDER)}`;
  return {
    clientId: pick(clientIds, number),
    fileName,
    pathName: `store/${hash.slice(0, 2)}/${hash.slice(2, 34)}`,
    originalPath: `C:\\Users\\user ${number % 13}\\${folder}\\${fileName}`,
    fileSize: (number * 7919) % 5_000_000,
    modificationDate: new Date(FIRST_DATE + number * MINUTE).toISOString(),
    crc: Number.parseInt(hash.slice(0, 8), 16),
    verified: number % 3 === 0,
    fileHash: hash,
    transferDuration: 20 + (number % 900),
    transferSpeed: 1_000_000 + ((number * 31) % 9_000_000),
    compressionRatio: 1 + (number % 50) / 25,
  };
}

/** Files `from` to `from + count - 1`. */
export const sampleFiles = (from: number, count: number, clientIds: readonly string[]): FileInput[] =>
  Array.from({ length: count }, (_, offset) => sampleFile(from + offset, clientIds));

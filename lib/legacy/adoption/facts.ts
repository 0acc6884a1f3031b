/**
 * Corrects the facts in an old server's row: sizes and checksums within their bounds, dates in UTC, type and category
 * from the name.
 */
import { categoryOf, extensionOf } from '../../values/file-category.ts';
import { CONTENT_FACTS, VERSION_CONTENT } from '../../values/file-facts.ts';
import { mimeTypeOf } from '../../values/file-input.ts';
import type { LegacyDates } from '../dates.ts';
import { type StoredTransfer, type Transfer, transferOf } from '../split-transfer.ts';

/** A stored row of `files`; any column may hold anything. */
export interface LegacyRow extends StoredTransfer {
  readonly row: number;
  readonly id: Uint8Array | null;
  readonly hasId: 0 | 1;
  /** Whether it has stored versions. */
  readonly hasVersion: 0 | 1;
  readonly fileName: unknown;
  readonly category: unknown;
  readonly mimeType: unknown;
  readonly extension: unknown;
  readonly fileHash: unknown;
  readonly transferDuration: unknown;
  readonly transferSpeed: unknown;
  readonly compressionRatio: unknown;
  readonly currentVersion: number;
  readonly highestVersion: number;
}

/** The facts of a version: the columns that `files` and `file_versions` share. */
export interface Facts extends Transfer {
  readonly category: unknown;
  readonly mimeType: unknown;
  readonly extension: unknown;
  readonly fileHash: unknown;
  readonly transferDuration: unknown;
  readonly transferSpeed: unknown;
  readonly compressionRatio: unknown;
}

// By name, because adoption runs before later migrations add columns to the tables.
const OLD_FACTS: ReadonlySet<string> = new Set<keyof Facts>([
  'pathName',
  'fileSize',
  'modificationDate',
  'crc',
  'verified',
  'category',
  'mimeType',
  'extension',
  'fileHash',
  'transferDuration',
  'transferSpeed',
  'compressionRatio',
]);

const isOld = <Known extends { readonly name: string }>(
  fact: Known,
): fact is Extract<Known, { readonly name: keyof Facts }> => OLD_FACTS.has(fact.name);

/** The facts with columns in an old server's tables. */
export const OLD_CONTENT = CONTENT_FACTS.filter(isOld);

/** Those of them that `file_versions` has. */
export const OLD_VERSION_CONTENT = VERSION_CONTENT.filter(isOld);

const FACTS = OLD_CONTENT.map(({ name }) => name);

/** The column of `files` that holds each fact. */
export const FACT_COLUMNS = Object.fromEntries(OLD_CONTENT.map(({ name, files }) => [name, files])) as Readonly<
  Record<keyof Facts, string>
>;

const DEFAULT_CATEGORY = 'document'; // the schema's default for rows that were never derived

/** The type of a file from its name, unless the row has a better one. */
function typeOf({ fileName, category, mimeType, extension }: LegacyRow) {
  const name = typeof fileName === 'string' ? fileName : '';
  const derived = extensionOf(name);
  const isDefault = category === null || category === DEFAULT_CATEGORY;
  return {
    extension: extension || derived,
    mimeType: mimeType || mimeTypeOf(derived),
    category: isDefault ? categoryOf(derived) : category,
  };
}

/** The facts of a row; `derive` fills in type and category. */
export function factsOf(stored: LegacyRow, dates: LegacyDates, derive: boolean): Facts {
  const { category, mimeType, extension } = derive ? typeOf(stored) : stored;
  return {
    ...transferOf(stored, dates),
    category,
    mimeType,
    extension,
    fileHash: stored.fileHash,
    transferDuration: stored.transferDuration,
    transferSpeed: stored.transferSpeed,
    compressionRatio: stored.compressionRatio,
  };
}

const isEmpty = (value: unknown) => value === null || value === '';

/** The columns whose stored value is not in the facts and must be kept elsewhere. */
export function oddColumns(stored: LegacyRow, facts: Facts): string[] {
  const odd: string[] = [];
  if (facts.fileSize === null && !isEmpty(stored.fileSize)) odd.push(FACT_COLUMNS.fileSize);
  if (facts.modificationDate === null && !isEmpty(stored.modificationDate)) odd.push(FACT_COLUMNS.modificationDate);
  if (facts.crc === null && !isEmpty(stored.crc)) odd.push(FACT_COLUMNS.crc);
  if (stored.verified !== facts.verified && !isEmpty(stored.verified)) odd.push(FACT_COLUMNS.verified);
  return odd;
}

/** The combined facts of two rows of one transfer: the first row decides, the second fills gaps. */
export function mergeSplit(first: Facts, second: Facts): Facts {
  const merged = FACTS.map((fact) => [fact, first[fact] ?? second[fact]]);
  return { ...Object.fromEntries(merged), verified: 1 } as Facts;
}

/** The values of a row that are missing from the combined facts; null if none are. */
export function factsLeftOut(own: Facts, kept: Facts): string | null {
  const differing = FACTS.filter((fact) => fact !== 'verified' && own[fact] !== null && own[fact] !== kept[fact]);
  if (differing.length === 0) return null;
  return JSON.stringify(Object.fromEntries(differing.map((fact) => [FACT_COLUMNS[fact], own[fact]])));
}

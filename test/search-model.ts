/**
 * Search as it is promised, written as plainly as it can be: every file is looked at, and nothing is remembered. What
 * random catalogues are compared with.
 */
import type { CatalogFile, SearchFilter } from '../lib/index.ts';

/** A file as it is stored, with what a search may look at beyond what comes out. */
export type ModelFile = CatalogFile & { readonly clientName: string | null };

/** What a character and the marks above it become; each pair is applied once, in this order. Others stay as they are. */
const PAIRS: readonly (readonly [from: string, to: string])[] = [
  ...[...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'].map(
    (letter, place) => [letter, 'abcdefghijklmnopqrstuvwxyz'[place] ?? ''] as const,
  ),
  ['Ä', 'ä'],
  ['ß', 'ss'],
  ['ẞ', 'ss'],
  ['ﬁ', 'fi'],
  ['İ', 'i\u0307'],
  ['ı', 'i'],
  ['Σ', 'σ'],
  ['ς', 'σ'],
  ['\u212a', 'k'],
  ['𝒜', 'a'],
  ['𐐀', '𐐨'],
  ['\uff41', 'a'],
  ['a\u0308', 'ä'],
  ['e\u0301', 'é'],
  ['i\u0307', 'i'],
  ...[...'aȧbḃcċdḋeėfḟgġhḣmṁnṅoȯpṗrṙsṡtṫwẇxẋyẏzż'.matchAll(/(.)(.)/gu)].map(
    ([, letter, dotted]) => [`${letter}\u0307`, dotted ?? ''] as const,
  ),
];

// Beyond ASCII only what the table knows may come up, so that no test passes because the model knows too little.
const KNOWN = new Set(`${PAIRS.flat().join('')}äé\u0308\u0301日語本😀\ufffd\ufffe\uffff`);

/** A text without the differences that search passes over. */
function fold(text: string): string {
  const unknown = [...text].find((character) => character > '\u007f' && !KNOWN.has(character));
  if (unknown !== undefined) throw new Error(`the table of pairs does not know ${unknown}`);
  return text.replaceAll(/.[\u0301\u0307\u0308]*/gsu, (cluster) =>
    PAIRS.reduce((folded, [from, to]) => folded.replace(from, to), cluster),
  );
}

const extensionOf = (name: string) => /^.+\.([^./\\\s]+)$/su.exec(name)?.[1];

const day = (value: unknown, time: string) =>
  typeof value === 'string' && value.length === 10 ? `${value}${time}` : new Date(value as string).toISOString();

function passes(file: ModelFile, filter: SearchFilter): boolean {
  const { fileName, pathName, fileSize, modificationDate } = file;
  const { term, fileType, mimeType, category, clientId, clientName, dateFrom, dateTo, minSize, maxSize } = filter;
  const has = (text: string, part: string) => fold(text).includes(fold(part));
  const checks = [
    !term || has(fileName, term) || has(pathName, term),
    !fileType || extensionOf(fold(fileName)) === fold(fileType.replace(/^\./, '')),
    !mimeType || file.mimeType === mimeType,
    !category || file.category === category,
    !clientId || file.clientId === clientId,
    !clientName || (file.clientName !== null && has(file.clientName, clientName)),
    !dateFrom || (modificationDate !== null && modificationDate >= day(dateFrom, 'T00:00:00.000Z')),
    !dateTo || (modificationDate !== null && modificationDate <= day(dateTo, 'T23:59:59.999Z')),
    minSize === undefined || (fileSize !== null && fileSize >= Number(minSize)),
    maxSize === undefined || (fileSize !== null && fileSize <= Number(maxSize)),
    !filter.verifiedOnly || file.verified,
  ];
  return checks.every(Boolean);
}

const relevance = ({ fileName }: ModelFile, term: string) => {
  const at = fold(fileName).indexOf(fold(term));
  if (at === 0) return fold(fileName) === fold(term) ? 0 : 1;
  return at > 0 ? 2 : 3;
};

const compare = (a: unknown, b: unknown): number => {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)));
};

function keysOf(file: ModelFile, { term, sort = term ? 'relevance' : 'name' }: SearchFilter): unknown[] {
  if (sort === 'size') return [file.fileSize, file.id];
  if (sort === 'date') return [file.modificationDate, file.id];
  if (sort === 'relevance' && term) return [relevance(file, term), file.fileName, file.id];
  return [file.fileName, file.id];
}

/** The ids of all matches, in order. */
export function searchModel(files: readonly ModelFile[], filter: SearchFilter): string[] {
  const direction = filter.order === 'desc' ? -1 : 1;
  const matches = files
    .filter((file) => passes(file, filter))
    .map((file) => ({ id: file.id, keys: keysOf(file, filter) }));
  matches.sort((a, b) => {
    for (const [place, key] of a.keys.entries()) {
      const other = b.keys[place];
      if (key === null && other === null) continue;
      if (key === null || other === null) return key === null ? 1 : -1;
      const difference = compare(key, other) * direction;
      if (difference !== 0) return difference;
    }
    return 0;
  });
  return matches.map(({ id }) => id);
}

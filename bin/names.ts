/** Compares names as file systems and as people do. */

import { isUtf8 } from 'node:buffer';
import { distance } from 'fastest-levenshtein';
import { fold } from '../lib/index.ts';

const LONGEST_CHARACTER = 4; // bytes of UTF-8

/** The length of the character at an offset; undefined for invalid bytes. */
function characterAt(name: Buffer, place: number): number | undefined {
  for (let length = 1; length <= Math.min(LONGEST_CHARACTER, name.length - place); length += 1) {
    if (isUtf8(name.subarray(place, place + length))) return length;
  }
  return undefined;
}

/** Escapes a name that is not valid UTF-8: invalid bytes as `\xff`, backslashes doubled. */
export function escapeBytes(name: Buffer): string {
  let shown = '';
  for (let place = 0; place < name.length; ) {
    const length = characterAt(name, place) ?? 0;
    const text = name.toString('utf8', place, place + length);
    shown += length === 0 ? `\\x${name[place]?.toString(16)}` : text.replace('\\', '\\\\');
    place += length || 1;
  }
  return shown;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII, control characters included
const ASCII = /^[\u0000-\u007f]*$/;

/** The name in Unicode's composed form, which canonically equal names share. */
export const canonical = (name: string): string => (ASCII.test(name) ? name : name.normalize('NFC'));

/** Whether a name has another form that is canonically equal. */
export const hasForms = (name: string): boolean =>
  !ASCII.test(name) && (name.normalize('NFC') !== name || name.normalize('NFD') !== name);

/** The likely stored forms of a name: as given, composed (Linux, Windows), decomposed (macOS). */
export const formsOf = (name: string): string[] => [...new Set([name, name.normalize('NFC'), name.normalize('NFD')])];

/** A key shared by names that differ only in case, blanks or Unicode form. */
export const likeness = (name: string): string => fold(name).replace(/\s+/gu, '');

/** The known name that a mistyped one probably means: at most a third of the letters differ. */
export const nearest = (given: string, known: readonly string[]): string | undefined =>
  known
    .map((name) => ({ name, far: distance(given.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, far }) => far * 3 <= Math.max(name.length, given.length))
    .sort((a, b) => a.far - b.far)[0]?.name;

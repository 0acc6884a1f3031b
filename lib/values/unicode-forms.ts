/**
 * Names that are canonically equal: the same characters in Unicode's composed form (NFC, as Linux and Windows store what is
 * typed) and decomposed form (NFD, as macOS has stored it). They are different names, and different files, all the same.
 */

/** A name of a file and the path it was at, '' for none. */
export interface Spelling {
  readonly fileName: string;
  readonly originalPath: string;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII, control characters included
const ASCII = /^[\u0000-\u007f]*$/;

const FORMS = ['NFC', 'NFD'] as const;

/** The forms of a path; a folder and the file in it may have got their names on different systems. */
function formsOfPath(path: string): string[] {
  const end = Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1;
  const [folder, name] = [path.slice(0, end), path.slice(end)];
  return FORMS.flatMap((one) => FORMS.map((other) => folder.normalize(one) + name.normalize(other)));
}

/** What else a file may be called that is looked for by a spelling: likely ones first, without the spelling itself. */
export function otherSpellings({ fileName, originalPath }: Spelling): Spelling[] {
  if (ASCII.test(fileName) && ASCII.test(originalPath)) return [];
  const alike = FORMS.map((form) => ({
    fileName: fileName.normalize(form),
    originalPath: originalPath.normalize(form),
  }));
  const paths = [originalPath, ...formsOfPath(originalPath)];
  const names = [fileName, ...FORMS.map((form) => fileName.normalize(form))];
  const mixed = names.flatMap((name) => paths.map((path) => ({ fileName: name, originalPath: path })));
  const others = new Map([...alike, ...mixed].map((spelling) => [JSON.stringify(spelling), spelling]));
  others.delete(JSON.stringify({ fileName, originalPath }));
  return [...others.values()];
}

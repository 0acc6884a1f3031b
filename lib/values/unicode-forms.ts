/**
 * Names that are canonically equal: the same characters in Unicode's composed form (NFC, as Linux and Windows store
 * what is typed) and decomposed form (NFD, as macOS has stored it). They are still different names, and different
 * files.
 */

/** The name of a file and its original path; '' without one. */
export interface Spelling {
  readonly fileName: string;
  readonly originalPath: string;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII, control characters included
const ASCII = /^[\u0000-\u007f]*$/;

const FORMS = ['NFC', 'NFD'] as const;

/** The forms of a path; a folder and its file may have been named on different systems. */
function formsOfPath(path: string): string[] {
  const end = Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1;
  const [folder, name] = [path.slice(0, end), path.slice(end)];
  return FORMS.flatMap((one) => FORMS.map((other) => folder.normalize(one) + name.normalize(other)));
}

/** Other forms of a name to search for, likely ones first, without the name itself. */
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

/**
 * What a file's extension tells of its content. Where the MIME type is misleading for backups (`.ts` is an MPEG stream
 * to mime-db), the extension decides the category.
 */

/** The categories every catalogue has. */
export const CATEGORIES = ['document', 'image', 'video', 'audio', 'archive', 'code', 'data', 'other'] as const;

/** One of the categories every catalogue has. */
export type BuiltInCategory = (typeof CATEGORIES)[number];

const BY_CATEGORY: Readonly<Partial<Record<BuiltInCategory, string>>> = {
  document:
    'pdf doc docx docm dot dotx odt ott rtf txt md markdown rst tex xls xlsx xlsm ods ppt pptx odp epub mobi pages ' +
    'numbers key log eml msg ps djvu',
  archive: 'zip tar gz tgz bz2 tbz2 xz txz zst 7z rar lz lz4 lzma cab iso dmg jar war deb rpm apk whl br',
  code:
    'js mjs cjs jsx ts mts cts tsx py pyi rb php java kt kts scala c h cc cpp cxx hpp hh cs go rs swift m mm sh bash ' +
    'zsh fish ps1 bat cmd pl pm lua r jl sql html htm xhtml css scss sass less vue svelte dart ex exs erl hs ml clj ' +
    'asm s wasm gradle cmake make mk dockerfile tf graphql proto',
  data: 'json jsonl ndjson map csv tsv xml yaml yml toml ini cfg conf db sqlite sqlite3 mdb parquet avro dat bin bak',
};

const CATEGORY_OF: ReadonlyMap<string, BuiltInCategory> = new Map(
  CATEGORIES.flatMap((category) =>
    (BY_CATEGORY[category] ?? '').split(' ').map((extension): [string, BuiltInCategory] => [extension, category]),
  ),
);

const MEDIA = ['image', 'video', 'audio'] as const;

/** The last extension in lower case without its dot; null for none, as in `README` and `.profile`. */
export function extensionOf(fileName: string): string | null {
  const dot = fileName.lastIndexOf('.');
  if (dot <= 0 || dot === fileName.length - 1) return null;
  const extension = fileName.slice(dot + 1);
  return /[/\\\s]/.test(extension) ? null : extension.toLowerCase();
}

/** The built-in category of an extension and MIME type. */
export function categoryOf(extension: string | null, mimeType: string | null): BuiltInCategory {
  const byExtension = CATEGORY_OF.get(extension ?? '');
  if (byExtension !== undefined) return byExtension;
  const medium = MEDIA.find((name) => mimeType?.startsWith(`${name}/`));
  if (medium !== undefined) return medium;
  return mimeType?.startsWith('text/') ? 'document' : 'other';
}

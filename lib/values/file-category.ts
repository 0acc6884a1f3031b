/**
 * The category of a file by its extension alone, as people sort files; MIME types mislead here (mime-db takes `.ts` for
 * an MPEG stream).
 */

/** The categories every catalogue has. */
export const CATEGORIES = ['document', 'image', 'video', 'audio', 'archive', 'code', 'data', 'other'] as const;

/** One of the categories every catalogue has. */
export type BuiltInCategory = (typeof CATEGORIES)[number];

const BY_CATEGORY: Readonly<Partial<Record<BuiltInCategory, string>>> = {
  document:
    'pdf doc docx docm dot dotx odt ott rtf txt md markdown rst tex xls xlsx xlsm ods ppt pptx odp epub mobi pages ' +
    'numbers key log eml msg ps djvu ics vcf vtt srt',
  image:
    'jpg jpeg jpe jfif png gif bmp tif tiff webp svg svgz ico heic heif avif jxl psd ai eps raw cr2 cr3 nef arw dng orf ' +
    'rw2 tga pcx ppm pgm pbm pnm xcf',
  video: 'mp4 m4v mkv webm mov qt avi wmv flv f4v mpg mpeg mpe m2v m2ts 3gp 3g2 ogv vob asf rm rmvb',
  audio: 'mp3 m4a m4b aac wav wave flac ogg oga opus wma aif aiff aifc mid midi amr ape mka weba',
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

/** The last extension in lower case without its dot; null without one, as in `README` and `.profile`. */
export function extensionOf(fileName: string): string | null {
  const dot = fileName.lastIndexOf('.');
  if (dot <= 0 || dot === fileName.length - 1) return null;
  const extension = fileName.slice(dot + 1);
  return /[/\\\s]/.test(extension) ? null : extension.toLowerCase();
}

/** The built-in category of an extension; `other` if it is unknown or missing. */
export const categoryOf = (extension: string | null): BuiltInCategory => CATEGORY_OF.get(extension ?? '') ?? 'other';

/** Formats figures, dates and names for people. Machines use `--json`. */

const KIB = 1024;
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const NOTHING = '-';

/** `1.5 MiB`; `-` if unknown. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null) return NOTHING;
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return power === 0 ? `${bytes} B` : `${(bytes / KIB ** power).toFixed(1)} ${UNITS[power]}`;
}

// Bytes in a message of the library: `2048 bytes`, `2048 of 4096 bytes`, `5 reserved`, `from 1 to 2 bytes`.
const FIGURE = /\b(\d+)(?: bytes\b|(?= (?:of|to) \d+ bytes\b| reserved\b| are free\b))/g;

/** A message of the library with readable sizes. */
export const withReadableSizes = (message: string): string =>
  message.replace(FIGURE, (_, bytes: string) => formatBytes(Number(bytes)));

/** `24,213`. */
export const formatCount = (count: number | null): string =>
  count === null ? NOTHING : count.toLocaleString('en-US', { maximumFractionDigits: 1 });

/** `1 file`, `24,213 files`. */
export const formatNumberOf = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${count === 1 ? one : many}`;

/** `97.3 %` for a fraction between 0 and 1. */
export const formatPart = (part: number): string => `${(part * 100).toFixed(1)} %`;

/** `42 s`, `3 min`, `2 h 5 min`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const twoDigits = (value: number) => String(value).padStart(2, '0');

/** An instant in local time, `2025-08-05 18:20:11`. */
export function formatDate(iso: string | null): string {
  if (iso === null) return NOTHING;
  const date = new Date(iso);
  const day = [date.getFullYear(), twoDigits(date.getMonth() + 1), twoDigits(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':')}`;
}

/** CRC-32 as eight hex digits. */
export const formatCrc = (crc: number | null): string => (crc === null ? NOTHING : crc.toString(16).padStart(8, '0'));

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
// Control characters, line and paragraph separators, and characters that change the direction of text.
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A name on one line that can neither break the table nor control the terminal. */
export const printable = (text: string): string =>
  text.replace(UNPRINTABLE, (char) => {
    const code = char.charCodeAt(0).toString(16);
    return SHORT_ESCAPES[char] ?? (code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`);
  });

const SIZE = /^(\d+(?:\.\d+)?)\s*(?:([KMGTP])(?:iB?|B)?|B)?$/i;

/** Parses a size: `1048576`, `500M`, `1.5 GiB`; units are powers of 1024. Undefined if it is not a size. */
export function parseBytes(text: string): number | undefined {
  const [, amount, unit] = SIZE.exec(text.trim()) ?? [];
  if (amount === undefined) return undefined;
  const power = unit === undefined ? 0 : 'KMGTP'.indexOf(unit.toUpperCase()) + 1;
  const bytes = Math.round(Number(amount) * KIB ** power);
  return bytes < Number.MAX_SAFE_INTEGER ? bytes : undefined;
}

/**
 * The command line of a run: which suites, and how large. Every size is a parameter, because ratios on a small machine
 * need few rows and a million files need an evening.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/** How large a run is. */
export interface BenchSizes {
  /** Calls per round for the library; slow contestants make fewer. */
  readonly rows: number;
  /** Rounds that count; a warm-up round comes first. */
  readonly rounds: number;
  /** Files in the filled catalogue. */
  readonly files: number;
  /** Concurrent callers. */
  readonly callers: number;
  /** The most rounds that run while other processes disturb them, as a multiple of `rounds`. */
  readonly attempts: number;
}

/** A complete description of a run. */
export interface BenchArguments extends Omit<BenchSizes, 'files'> {
  /** Null: the number that each suite's target is for. */
  readonly files: number | null;
  readonly suites: readonly string[];
  readonly json: boolean;
  readonly help: boolean;
  /** A commit whose library is measured in alternation with this tree's; null measures this tree alone. */
  readonly beside: string | null;
  /** Where filled catalogues are kept from one run to the next; null keeps none. */
  readonly cache: string | null;
}

const DEFAULTS = { rows: 10_000, rounds: 5, files: null, callers: 64 } as const;
const ATTEMPTS = 3;
const QUICK = { rows: 2_000, rounds: 3, files: 5_000, callers: 64 } as const;

// A million files take minutes to make: every suite and every later run uses the same ones.
const CACHE = join(tmpdir(), 'backup-catalog-bench');

export const USAGE = `npm run bench -- [suite …] [options]

  --rows N      calls per round (${DEFAULTS.rows})
  --rounds N    rounds that count, after a warm-up round (${DEFAULTS.rounds})
  --files N     files in the filled catalogue (the number that each suite's target is for)
  --callers N   concurrent callers (${DEFAULTS.callers})
  --beside C    build commit C in a temporary folder, and measure it and this tree in alternating rounds
  --cache DIR   where to keep filled catalogues for the next run (${CACHE})
  --no-cache    make filled catalogues again, and keep none
  --quick       small sizes, to check that everything runs
  --json        print the figures as JSON on stdout
`;

function wholeNumber<Otherwise>(text: string | undefined, name: string, otherwise: Otherwise): number | Otherwise {
  if (text === undefined) return otherwise;
  const value = Number(text.replaceAll('_', ''));
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new RangeError(`--${name} takes a whole number above 0, not ${text}`);
}

/** @throws {TypeError} for an unknown option @throws {RangeError} for an invalid size */
export function readArguments(args: readonly string[]): BenchArguments {
  const size = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rows: size,
      rounds: size,
      files: size,
      callers: size,
      beside: size,
      cache: size,
      'no-cache': flag,
      quick: flag,
      json: flag,
      help: { ...flag, short: 'h' },
    },
  });
  const sizes = values.quick ? QUICK : DEFAULTS;
  return {
    suites: positionals,
    json: values.json,
    help: values.help,
    beside: values.beside ?? null,
    cache: values['no-cache'] ? null : (values.cache ?? CACHE),
    rows: wholeNumber(values.rows, 'rows', sizes.rows),
    rounds: wholeNumber(values.rounds, 'rounds', sizes.rounds),
    files: wholeNumber(values.files, 'files', sizes.files),
    callers: wholeNumber(values.callers, 'callers', sizes.callers),
    attempts: ATTEMPTS,
  };
}

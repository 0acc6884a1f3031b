/**
 * One round of one suite with one library, in this process alone: it reads what to run as JSON and prints the figures
 * as JSON. If the library cannot run the suite, it answers with the reason.
 */
import type { BenchSizes } from './arguments.ts';
import { Workplace } from './catalogue.ts';
import { loadLibrary } from './library.ts';
import type { Figure } from './report.ts';
import { SUITES } from './suites.ts';

/** What to run. */
export interface RoundOrder {
  readonly suite: string;
  /** The public module of the library. */
  readonly library: string;
  readonly sizes: BenchSizes;
  readonly folder: string;
  readonly cache: string;
}

/** The result. */
export type RoundAnswer = { readonly figures: readonly Figure[] } | { readonly error: string };

async function answer({ suite, library, sizes, ...place }: RoundOrder): Promise<RoundAnswer> {
  try {
    await using workplace = await Workplace.make({ ...place, library: await loadLibrary(new URL(library)) });
    return { figures: (await SUITES[suite]?.alone?.(sizes, workplace)) ?? [] };
  } catch (error) {
    return { error: String(error) };
  }
}

process.stdout.write(JSON.stringify(await answer(JSON.parse(process.argv[2] ?? '{}'))), () => process.exit());

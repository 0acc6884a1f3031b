/**
 * This tree beside a commit: both are built and measured in alternation. Each round is a separate process that runs the
 * benchmarks of this tree against the exports of one of the two packages.
 */
import type { BenchArguments, BenchSizes } from './arguments.ts';
import type { RoundAnswer, RoundOrder } from './beside-round.ts';
import { runChild } from './child-process.ts';
import { type Comparison, compare } from './comparison.ts';
import { type RoundFigures, takeTurns } from './measure.ts';
import { note } from './notes.ts';
import { type BuiltPackage, buildCommit, buildPresent } from './packages.ts';
import { chosenSuites } from './suites.ts';

const ROUND = new URL('./beside-round.ts', import.meta.url).pathname;

/** A library cannot run a suite, such as one that needs a call the commit does not have yet. */
class CannotRun extends Error {
  readonly library: BuiltPackage;

  constructor(library: BuiltPackage, reason: string) {
    super(`${library.name} cannot run it: ${reason}`);
    this.library = library;
  }
}

/** The names and units of the figures of one suite. */
interface Heading {
  readonly suite: string;
  readonly name: string;
  readonly unit: string;
}

/** Where rounds run. */
interface Surroundings {
  readonly folder: string;
  readonly cache: string;
}

/** Rounds of a suite with one library; `headings` keeps the names of its figures. */
function roundsOf(library: BuiltPackage, order: Omit<RoundOrder, 'library'>, headings: Map<string, Heading>) {
  const given = JSON.stringify({ ...order, library: library.url.href } satisfies RoundOrder);
  return async (): Promise<RoundFigures> => {
    const output = await runChild(process.execPath, ['--no-warnings', ROUND, given], order.folder);
    const answer = JSON.parse(output) as RoundAnswer;
    if ('error' in answer) throw new CannotRun(library, answer.error);
    for (const { suite, name, unit } of answer.figures) headings.set(`${suite}: ${name}`, { suite, name, unit });
    return Object.fromEntries(answer.figures.map(({ suite, name, median }) => [`${suite}: ${name}`, median]));
  };
}

/** One suite of both, in alternation. @throws {CannotRun} when one of them cannot run it */
async function compareSuite(
  suite: string,
  sizes: BenchSizes,
  [now, beside]: readonly [BuiltPackage, BuiltPackage],
  surroundings: Surroundings,
): Promise<Comparison[]> {
  // Each process runs one round that counts; this process judges, for both, whether others disturbed it.
  const order = { suite, sizes: { ...sizes, rounds: 1, attempts: 1 }, ...surroundings };
  const headings = new Map<string, Heading>();
  const { figures } = await takeTurns(
    { now: roundsOf(now, order, headings), beside: roundsOf(beside, order, headings) },
    sizes,
  );
  return [...headings].map(([key, heading]) =>
    compare({ ...heading, now: figures.now[key] ?? [], beside: figures.beside[key] ?? [] }),
  );
}

/** Both packages and their comparison. */
export interface BesideReport {
  readonly names: readonly [now: string, beside: string];
  readonly comparisons: readonly Comparison[];
}

/**
 * Measures the requested suites; it leaves out those that the commit cannot run, and a note says why.
 * @throws {TypeError} for a commit that does not exist
 */
export async function measureBeside(given: BenchArguments, commit: string, folder: string): Promise<BesideReport> {
  const suites = chosenSuites(given.suites);
  const beside = await buildCommit(commit, folder);
  const now = await buildPresent(folder);
  const surroundings = { folder, cache: given.cache ?? folder };
  const comparisons: Comparison[] = [];
  for (const [name, { alone, files }] of suites) {
    if (alone === null) {
      note(`${name}: left out, because it compares with other libraries`);
      continue;
    }
    note(`${name}, beside ${beside.name} …`);
    try {
      const sizes = { ...given, files: given.files ?? files };
      comparisons.push(...(await compareSuite(name, sizes, [now, beside], surroundings)));
    } catch (error) {
      if (!(error instanceof CannotRun) || error.library !== beside) throw error;
      note(`${name}: left out, because ${error.message}`);
    }
  }
  return { names: [now.name, beside.name], comparisons };
}

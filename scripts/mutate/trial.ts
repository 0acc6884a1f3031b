/** Tries mutants one at a time in each workspace: a mutant is noticed when a test fails, or does not end in time. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mutant } from './mutants.ts';
import { testsFor } from './rooms.ts';
import type { Workspace } from './workspace.ts';

/** The verdict on a mutant; one that the compiler refuses does not count. */
export interface Verdict {
  readonly mutant: Mutant;
  readonly fate: 'noticed' | 'not noticed' | 'refused by the compiler';
  /** The test that noticed it. */
  readonly test: string | undefined;
}

const LEAST_DEADLINE_MS = 30_000;
const FIRST_DEADLINE_MS = 600_000;
const TIMES_AS_LONG = 6; // a busy machine is slow, a hang has no end

/** Processes every item, one at a time in each workspace. */
async function inEach<Item>(
  spaces: readonly Workspace[],
  items: readonly Item[],
  use: (space: Workspace, item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const work = async (space: Workspace): Promise<void> => {
    const { value, done } = queue.next();
    if (done) return;
    await use(space, value);
    return work(space);
  };
  await Promise.all(spaces.map(work));
}

/**
 * How long each test takes without a mutation, in milliseconds.
 * @throws when one fails
 */
async function measure(spaces: readonly Workspace[], tests: readonly string[]): Promise<Map<string, number>> {
  const durations = new Map<string, number>();
  await inEach(spaces, tests, async (space, test) => {
    const begun = performance.now();
    const ending = await space.test(test, FIRST_DEADLINE_MS);
    if (ending !== 'passed') throw new Error(`test/${test}.test.ts ${ending} without any mutation`);
    durations.set(test, performance.now() - begun);
  });
  return durations;
}

async function firstToNotice(
  space: Workspace,
  tests: readonly string[],
  durations: ReadonlyMap<string, number>,
): Promise<string | undefined> {
  const [test, ...others] = tests;
  if (test === undefined) return undefined;
  const deadline = Math.max(LEAST_DEADLINE_MS, TIMES_AS_LONG * (durations.get(test) ?? 0));
  const ending = await space.test(test, deadline);
  return ending === 'passed' ? firstToNotice(space, others, durations) : test;
}

async function tryOne(
  space: Workspace,
  mutant: Mutant,
  tests: readonly string[],
  durations: ReadonlyMap<string, number>,
): Promise<Verdict> {
  const original = readFileSync(join(space.folder, mutant.file), 'utf8');
  space.write(mutant.file, mutant.source);
  try {
    if (!(await space.compiles(FIRST_DEADLINE_MS))) return { mutant, fate: 'refused by the compiler', test: undefined };
    const test = await firstToNotice(space, testsFor(mutant.file, tests), durations);
    return { mutant, fate: test === undefined ? 'not noticed' : 'noticed', test };
  } finally {
    space.write(mutant.file, original);
  }
}

/** Tries every mutant on the tests of its room; `onVerdict` receives each verdict. */
export async function tryAll(
  spaces: readonly Workspace[],
  mutants: readonly Mutant[],
  tests: readonly string[],
  onVerdict: (verdict: Verdict) => void,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const durations = await measure(spaces, tests);
  await inEach(spaces, mutants, async (space, mutant) => {
    const verdict = await tryOne(space, mutant, tests, durations);
    verdicts.push(verdict);
    onVerdict(verdict);
  });
  return verdicts;
}

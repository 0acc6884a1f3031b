/**
 * `npm run mutate -- <room> [--sample N] [--seed S] [--only TEXT] [--list]`: puts small faults into a room, one at a
 * time, and lists those that no test notices. Run it by hand: it takes minutes. See docs/RELIABILITY.md.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import equivalents from './mutate/equivalent.json' with { type: 'json' };
import { isEquivalent, type Mutant, mutantsOf, sampleOf } from './mutate/mutants.ts';
import { ROOM_NAMES, type Room, roomOf } from './mutate/rooms.ts';
import { tryAll, type Verdict } from './mutate/trial.ts';
import { Workspace } from './mutate/workspace.ts';

const WORKERS = 2;
const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');

const nameOf = ({ file, line, operator, before, after }: Mutant): string =>
  `${file}:${line} (${operator})\n    - ${before}\n    + ${after}`;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

function reportOf(verdicts: readonly Verdict[]): string {
  const fate = (wanted: Verdict['fate']) => verdicts.filter((verdict) => verdict.fate === wanted);
  const [noticed, missed, refused] = [fate('noticed'), fate('not noticed'), fate('refused by the compiler')];
  const counted = noticed.length + missed.length;
  const score = counted === 0 ? 'none' : `${((100 * noticed.length) / counted).toFixed(1)} %`;
  return [
    ...missed.map(({ mutant }) => `not noticed: ${nameOf(mutant)}`),
    `tried        ${counted}`,
    `noticed      ${noticed.length}`,
    `not noticed  ${missed.length}`,
    `refused      ${refused.length} by the compiler, not counted`,
    `score        ${score}`,
  ].join('\n');
}

async function tryRoom({ tests }: Room, mutants: readonly Mutant[]): Promise<void> {
  const spaces = Array.from({ length: WORKERS }, () => new Workspace(root));
  const removeAll = () => {
    for (const space of spaces) space.remove();
  };
  process.once('SIGINT', () => {
    removeAll();
    process.exit(130);
  });
  try {
    let done = 0;
    const verdicts = await tryAll(spaces, mutants, tests, ({ mutant, fate, test = '' }) => {
      done += 1;
      say(`${done}/${mutants.length} ${fate} ${test} ${mutant.file}:${mutant.line} ${mutant.operator}`);
    });
    process.stdout.write(`${reportOf(verdicts)}\n`);
  } finally {
    removeAll();
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      sample: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string', multiple: true, default: [''] },
      list: { type: 'boolean', default: false },
    },
  });
  const [name = ''] = positionals;
  const room = roomOf(name, root);
  const [sample, seed] = [Number(values.sample), Number(values.seed)];
  if (room === undefined || !Number.isInteger(sample) || !Number.isInteger(seed)) {
    say(`usage: npm run mutate -- <${ROOM_NAMES.join('|')}> [--sample N] [--seed S] [--only TEXT] [--list]`);
    process.exitCode = 2;
    return;
  }
  const all = mutantsOf(root, room.files);
  // Left out after the draw, so that a longer list does not change the sample of a seed.
  const drawn = sampleOf(all, sample, seed);
  const different = drawn.filter((mutant) => !isEquivalent(mutant, equivalents));
  const mutants = different.filter((mutant) => values.only.some((text) => nameOf(mutant).includes(text)));
  say(`${name}: ${all.length} mutants in ${room.files.length} files; sample ${sample}, seed ${seed}`);
  say(`${drawn.length - different.length} of the sample are equivalent: left out`);
  if (values.list) process.stdout.write(mutants.map((mutant) => `${nameOf(mutant)}\n`).join(''));
  else await tryRoom(room, mutants);
}

await main();

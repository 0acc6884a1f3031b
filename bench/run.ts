/**
 * `npm run bench`: runs the suites asked for one after the other, never side by side, and prints their figures. See
 * docs/BENCHMARKS.md for what each one means.
 */
import { type BenchSizes, readArguments, USAGE } from './arguments.ts';
import { backup } from './backup.ts';
import { Workplace } from './catalogue.ts';
import { lookups } from './lookups.ts';
import { migration } from './migration.ts';
import { mixed } from './mixed.ts';
import { note } from './notes.ts';
import { open } from './open.ts';
import { peers } from './peers.ts';
import { asJson, type Figure, machine, table } from './report.ts';
import { saveMany } from './save-many.ts';
import { saves } from './saves.ts';
import { search } from './search.ts';

type Suite = (sizes: BenchSizes, workplace: Workplace) => Promise<Figure[]>;

const SUITES: Readonly<Record<string, Suite>> = {
  saves,
  lookups,
  'save-many': saveMany,
  open,
  mixed,
  search,
  backup,
  migration,
  peers,
};
const ON_REQUEST: ReadonlySet<string> = new Set(['migration', 'peers']);

function chosen(names: readonly string[]): [string, Suite][] {
  const unknown = names.find((name) => !Object.hasOwn(SUITES, name));
  if (unknown !== undefined) {
    throw new TypeError(`there is no suite ${unknown}; there are ${Object.keys(SUITES).join(', ')}`);
  }
  const wanted = names.length > 0 ? names : Object.keys(SUITES).filter((name) => !ON_REQUEST.has(name));
  return Object.entries(SUITES).filter(([name]) => wanted.includes(name));
}

async function main(): Promise<void> {
  const given = readArguments(process.argv.slice(2));
  if (given.help) {
    process.stdout.write(`${USAGE}\nsuites: ${Object.keys(SUITES).join(', ')}\n`);
    return;
  }
  await using workplace = await Workplace.make(given.cache);
  const figures: Figure[] = [];
  for (const [name, suite] of chosen(given.suites)) {
    note(`${name} …`);
    figures.push(...(await suite(given, workplace)));
  }
  if (given.json) process.stdout.write(asJson(figures));
  else process.stdout.write(`${JSON.stringify(machine())}\n\n${table(figures)}`);
}

await main();

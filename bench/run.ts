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
import { pages } from './pages.ts';
import { peers } from './peers.ts';
import { quota } from './quota.ts';
import { asJson, type Figure, machine, table, verdict } from './report.ts';
import { saveMany } from './save-many.ts';
import { saves } from './saves.ts';
import { search } from './search.ts';
import { storage } from './storage.ts';

interface Suite {
  readonly run: (sizes: BenchSizes, workplace: Workplace) => Promise<Figure[]>;
  /** Files in its catalogue, unless told otherwise. */
  readonly files: number;
  /** It runs only when it is named. */
  readonly onRequest?: true;
}

const SOME = 100_000;
const MILLION = 1_000_000; // what is promised of large catalogues is promised of this many

const SUITES: Readonly<Record<string, Suite>> = {
  saves: { run: saves, files: SOME },
  lookups: { run: lookups, files: SOME },
  'save-many': { run: saveMany, files: MILLION },
  open: { run: open, files: SOME },
  mixed: { run: mixed, files: SOME },
  storage: { run: storage, files: MILLION },
  pages: { run: pages, files: MILLION },
  search: { run: search, files: MILLION },
  quota: { run: quota, files: MILLION },
  backup: { run: backup, files: SOME },
  migration: { run: migration, files: MILLION, onRequest: true },
  peers: { run: peers, files: SOME, onRequest: true },
};

function chosen(names: readonly string[]): [string, Suite][] {
  const unknown = names.find((name) => !Object.hasOwn(SUITES, name));
  if (unknown !== undefined) {
    throw new TypeError(`there is no suite ${unknown}; there are ${Object.keys(SUITES).join(', ')}`);
  }
  return Object.entries(SUITES).filter(([name, { onRequest }]) =>
    names.length > 0 ? names.includes(name) : onRequest === undefined,
  );
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
    figures.push(...(await suite.run({ ...given, files: given.files ?? suite.files }, workplace)));
  }
  if (given.json) process.stdout.write(asJson(figures));
  else process.stdout.write(`${JSON.stringify(machine())}\n\n${table(figures)}\n${verdict(figures)}\n`);
}

await main();

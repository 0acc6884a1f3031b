/**
 * `npm run bench`: runs the requested suites one after the other, never concurrently, and prints their figures; with
 * `--beside`, in alternation with the library of a commit. See docs/BENCHMARKS.md for what each one means.
 */
import { type BenchArguments, readArguments, USAGE } from './arguments.ts';
import { measureBeside } from './beside.ts';
import { Workplace } from './catalogue.ts';
import { loadLibrary, SOURCES } from './library.ts';
import { note } from './notes.ts';
import { asJson, comparisonTable, type Figure, machine, table, verdict, worsened } from './report.ts';
import { chosenSuites, SUITES } from './suites.ts';
import { TemporaryFolder } from './temporary-folder.ts';

async function alone(given: BenchArguments, folder: string): Promise<string> {
  const suites = chosenSuites(given.suites);
  await using workplace = await Workplace.make({ library: await loadLibrary(SOURCES), folder, cache: given.cache });
  const figures: Figure[] = [];
  for (const [name, { run, files }] of suites) {
    note(`${name} …`);
    figures.push(...(await run({ ...given, files: given.files ?? files }, workplace)));
  }
  if (given.json) return asJson({ figures });
  return `${JSON.stringify(machine())}\n\n${table(figures)}\n${verdict(figures)}\n`;
}

async function beside(given: BenchArguments, commit: string, folder: string): Promise<string> {
  const { names, comparisons } = await measureBeside(given, commit, folder);
  if (given.json) return asJson({ beside: names[1], figures: comparisons });
  return `${JSON.stringify(machine())}\n\n${comparisonTable(names, comparisons)}\n${worsened(comparisons)}\n`;
}

async function main(): Promise<void> {
  const given = readArguments(process.argv.slice(2));
  if (given.help) {
    process.stdout.write(`${USAGE}\nsuites: ${Object.keys(SUITES).join(', ')}\n`);
    return;
  }
  using folder = await TemporaryFolder.make();
  const text = given.beside === null ? alone(given, folder.path) : beside(given, given.beside, folder.path);
  process.stdout.write(await text);
}

await main();

/**
 * `npm start`: catalogues the project's own folder, thousands of real files, and shows what the catalogue knows about
 * them. A second run adds only changes. You can pass another folder and database: `node examples/start.ts DIR FILE`.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { concludeIngest, describeIngest, ingestFolder } from '../bin/commands/ingest.ts';
import { FAILED, report } from '../bin/errors.ts';
import { formatCount, formatNumberOf } from '../bin/format.ts';
import { run } from '../bin/main.ts';
import { guardOutput, printLine, styled } from '../bin/output.ts';
import { surroundings } from '../bin/settings.ts';
import { walk } from '../bin/walk.ts';

const CLIENT = 'demo';
const project = resolve(import.meta.dirname, '..');
const folder = resolve(process.argv[2] ?? project);
const database = resolve(process.argv[3] ?? join(project, 'demo', 'catalog.db'));

const heading = (text: string) => printLine(`\n${styled('bold', text)}`);

/** A path quoted for a shell, relative to the current folder. */
function typed(path: string): string {
  const short = relative(process.cwd(), path);
  return /^[\w./-]+$/.test(short) ? short : `'${short.replaceAll("'", "'\\''")}'`;
}

/** The regular files of the folder, except the catalogue's own. */
async function countOthers(): Promise<number> {
  let files = 0;
  for await (const { kind, path } of walk(folder)) {
    if (kind === 'file' && !path.startsWith(database)) files += 1;
  }
  return files;
}

async function catalogueAll(): Promise<number> {
  const done = await ingestFolder(surroundings({ database, logLevel: 'warn' }), folder, { client: CLIENT });
  printLine(describeIngest(done.result));
  const exitCode = concludeIngest(done);
  if (done.stoppedBy !== undefined) return exitCode;
  const { files } = done.result;
  const present = await countOthers();
  printLine(
    files === present
      ? `checked: the folder holds ${formatNumberOf(present, 'regular file')}, and every one is in the catalogue`
      : `checked: the folder now holds ${formatNumberOf(present, 'regular file')}, ${formatCount(files)} were catalogued`,
  );
  return exitCode;
}

async function show(title: string, args: readonly string[]): Promise<number> {
  heading(title);
  return run([...args, '--database', database]);
}

function suggest(): void {
  heading('Try next');
  const commands = [
    'search package.json',
    `versions package.json --client ${CLIENT} --path package.json`,
    'health --full',
  ];
  for (const command of commands) printLine(`  npx backup-catalog ${command} --database ${typed(database)}`);
}

async function start(): Promise<number> {
  await mkdir(dirname(database), { recursive: true });
  heading(`Cataloguing ${folder} in ${database}`);
  const catalogued = await catalogueAll();
  if (catalogued > FAILED) return catalogued; // stopped by a signal
  const shown = [
    await show('Statistics', ['stats']),
    await show('Where is package.json?', ['search', 'package.json', '--limit', '5']),
    await show('Is the catalogue well?', ['health']),
  ];
  suggest();
  return Math.max(catalogued, ...shown);
}

guardOutput();
process.exitCode = await start().catch((error: unknown) => report(error, undefined));

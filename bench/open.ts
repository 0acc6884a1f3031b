/**
 * Opening an up-to-date catalogue, until the first answer, each time in a new process; and the memory that five
 * connections take at rest, beyond that of Node itself. From the sources, and from `dist/` when it was built.
 */
import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import type { BenchSizes } from './arguments.ts';
import type { Workplace } from './catalogue.ts';
import { note } from './notes.ts';
import { type Figure, figure } from './report.ts';

const CHILD = new URL('./open-child.js', import.meta.url).pathname;
const MODULES = {
  source: new URL('../lib/index.ts', import.meta.url),
  dist: new URL('../dist/lib/index.js', import.meta.url),
} as const;

const OPENS = 30;
const MEMORY_RUNS = 5;
const ROUND = { opens: 5, memoryRuns: 1 } as const; // one of many rounds, in alternation with another library
const CONNECTIONS = 5;
const MOST_ANSWER_MS = 60;
const MOST_MEMORY_MB = 120;

interface ChildFigures {
  readonly importMs: number;
  readonly openMs: number;
  readonly answerMs: number;
  readonly open: number;
  readonly rss: number;
}

const run = promisify(execFile);

async function child(...args: readonly string[]): Promise<ChildFigures> {
  const { stdout } = await run(process.execPath, [CHILD, ...args]);
  return JSON.parse(stdout) as ChildFigures;
}

async function repeat(times: number, ...args: readonly string[]): Promise<ChildFigures[]> {
  const results: ChildFigures[] = [];
  for (let time = 0; time < times; time += 1) results.push(await child(...args));
  return results;
}

function firstFileId(path: string): string {
  const database = new Database(path, { readonly: true });
  const id = String(database.prepare('SELECT lower(hex(ID)) FROM files LIMIT 1').pluck().get());
  database.close();
  return id;
}

interface Measured {
  readonly kind: keyof typeof MODULES;
  readonly module: URL;
  readonly path: string;
  /** Megabytes that Node itself takes. */
  readonly nodeOwn: number;
  readonly opens: number;
  readonly memoryRuns: number;
}

async function figuresOf({ kind, module, path, nodeOwn, ...times }: Measured): Promise<Figure[]> {
  const args = [module.href, path, firstFileId(path)];
  const opens = await repeat(times.opens, ...args);
  const rests = await repeat(times.memoryRuns, ...args, String(CONNECTIONS));
  if (rests.some(({ open }) => open !== CONNECTIONS)) throw new Error('not every connection was opened');
  const line = (name: string, unit: string, values: readonly number[], target: Figure['target'] = null) =>
    figure('open', `${kind}, ${name}`, unit, values, target);
  const isMeasured = kind === 'dist'; // what users run
  return [
    line(
      'importing the library',
      'ms',
      opens.map(({ importMs }) => importMs),
    ),
    line(
      'open',
      'ms',
      opens.map(({ openMs }) => openMs),
    ),
    line(
      'open to first answer',
      'ms',
      opens.map(({ answerMs }) => answerMs),
      isMeasured ? { most: MOST_ANSWER_MS } : null,
    ),
    line(
      'import to first answer',
      'ms',
      opens.map(({ importMs, answerMs }) => importMs + answerMs),
    ),
    line(
      `memory at rest, ${CONNECTIONS} connections, above Node's own`,
      'MB',
      rests.map(({ rss }) => rss - nodeOwn),
      isMeasured ? { most: MOST_MEMORY_MB } : null,
    ),
  ];
}

async function ofNodeItself(runs: number): Promise<Figure> {
  const bare = await repeat(runs, 'none');
  return figure(
    'open',
    'memory of Node itself',
    'MB',
    bare.map(({ rss }) => rss),
  );
}

const exists = (url: URL) =>
  access(url).then(
    () => true,
    () => false,
  );

/** The sources, and the built package if there is one. */
export async function open(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const path = await workplace.copy(await workplace.filled(sizes.files));
  const own = await ofNodeItself(MEMORY_RUNS);
  const times = { opens: OPENS, memoryRuns: MEMORY_RUNS, path, nodeOwn: own.median };
  const figures = [own, ...(await figuresOf({ ...times, kind: 'source', module: MODULES.source }))];
  if (await exists(MODULES.dist)) figures.push(...(await figuresOf({ ...times, kind: 'dist', module: MODULES.dist })));
  else note('  dist/ is not there, so only the sources were measured; build it with: npm run build');
  await workplace.discard(path);
  return figures;
}

/** One round of the built package of the workplace's library. */
export async function openAlone(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const path = await workplace.copy(await workplace.filled(sizes.files));
  const { median: nodeOwn } = await ofNodeItself(ROUND.memoryRuns);
  const figures = await figuresOf({ ...ROUND, kind: 'dist', module: workplace.library.url, path, nodeOwn });
  await workplace.discard(path);
  return figures;
}

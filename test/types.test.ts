/** The types of the public API: what must compile does, and what must not does not; the examples in its comments compile. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { PROJECT, readProjectFile } from './fixtures/documents.ts';
import { runCompiler } from './fixtures/process.ts';

t.setTimeout(120_000); // the compiler, on a machine that may be busy

const API = join(PROJECT, 'test', 'types', 'public-api.ts');

/** Compiles files of a folder with the project's own settings. */
async function compile(folder: string, ...files: string[]) {
  const compilerOptions = { rewriteRelativeImportExtensions: false, allowImportingTsExtensions: true };
  const base = { extends: join(PROJECT, 'tsconfig.json'), compilerOptions, include: [] };
  const configuration = join(folder, `${files[0]}.json`);
  writeFileSync(configuration, JSON.stringify({ ...base, files }));
  const { code, signal, stdout, stderr } = await runCompiler(['-p', configuration], folder);
  return { code, signal, complaints: stdout, stderr };
}

const WELL = { code: 0, signal: null, complaints: '', stderr: '' };

t.test('test/types/public-api.ts compiles, and each mistake in it is one', async (t) => {
  const folder = t.testdir();
  // Without its marks every one of the mistakes must be told, and nothing else.
  const source = readFileSync(API, 'utf8').replaceAll('../../lib/', `${PROJECT}lib/`);
  writeFileSync(join(folder, 'marked.ts'), source);
  writeFileSync(join(folder, 'unmarked.ts'), source.replaceAll('@ts-expect-error', 'mistake:'));
  t.same(await compile(folder, 'marked.ts'), WELL);

  const { complaints } = await compile(folder, 'unmarked.ts');
  const lines = source.split('\n');
  const marked = lines.flatMap((line, number) => (line.includes('@ts-expect-error') ? [number + 2] : []));
  const told = [...new Set([...complaints.matchAll(/unmarked\.ts\((\d+),/g)].map(([, line]) => Number(line)))];
  t.ok(marked.length > 30, `${marked.length} mistakes`);
  t.same(
    told.sort((a, b) => a - b),
    marked,
  );
});

/** The calls that most users need first. */
const MAIN_CALLS = [
  'Backups.create',
  'Backups.restore',
  'Clients.save',
  'DatabaseManager.open',
  'DatabaseManager.transaction',
  'Files.save',
  'Files.saveMany',
  'Reservations.reserve',
  'Search.search',
  'VersionPruning.prune',
];

/** An example in the comment of a call. */
interface Example {
  /** `Files.save`: the interface or class, and its member. */
  readonly call: string;
  readonly code: string;
}

const COMMENTED = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(?:(?:static|async|readonly)\s+)*(\w+)/g;

/** The examples in the comments of a source. */
function examplesIn(source: string): Example[] {
  return [...source.matchAll(COMMENTED)].flatMap(({ 1: comment = '', 2: member = '', index }) => {
    const [, text] = /@example\n\s*\* ```ts\n([\s\S]*?)\s*\* ```/.exec(comment) ?? [];
    if (text === undefined) return [];
    const owner = [...source.slice(0, index).matchAll(/^export (?:interface|class) (\w+)/gm)].at(-1)?.[1];
    return [{ call: `${owner}.${member}`, code: text.replaceAll(/^\s*\* ?/gm, '') }];
  });
}

t.test('the main calls have an example each, and every example compiles', async (t) => {
  const sources = globSync('lib/**/*.ts', { cwd: PROJECT }).map(readProjectFile);
  const examples = sources.flatMap(examplesIn);
  t.equal(examples.length, sources.join('').match(/@example/g)?.length, 'each of them is found');
  const calls = examples.map(({ call }) => call).sort();
  t.same(
    MAIN_CALLS.filter((call) => !calls.includes(call)),
    [],
    'every main call has one',
  );
  const folder = t.testdir();
  const head = [
    `import { DatabaseManager } from '${PROJECT}lib/index.ts';`,
    'declare const db: DatabaseManager;',
    'declare const clientId: string;',
  ];
  const file = (more: string) => {
    const functions = examples.map(
      ({ code }, number) => `export async function example${number}(): Promise<void> {\n${code}\n${more}}`,
    );
    return [...head, ...functions, ''].join('\n');
  };
  writeFileSync(join(folder, 'examples.ts'), file(''));
  t.same(await compile(folder, 'examples.ts'), WELL);
  writeFileSync(join(folder, 'broken.ts'), file('void db.nothing;\n'));
  const { complaints } = await compile(folder, 'broken.ts');
  t.equal(complaints.match(/'nothing' does not exist/g)?.length, examples.length, 'a mistake in any of them is told');
});

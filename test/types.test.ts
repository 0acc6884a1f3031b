/** The types of the public API: what must compile does, and what must not does not. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { PROJECT } from './fixtures/documents.ts';
import { runCompiler } from './fixtures/process.ts';

t.setTimeout(120_000); // the compiler, on a machine that may be busy

const API = join(PROJECT, 'test', 'types', 'public-api.ts');

t.test('test/types/public-api.ts compiles, and each mistake in it is one', async (t) => {
  const folder = t.testdir();
  // Without its marks every one of the mistakes must be told, and nothing else.
  const source = readFileSync(API, 'utf8').replaceAll('../../lib/', `${PROJECT}lib/`);
  writeFileSync(join(folder, 'marked.ts'), source);
  writeFileSync(join(folder, 'unmarked.ts'), source.replaceAll('@ts-expect-error', 'mistake:'));
  const compilerOptions = { rewriteRelativeImportExtensions: false, allowImportingTsExtensions: true };
  const base = { extends: join(PROJECT, 'tsconfig.json'), compilerOptions, include: [] };
  const compile = async (file: string) => {
    writeFileSync(join(folder, `${file}.json`), JSON.stringify({ ...base, files: [file] }));
    return runCompiler(['-p', join(folder, `${file}.json`)], folder);
  };
  const { code, signal, stdout: complaints, stderr } = await compile('marked.ts');
  t.same({ code, signal, complaints, stderr }, { code: 0, signal: null, complaints: '', stderr: '' });

  const { stdout } = await compile('unmarked.ts');
  const lines = source.split('\n');
  const marked = lines.flatMap((line, number) => (line.includes('@ts-expect-error') ? [number + 2] : []));
  const told = [...new Set([...stdout.matchAll(/unmarked\.ts\((\d+),/g)].map(([, line]) => Number(line)))];
  t.ok(marked.length > 30, `${marked.length} mistakes`);
  t.same(
    told.sort((a, b) => a - b),
    marked,
  );
});

/**
 * `npm run build`: makes `dist/`. Declarations come from the compiler, module by module; the code is put into a few files,
 * because a thread that imports a hundred of them starts twice as slow and takes 4 MB more. What others import is in no
 * file of ours: dependencies stay dependencies. Argument: where to (default: `dist`).
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

const PROJECT = resolve(import.meta.dirname, '..');

/** What the package exports, its command, and what connections load. They share modules: an error has one class. */
const CATALOGUE = [
  'bin/backup-catalog',
  'lib/index',
  'lib/procedure-kit',
  'lib/registry/procedures',
  'lib/registry/late-procedures',
  'lib/pool/connection-thread',
  'lib/pool/reader-process',
];

/** What the other threads and processes start with. Each is alone in its thread, and would split the files of the others. */
const HELPERS = [
  'lib/backup/check-process',
  'lib/backup/snapshot-thread',
  'lib/backup/restore/exclusive-thread',
  'lib/backup/restore/swap-thread',
  'lib/maintenance/integrity-process',
  'lib/legacy/inspect-file',
  'lib/catalog/trial-process',
];

/** Refuses an old Node.js, so it stays a file of its own that is run before any other is. */
const FIRST = 'lib/runtime/node-version';

// Where the library's index ends up is the bundler's choice, so its import is written into the finished file instead.
const firstStaysApart: Plugin = {
  name: 'first-stays-apart',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/node-version\.ts$/ }, ({ kind, importer }) => {
      if (kind === 'entry-point') return undefined;
      if (kind === 'import-statement') return { path: 'first', namespace: 'nothing' };
      return { path: `${relative(dirname(importer), join(PROJECT, FIRST))}.js`, external: true };
    });
    onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: '' }));
  },
};

/** The one module that finds others relative to its own place. */
const PLACED = 'lib/runtime/scripts.ts';

function declare(outDir: string): void {
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'lib/tsc.js');
  const args = ['-p', join(PROJECT, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', outDir];
  execFileSync(process.execPath, [compiler, ...args], { stdio: 'inherit' });
}

async function bundle(entries: readonly string[], outDir: string): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: PROJECT,
    entryPoints: Object.fromEntries(entries.map((entry) => [entry, `${entry}.ts`])),
    outdir: outDir,
    bundle: true,
    splitting: true,
    chunkNames: 'lib/runtime/chunk-[hash]',
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node22.15',
    keepNames: true,
    plugins: [firstStaysApart],
    metafile: true,
    logLevel: 'warning',
  });
  for (const [file, { inputs }] of Object.entries(metafile.outputs)) {
    const folder = dirname(resolve(PROJECT, file));
    if (PLACED in inputs && folder !== join(outDir, dirname(PLACED))) {
      throw new Error(`${PLACED} is in ${file}, not in ${dirname(PLACED)}/`);
    }
  }
}

/** A bundler keeps the order of modules within a file only. */
function checkNodeFirst(outDir: string): void {
  const index = join(outDir, 'lib/index.js');
  writeFileSync(index, `import './runtime/node-version.js';\n${readFileSync(index, 'utf8')}`);
}

const outDir = resolve(process.argv[2] ?? join(PROJECT, 'dist'));
rmSync(outDir, { recursive: true, force: true });
declare(outDir);
await bundle([FIRST, ...CATALOGUE], outDir);
await bundle(HELPERS, outDir);
checkNodeFirst(outDir);

/**
 * `npm run build`: makes `dist/`. Declarations come from the compiler, module by module; the code is bundled into a few
 * files, because a thread that imports a hundred of them takes twice as long to start and 4 MB more. Dependencies are
 * not bundled. Argument: the target folder (default: `dist`).
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

const PROJECT = resolve(import.meta.dirname, '..');

/** The package's exports, its command, and what connections load. They share modules: an error has one class. */
const CATALOGUE = [
  'bin/backup-catalog',
  'lib/index',
  'lib/procedure-kit',
  'lib/registry/procedures',
  'lib/registry/late-procedures',
  'lib/pool/connection-thread',
  'lib/pool/reader-process',
];

/** The entries of the other threads and processes. Each is alone in its thread, and would split the other files. */
const HELPERS = [
  'lib/backup/check-process',
  'lib/backup/snapshot-thread',
  'lib/backup/restore/exclusive-thread',
  'lib/backup/restore/swap-thread',
  'lib/maintenance/integrity-process',
  'lib/legacy/inspect-file',
  'lib/catalog/trial-process',
];

/** Refuses an old Node.js, so it stays a separate file that runs before all others. */
const FIRST = 'lib/runtime/node-version';

// The bundler chooses where the library's index goes, so its import is written into the finished file instead.
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

/** The only module that locates others relative to itself. */
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

/** A bundler keeps the order of modules only within a file. */
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

/**
 * The package as npm would publish it: packed, unpacked into a project of its own beside its dependencies, and used there
 * by import, by require, by its types, by its command, and by a Node.js that is too old.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import * as sources from '../lib/index.ts';
import { codeBlocks, PROJECT, readProjectFile } from './fixtures/documents.ts';
import { runCompiler, runScript, runToEnd } from './fixtures/process.ts';

t.setTimeout(180_000); // a build, a pack and a compilation, on a machine that may be busy

const { dependencies, files, version }: { dependencies: object; files: string[]; version: string } = JSON.parse(
  readProjectFile('package.json'),
);
const ALWAYS_PACKED = ['package.json', 'README.md', 'LICENSE'];

/** Builds and packs the package in a folder of its own; returns the archive. */
async function pack(folder: string): Promise<{ archive: string; contents: string[] }> {
  const source = join(folder, 'source');
  mkdirSync(source, { recursive: true });
  for (const name of [...ALWAYS_PACKED, ...files.filter((file) => file !== 'dist')]) {
    cpSync(join(PROJECT, name), join(source, name), { recursive: true });
  }
  const built = await runScript(join(PROJECT, 'scripts/build.ts'), [join(source, 'dist')], { cwd: PROJECT });
  t.same({ code: built.code, stdout: built.stdout }, { code: 0, stdout: '' }, 'it builds');
  const packed = await runToEnd('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: source,
    env: { NODE_OPTIONS: '' },
  });
  t.match(packed, { code: 0 }, 'it packs');
  const [{ filename, files: listed }] = JSON.parse(packed.stdout);
  return { archive: join(folder, filename), contents: listed.map(({ path }: { path: string }) => path) };
}

/** A project that has the package and its dependencies installed. */
function install(folder: string, archive: string): string {
  const project = join(folder, 'project');
  const modules = join(project, 'node_modules');
  mkdirSync(modules, { recursive: true });
  writeFileSync(join(project, 'package.json'), '{ "name": "a-server", "type": "module" }');
  execFileSync('tar', ['-xzf', archive, '-C', modules]);
  renameSync(join(modules, 'package'), join(modules, 'backup-catalog'));
  for (const name of [...Object.keys(dependencies), '@types/node']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(PROJECT, 'node_modules', name), join(modules, name));
  }
  return project;
}

const folder = t.testdir();
const { archive, contents } = await pack(folder);
const project = install(folder, archive);
const installed = join(project, 'node_modules', 'backup-catalog');

const runHere = async (name: string, text: string) => {
  writeFileSync(join(project, name), text);
  const { code, signal, stdout, stderr } = await runScript(join(project, name), [], { cwd: project });
  return { code, signal, stdout, stderr };
};

t.test('it holds what it needs and nothing else', async (t) => {
  const folders = [...new Set(contents.map((path) => path.split('/')[0]))].sort();
  t.same(folders, [...new Set([...ALWAYS_PACKED, ...files])].sort());
  t.same(
    contents.filter((path) => /(?<!\.d)\.ts$|^test|\.db/.test(path)),
    [],
    'no sources, no tests, no data',
  );
  for (const path of [
    'lib/index.js',
    'lib/index.d.ts',
    'lib/registry/procedures.js',
    'lib/pool/connection-thread.js',
  ]) {
    t.ok(contents.includes(`dist/${path}`), path);
  }
});

const USE = `
  const main = async () => {
    const db = await DatabaseManager.open({ database: process.argv[1] + '.db' });
    const { id } = await db.clients.save({ name: 'a' });
    const { version } = await db.files.save({ clientId: id, fileName: 'a', pathName: '/a', fileSize: 1 });
    await db.close();
    console.log(version, JSON.stringify(names));
  };
  main();
`;

t.test('import and require both work, and give what the sources give', async (t) => {
  const printed = `1 ${JSON.stringify(Object.keys(sources).sort())}\n`;
  const expected = { code: 0, signal: null, stdout: printed, stderr: '' };
  const imported = "import * as all from 'backup-catalog'; import 'backup-catalog/procedure';";
  const required = "const all = require('backup-catalog'); require('backup-catalog/procedure');";
  // A required ES module has one name more where the two kinds are to be told apart.
  const use = `const { DatabaseManager } = all; const names = Object.keys(all).filter((n) => n !== '__esModule').sort(); ${USE}`;
  t.same(await runHere('imports.mjs', imported + use), expected, 'import');
  t.same(await runHere('requires.cjs', required + use), expected, 'require');
});

t.test('importing it loads few files, and neither the SQLite driver nor a library of one command', async (t) => {
  writeFileSync(
    join(project, 'loads.js'),
    `import { registerHooks } from 'node:module';
     const urls = [];
     registerHooks({ load: (url, context, next) => { urls.push(url); return next(url, context); } });
     await import('backup-catalog');
     console.log(JSON.stringify(urls));`,
  );
  const { stdout } = await runToEnd(process.execPath, ['loads.js'], { cwd: project, env: { NODE_OPTIONS: '' } });
  const urls: string[] = JSON.parse(stdout);
  const packages = new Set(urls.map((url) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]));
  packages.delete(undefined); // those of Node.js
  t.same([...packages].sort(), ['backup-catalog', 'fastest-levenshtein', 'sql-template-tag']);
  const own = urls.filter((url) => url.includes('/backup-catalog/dist/'));
  t.ok(own.length <= 18, `${own.length} files of its own: each costs a lookup and a compilation`);
});

t.test('its threads and processes start: backups, their checks, restoring, looking at files of others', async (t) => {
  const text = `
    import { writeFileSync } from 'node:fs';
    import { DatabaseManager } from 'backup-catalog';
    const db = await DatabaseManager.open({ database: 'whole.db' });
    const backup = await db.backups.create({ compress: true });
    const { ok, problems } = await db.backups.verify(backup.path);
    await db.clients.save({ name: 'gone after the restore' });
    await db.backups.restore(backup.path);
    const clients = await db.clients.count();
    await db.close();
    writeFileSync('other.db', 'no database, but long enough to have a header '.repeat(99));
    const refused = await DatabaseManager.open({ database: 'other.db' }).catch(({ code }) => code);
    console.log(JSON.stringify({ ok, problems, clients, refused }));
  `;
  const expected = { ok: true, problems: [], clients: 0, refused: 'CATALOG_FOREIGN_DATABASE' };
  const { code, stdout, stderr } = await runHere('starts.mjs', text);
  t.same({ code, stdout: stdout && JSON.parse(stdout), stderr }, { code: 0, stdout: expected, stderr: '' });
});

t.test('the code of README runs in a project that installed the package', async (t) => {
  const blocks = codeBlocks(readProjectFile('README.md')).filter(({ language }) => language === 'ts');
  for (const { name, text, line } of blocks) {
    const file = name ?? `line-${line}.ts`;
    if (name === null) t.match(await runHere(file, text), { code: 0, stderr: /^$/ }, file);
    else writeFileSync(join(project, file), text);
  }
});

t.test('its types resolve, and say what those of the sources say', async (t) => {
  const api = readProjectFile('test/types/public-api.ts')
    .replace("'../../lib/index.ts'", "'backup-catalog'")
    .replace("'../../lib/procedure-kit.ts'", "'backup-catalog/procedure'");
  writeFileSync(join(project, 'public-api.ts'), api);
  const blocks = codeBlocks(readProjectFile('README.md')).filter(({ language }) => language === 'ts');
  const names = blocks.map(({ name, text, line }) => {
    const file = name ?? `line-${line}.ts`;
    writeFileSync(join(project, file), text);
    return file;
  });
  const compilerOptions = {
    target: 'ES2023',
    lib: ['ES2024', 'ESNext.Disposable'],
    module: 'NodeNext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    noEmit: true,
  };
  const configuration = { compilerOptions, files: ['public-api.ts', ...names] };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(configuration));
  const { code, stdout } = await runCompiler(['-p', join(project, 'tsconfig.json')], project);
  t.same({ code, stdout }, { code: 0, stdout: '' });
});

/** Every declaration that a file leads to by its imports, with its text. */
function reachable(entry: string): Map<string, string> {
  const texts = new Map<string, string>();
  const queue = [entry];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (texts.has(path)) continue;
    const text = readFileSync(path, 'utf8');
    texts.set(path, text);
    for (const [, target = ''] of text.matchAll(/(?:from|import) ?\(?'(\.{1,2}\/[^']+)'/g)) {
      queue.push(join(dirname(path), target.replace(/\.[jt]s$/, '.d.ts')));
    }
  }
  return texts;
}

t.test('its declarations name what a person reads: no factories, no inferred shapes, nothing internal', (t) => {
  const declarations = reachable(join(installed, 'dist/lib/index.d.ts'));
  const found = [...declarations].flatMap(([path, text]) => {
    const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '');
    const odd = code.match(/\bcreate[A-Z]\w*|\bReturnType<|\b\w+Of(?:: )?\(executor/g) ?? [];
    return odd.map((name) => `${path.slice(installed.length)}: ${name}`);
  });
  t.same(found, []);
  const members = [
    'Files',
    'Clients',
    'Versions',
    'Categories',
    'Quotas',
    'Analytics',
    'Search',
    'RawSql',
    'Maintenance',
  ];
  const all = [...declarations.values()].join('\n');
  t.same(
    members.filter((name) => !all.includes(`export interface ${name} `)),
    [],
    'each module is an interface',
  );
  const exported = declarations.get(join(installed, 'dist/lib/index.d.ts')) ?? '';
  t.notMatch(exported, /export (?:type )?\*(?! from '\.\/errors)/, 'what is exported is listed by name');
  t.end();
});

const command = join(installed, 'dist', 'bin', 'backup-catalog.js');

t.test('its command runs', async (t) => {
  const { bin } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  t.equal(join(installed, bin['backup-catalog']), command);
  t.match(readFileSync(command, 'utf8'), /^#!\/usr\/bin\/env node\n/);
  t.match(await runScript(command, ['--version'], { cwd: project }), { code: 0, stdout: `${version}\n`, stderr: /^$/ });
  const args = [
    'ingest',
    join(installed, 'docs'),
    '--client',
    'docs',
    '--database',
    join(project, 'docs.db'),
    '--json',
  ];
  const { code, stdout } = await runScript(command, args, { cwd: project });
  t.equal(code, 0);
  t.ok(JSON.parse(stdout), 'and prints JSON');
});

/** A Node.js of this machine that is older than the package takes. */
function oldNode(): string | undefined {
  const isOld = (path: string) => {
    const [major = 0, minor = 0] = execFileSync(path, ['-p', 'process.versions.node'], {
      encoding: 'utf8',
      env: {},
    })
      .split('.')
      .map(Number);
    return major < 22 || (major === 22 && minor < 15);
  };
  return ['/usr/bin/node', '/usr/local/bin/node'].filter((path) => existsSync(path)).find(isOld);
}

const old = oldNode();

t.test('an old Node.js is told so plainly', { skip: old === undefined && 'this machine has none' }, async (t) => {
  const env = { NODE_OPTIONS: '' };
  const plain = /backup-catalog needs Node\.js 22\.15 or newer; this is \d+\.\d+\.\d+/;
  writeFileSync(join(project, 'old.mjs'), "import 'backup-catalog';\n");
  const imported = await runToEnd(old ?? '', ['old.mjs'], { cwd: project, env });
  t.match(imported, { code: 1, signal: null, stderr: plain }, 'by import');
  const asked = await runToEnd(old ?? '', [command, 'status'], { cwd: project, env });
  t.match(asked, { code: 1, signal: null, stdout: /^$/, stderr: plain }, 'by the command');
  t.equal(asked.stderr.trim().split('\n').length, 1, 'in one line');
});

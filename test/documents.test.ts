/** The documents are true: their code runs and prints what they say, their tables are those of the library. */
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Option } from 'commander';
import t, { type Test } from 'tap';
import { COMMANDS } from '../bin/commands.ts';
import { buildProgram } from '../bin/main.ts';
import * as catalog from '../lib/index.ts';
import { MIGRATIONS } from '../lib/migrations/migration-list.ts';
import {
  codeBlocks,
  localLinks,
  PROJECT,
  readProjectFile,
  section,
  tableRows,
  withSources,
} from './fixtures/documents.ts';
import { type Family, parseExposition } from './fixtures/exposition.ts';
import { runScript, runToEnd } from './fixtures/process.ts';

t.setTimeout(120_000); // a dozen processes, on a machine that may be busy

const { DatabaseManager, ERROR_CODES, HEALTH_CHECKS, HEALTH_CODES, OPTIONS, THRESHOLDS } = catalog;
const README = readProjectFile('README.md');
const API = readProjectFile('docs/API.md');

/** Runs a block as a file of its own in a folder where those before it have run. */
async function runBlock(t: Test, folder: string, name: string, text: string): Promise<string> {
  writeFileSync(join(folder, name), withSources(text));
  const { code, stdout, stderr } = await runScript(join(folder, name), [], { cwd: folder });
  t.same({ code, stderr }, { code: 0, stderr: '' }, `${name} ends well`);
  return stdout;
}

for (const [document, content] of Object.entries({ README, API })) {
  t.test(`the code of ${document} runs as it stands and prints what is said`, async (t) => {
    const folder = t.testdir();
    const blocks = codeBlocks(content);
    for (const [position, { language, name, text, line }] of blocks.entries()) {
      if (language !== 'ts') continue;
      if (name !== null) {
        writeFileSync(join(folder, name), withSources(text));
        continue;
      }
      const printed = await runBlock(t, folder, `line-${line}.ts`, text);
      const next = blocks[position + 1];
      if (next?.language === 'text') t.equal(printed, next.text, `line ${line} prints what follows it`);
    }
  });
}

t.test("README's first example may be run again, and is twenty lines", async (t) => {
  const { name, version } = JSON.parse(readProjectFile('package.json'));
  t.match(README, `\nnpm install ~/${name}-${version}.tgz\n`, 'the file that npm pack makes');
  const folder = t.testdir();
  const [first, printed] = codeBlocks(README).filter(({ language }) => language !== 'sh');
  const lines = first?.text.split('\n').filter((line) => line !== '') ?? [];
  t.ok(lines.length <= 20, `it has ${lines.length} lines`);
  for (const name of ['first.ts', 'first.ts', 'first.mjs']) {
    t.equal(await runBlock(t, folder, name, first?.text ?? ''), printed?.text);
  }
});

t.test("README's tour of the command line runs as it stands", async (t) => {
  const folder = t.testdir({ documents: { 'report.txt': 'quarterly', notes: { 'a.md': '# a' } } });
  mkdirSync(join(folder, 'bin'));
  const command = join(folder, 'bin', 'backup-catalog');
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${PROJECT}bin/backup-catalog.ts' "$@"\n`);
  chmodSync(command, 0o755);
  const tour = codeBlocks(README).find(({ text }) => text.startsWith('backup-catalog'));
  t.ok(tour, 'there is a tour');
  const env = { PATH: `${join(folder, 'bin')}:${process.env['PATH']}` };
  const { code, stdout, stderr } = await runToEnd('sh', ['-e', '-c', tour?.text ?? ''], { cwd: folder, env });
  t.equal(code, 0, stderr);
  t.match(stdout, '2 files catalogued');
  t.match(stdout, '0 new or changed, 2 unchanged');
});

const asCode = (text: string) => `\`${text}\``;
const orNone = (text: string | null) => (text === null ? '–' : asCode(text));

t.test("README's tables are those of the library", async (t) => {
  const shown = (value: unknown) => (typeof value === 'string' ? value : (JSON.stringify(value) ?? null));
  t.same(
    tableRows(section(README, '## Options')),
    OPTIONS.map(({ option, environment, flag, default: value, defaultText, accepted, description }) => [
      asCode(option),
      orNone(environment),
      orNone(flag === null ? null : `--${flag}`),
      defaultText ?? orNone(shown(value)),
      accepted,
      description,
    ]),
    'options',
  );

  const figures = { quotaBytes: 0, usedBytes: 0, reservedBytes: 0, requestedBytes: 0 };
  const subclasses: readonly catalog.DatabaseError[] = [
    new catalog.ValidationError({ field: '', received: '', accepted: '' }),
    new catalog.NotFoundError(''),
    new catalog.DuplicateClientError(''),
    new catalog.ConflictError(''),
    new catalog.QuotaExceededError(figures),
    new catalog.DangerousOperationError({ migration: '', operation: '', statement: '' }),
  ];
  const classOf = (code: string) => subclasses.find((error) => error.code === code)?.name ?? 'DatabaseError';
  const classes = Object.values(catalog).filter((value) => Object.getPrototypeOf(value) === catalog.DatabaseError);
  t.equal(classes.length, subclasses.length, 'every class is looked at');
  t.same(
    tableRows(section(README, '## Errors')).map(([code, name, retryable, , hint]) => [code, name, retryable, hint]),
    Object.entries(ERROR_CODES).map(([code, { retryable, hint }]) => [
      asCode(code),
      asCode(classOf(code)),
      retryable ? 'yes' : 'no',
      hint,
    ]),
    'errors',
  );

  t.same(
    tableRows(section(README, '### Thresholds')),
    THRESHOLDS.map(({ threshold, default: value, unit, description }) => [
      asCode(threshold),
      value === null ? 'never' : asCode(String(value)),
      unit,
      description,
    ]),
    'thresholds',
  );
});

t.test('the checks and codes of health in docs/API.md are those of the library', async (t) => {
  const health = section(API, '## Health');
  t.same(
    tableRows(health),
    Object.entries(HEALTH_CHECKS).map(([name, { about, unit, json }]) => [
      asCode(name),
      about,
      unit ?? '–',
      asCode(json),
    ]),
  );
  t.same(
    tableRows(health.split('or one of these')[1] ?? ''),
    Object.entries(HEALTH_CODES).map(([code, when]) => [asCode(code), when]),
  );
});

t.test("README's table of commands is that of the command line", async (t) => {
  const program = buildProgram({ exitCode: 0 });
  const flagsOf = ({ options }: { readonly options: readonly Option[] }) =>
    options.flatMap(({ long }) => (long ? [long] : [])).sort();
  const flagsIn = (text: string) => [...new Set(text.match(/--[a-z][a-z-]+/g))].sort();
  const [, everywhere = ''] = section(README, '## The command line').split('Every command takes');
  t.same(flagsIn(everywhere), [...flagsOf(program), '--help'].sort(), 'the options of every command');
  const rows = tableRows(section(README, '## The command line'));
  t.same(
    rows.map(([usage = '', flags = '']) => [usage.replaceAll('`', '').split(' ')[0], flagsIn(flags)]),
    COMMANDS.map(({ name }) => [name, flagsOf(program.commands.find((command) => command.name() === name) ?? program)]),
    'commands, each with the options of its own',
  );
});

/** The names of everything an object offers, its class's included. */
function namesOf(holder: object): string[] {
  const names: string[] = [];
  for (let level = holder; level !== Object.prototype && level !== null; level = Object.getPrototypeOf(level)) {
    names.push(...Object.getOwnPropertyNames(level).filter((name) => name !== 'constructor'));
  }
  return names;
}

/** Every public call of an open catalogue, as it is written. */
function publicCalls(holder: object, prefix: string): string[] {
  return namesOf(holder).flatMap((name) => {
    const value: unknown = Reflect.get(holder, name);
    if (typeof value === 'function') return [`${prefix}.${name}(`];
    return typeof value === 'object' && value !== null ? publicCalls(value, `${prefix}.${name}`) : [];
  });
}

const isOwnStatic = (name: string) => typeof Reflect.get(DatabaseManager, name) === 'function';

t.test('docs/API.md tells of every public call and export, and no document of one there is not', async (t) => {
  const db = await DatabaseManager.open({ database: join(t.testdir(), 'catalog.db') });
  t.teardown(() => db.close());
  const statics = Object.getOwnPropertyNames(DatabaseManager).filter(isOwnStatic);
  const calls = [...publicCalls(db, 'db'), ...statics.map((name) => `DatabaseManager.${name}(`)];
  t.ok(calls.length > 40, `${calls.length} calls`);
  t.same(
    calls.filter((call) => !API.includes(call)),
    [],
    'every call is in docs/API.md',
  );
  t.same(
    Object.keys(catalog).filter((name) => !API.includes(name)),
    [],
    'every export is',
  );
  const known = new Set(calls);
  for (const [document, content] of Object.entries({ README, API })) {
    const mentioned = content.match(/\b(?:db(?:\.[a-zA-Z]+)?|DatabaseManager)\.[a-zA-Z]+\(/g) ?? [];
    t.same(
      mentioned.filter((call) => !known.has(call)),
      [],
      `every call in ${document} exists`,
    );
  }
});

t.test('docs/API.md tells of every metric that is printed', async (t) => {
  const db = await DatabaseManager.open({ database: join(t.testdir(), 'catalog.db') });
  t.teardown(() => db.close());
  const labelsOf = ({ series }: Family) => [
    ...new Set(
      [...series.keys()].flatMap((key) => key.match(/[a-z_]+(?==")/g) ?? []).filter((label) => label !== 'le'),
    ),
  ];
  await db.backups.create();
  const scrape = async () => parseExposition(await db.metrics());
  let metrics = await scrape();
  while (!metrics.get('catalog_backup_bytes')?.series.size) metrics = await scrape(); // a busy machine may be late
  const printed = [...metrics];
  t.ok(printed.length > 40, `${printed.length} metrics`);
  t.same(
    tableRows(section(API, '### `db.metrics\\(\\)` → `Promise<string>`')),
    printed.map(([name, family]) => [
      asCode(name),
      family.type,
      labelsOf(family).map(asCode).join(', ') || '–',
      family.help,
    ]),
  );
});

t.test('docs/DESIGN.md gives the reason of every migration', async (t) => {
  const db = await DatabaseManager.open({ database: join(t.testdir(), 'catalog.db') });
  t.teardown(() => db.close());
  const { applied } = await db.migrations.status();
  const rows = tableRows(section(readProjectFile('docs/DESIGN.md'), '## The schema'));
  t.same(rows.map(([name]) => name).sort(), applied.map(({ name }) => asCode(name)).sort());
  t.ok(rows.every(([, brings, because]) => brings !== '' && because !== ''));
});

t.test('docs/MIGRATIONS.md tells what each older schema cannot hold', (t) => {
  const told = MIGRATIONS.filter(({ version, loses }) => version > 0 && typeof loses === 'string').map(
    ({ version, name, loses }) => [`${version} (\`${name}\`)`, String(loses)],
  );
  t.same(tableRows(section(readProjectFile('docs/MIGRATIONS.md'), '## Going down')), told.reverse());
  t.end();
});

t.test('every link to a file of the project leads to one', async (t) => {
  for (const document of [
    'README.md',
    'CHANGELOG.md',
    'UPGRADING.md',
    'docs/API.md',
    'docs/DESIGN.md',
    'docs/RECOVERY.md',
  ]) {
    const content = readProjectFile(document);
    const folder = join(PROJECT, dirname(document));
    const anchors = new Set(
      [...content.matchAll(/^#+ (.+)$/gm)].map(
        ([, title = '']) =>
          `#${title
            .toLowerCase()
            .replaceAll(/[^\w -]/g, '')
            .replaceAll(' ', '-')}`,
      ),
    );
    const dead = localLinks(content).filter((target) =>
      target.startsWith('#') ? !anchors.has(target) : !existsSync(join(folder, target.split('#')[0] ?? '')),
    );
    t.same(dead, [], document);
  }
});

t.test('every path of the project that a document names exists', (t) => {
  const documents = ['README.md', ...readdirSync(join(PROJECT, 'docs')).map((name) => `docs/${name}`)];
  for (const document of documents) {
    const named = [
      ...readProjectFile(document).matchAll(/`((?:lib|bin|test|bench|scripts|examples|docs)\/[\w./-]+)`/g),
    ];
    const missing = named.map(([, path = '']) => path).filter((path) => !existsSync(join(PROJECT, path)));
    t.same(missing, [], document);
  }
  t.end();
});

t.test('no text uses a word that the glossary replaces', (t) => {
  const banned = tableRows(section(readProjectFile('docs/DESIGN.md'), '## Glossary')).flatMap(([, , not = '']) =>
    [...not.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word),
  );
  t.ok(banned.length > 10);
  const word = new RegExp(`\\b(?:${banned.join('|')})\\b`, 'gi');
  const sources = ['lib', 'bin'].flatMap((folder) =>
    readdirSync(join(PROJECT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`),
  );
  // Old releases said what they said, and so do measurements of them.
  const documents = ['README.md', ...readdirSync(join(PROJECT, 'docs')).map((name) => `docs/${name}`)].filter(
    (name) => name !== 'docs/BENCHMARKS.md',
  );
  const found = [...sources, ...documents].flatMap((name) => {
    const [text = ''] = readProjectFile(name).split('\n## Glossary\n');
    return text
      .split('\n')
      .flatMap((line, place) => [...line.matchAll(word)].map(([match]) => `${name}:${place + 1}: ${match}`));
  });
  t.same(found, []);
  t.end();
});

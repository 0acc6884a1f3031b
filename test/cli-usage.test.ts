/** How the command line behaves as a program: help, mistakes, outputs, exit codes, colour, logs. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { cli, cliProcess, ENTRY, environment, execute } from './cli-run.ts';

t.setTimeout(300_000); // a hundred processes

const READING = [
  ['status'],
  ['stats'],
  ['search', 'a'],
  ['versions', '0'.repeat(32)],
  ['clients'],
  ['categories'],
  ['health'],
  ['query', 'SELECT 1'],
];

/** An empty catalogue, made once. */
const home = t.testdir({ data: {} });
const database = join(home, 'catalog.db');
const asked = (...args: string[]) => cli([...args, '--database', database]);

t.before(async () => {
  const { code } = await asked('ingest', join(home, 'data'), '--client', 'laptop');
  if (code !== 0) throw new Error('the catalogue for the tests could not be made');
});

t.test('a command leaves the same whether a process of its own runs it or this one', async (t) => {
  const cwd = t.testdir();
  const env = { DATABASE_NAME: database, FORCE_COLOR: '1' };
  for (const [code, ...args] of [
    [0, '--help'],
    [0, 'query', "SELECT 'a' AS text"],
    [0, 'clients', '--log-level', 'warn'],
    [1, 'query', 'SELEC'],
    [1, 'status', '--database', 'none.db'],
    [2],
    [2, 'serch', 'x'],
  ] as const) {
    const [own, here] = [await cliProcess(args, { cwd, env }), await cli(args, { cwd, env })];
    t.same(here, own, args.join(' '));
    t.equal(own.code, code);
  }
  const logged = await cliProcess(['status', '--log-level', 'info'], { cwd, env });
  t.match(JSON.parse(logged.stderr.split('\n')[0] ?? ''), { level: 30, module: 'database' });
});

t.test('help is data, a missing command is a mistake', async (t) => {
  const help = await cli(['--help']);
  t.match(help, { code: 0, stderr: '' });
  for (const name of [...READING.map(([name]) => name), 'ingest', 'completion']) t.match(help.stdout, `  ${name} `);
  const ofCommand = await cli(['search', '--help']);
  t.match(ofCommand, { code: 0, stderr: '', stdout: /Example:\n {2}\$ backup-catalog search / });
  t.match(ofCommand.stdout, '--database <value>', 'the settings of every command are told as well');
  t.same(await cli(['help']), help);
  t.same(await cli(['help', 'search']), ofCommand);
  for (const command of ['search', 'quota', 'ingest']) {
    const { stdout } = await cli([command, '--help']);
    t.match(stdout.replaceAll(/\s+/g, ' '), '10M and 10MB mean the same, 10 x 1024 x 1024 bytes', command);
  }
  t.match(await cli(['--version']), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/, stderr: '' });
  t.match(await cli([]), { code: 2, stdout: '', stderr: /Usage:/ });
});

t.test('a mistake in what was typed is told in one sentence, with exit code 2', async (t) => {
  const mistakes: [args: string[], message: RegExp][] = [
    [['serch', 'x'], /unknown command 'serch'\n\(Did you mean search\?\)\nSee --help\./],
    [['search', 'x', '--limits', '3'], /unknown option '--limits'\n\(Did you mean --limit\?\)/],
    [['search'], /missing required argument 'term'/],
    [['search', 'x', 'y'], /too many arguments/],
    [
      ['search', 'x', '--limit', 'ten'],
      /'--limit <rows>' argument 'ten' is invalid\. Accepted: a whole number from 1 to/,
    ],
    [
      ['search', 'x', '--limit', '1001'],
      /'--limit <rows>' argument '1001' is invalid\. Accepted: a whole number from 1 to 1000\./,
    ],
    [
      ['clients', '--limit', '0'],
      /'--limit <rows>' argument '0' is invalid\. Accepted: a whole number from 1 to 1000\./,
    ],
    [['search', 'x', '--min-size', 'big'], /Accepted: bytes, or a size such as 10MiB/],
    [
      ['search', 'x', '--from', 'May'],
      /error: --from: got "May"; accepted: a date such as 2025-03-01, or a time such as/,
    ],
    [['search', 'x', '--from', '2025-03-02', '--to', '2025-03-01T23:00'], /error: --from is later than --to/],
    [['search', 'x', '--min-size', '2', '--max-size', '1'], /error: --min-size is larger than --max-size/],
    [
      ['search', 'x', '--category', 'imag'],
      /error: --category: got "imag"; accepted: one of archive, audio, .*, video\. Did you mean image\?\n$/,
    ],
    [['search', 'x', '--category', 'picture'], /error: --category: got "picture"; accepted: one of .*, video\.\n$/],
    [
      ['clients', '--cursor', 'nonsense'],
      /--cursor: got "nonsense"; accepted: the cursor that the same command printed under its/,
    ],
    [
      ['backups', '--prune', '--keep-last', '0'],
      /rules: got no rule that keeps anything; accepted: at least one of --keep-last, .* above 0, or --max-age-days\./,
    ],
    [
      ['prune'],
      /rules: got no rule that keeps anything; accepted: at least one of .*--keep-within, with a value above 0\./,
    ],
    [['backup', '--output', 'my.zst'], /error: --output: got my\.zst; accepted: a name without \.zst, or --compress/],
    [['backup', '--output', 'my.db', '--compress'], /error: --output: got my\.db; accepted: a name that ends in \.zst/],
    [['restore', 'my.db'], /error: without a terminal to ask on, `restore` needs --yes; nothing was changed\.\n$/],
    [['rollback'], /error: --to VERSION is required/],
    [['versions', ''], /error: <file>: got ""; accepted: the id of a file, its name, or its path/],
    [['help', 'serch'], /^error: unknown command 'serch'\. Did you mean search\?\n$/],
    [['help', 'frob'], /^error: unknown command 'frob'\. Known: ingest, status, /],
    [['versions', 'report.pdf', '--path', 'x'], /--path needs --client/],
    [['query', 'BEGIN'], /<sql>: got "BEGIN"; accepted: a statement that reads or changes rows/],
    [
      ['status', '--pool-size', '0'],
      /'--pool-size <value>' argument '0' is invalid\. Accepted: a whole number from 1 to/,
    ],
    [['status', '--log-level', 'loud'], /Allowed choices are trace, debug/],
    [['ingest', '.'], /required option '--client <name>' not specified/],
    [['ingest', '.', '--cleint', 'a'], /unknown option '--cleint'\n\(Did you mean --client\?\)/],
    [['ingest', '.', '--client', 'a', '--quota', 'much'], /Accepted: bytes, a size such as 500GiB, or 'unlimited'/],
    [['ingest', ENTRY, '--client', 'a'], /backup-catalog\.ts is not a folder/],
    [['ingest', '', '--client', 'a'], /error: the name of the folder is empty; `\.` is the current folder\.\n$/],
    [['search', 'x', '--client', ''], /^error: --client: got ""; accepted: a text of 1 to 255 characters/],
    [['quota', ''], /^error: \[client\]: got ""; accepted: a text of 1 to 255 characters/],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
  ];
  const results = await Promise.all(mistakes.map(([args]) => asked(...args)));
  for (const [index, [args, message]] of mistakes.entries()) {
    t.match(results[index], { code: 2, stdout: '', stderr: message }, args.join(' '));
    t.notMatch(results[index]?.stderr, /\n {4}at /, 'no stack');
  }
  t.match(await cli(['status', '--database', ':memory:']), { code: 2, stderr: /accepted: the path of a file/ });
});

t.test('a database that does not exist is told and not made', async (t) => {
  const dir = t.testdir();
  const ask = (args: string[]) => cli([...args, '--database', 'none.db'], { cwd: dir });
  const stderr = /^error: \S+none\.db does not exist\. Check --database; .*\n$/;
  for (const result of await Promise.all(READING.map(ask))) t.match(result, { code: 1, stdout: '', stderr });
  t.notOk(existsSync(join(dir, 'none.db')));
  const where = await cli(['ingest', dir, '--client', 'a', '--database', 'no/such.db'], { cwd: dir });
  t.match(where, { code: 1, stderr: /such\.db cannot be created: no such file or directory \(ENOENT\)\. Check that/ });
});

t.test('the flag names the database, else the environment, else the default', async (t) => {
  const dir = t.testdir();
  const env = { DATABASE_NAME: 'from-env.db' };
  t.match(await cli(['status'], { cwd: dir, env }), { code: 1, stderr: /from-env\.db does not exist/ });
  t.match(await cli(['status', '--database', 'x.db'], { cwd: dir, env }), { stderr: /x\.db does not exist/ });
  t.match(await cli(['status'], { cwd: dir }), { stderr: /defensive\.db does not exist/ });
  const wrong = await cli(['status'], { cwd: dir, env: { CONNECTION_POOL_SIZE: 'many' } });
  t.match(wrong, { code: 2, stderr: /environment variable CONNECTION_POOL_SIZE: got "many"/ });
});

t.test('completion: a script that knows every command and option', async (t) => {
  const { code, stdout, stderr } = await cli(['completion', 'bash']);
  t.match({ code, stderr }, { code: 0, stderr: '' });
  const script = join(home, 'completion.bash');
  await writeFile(script, stdout);
  const complete = async (...words: string[]) => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
    const ask = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _backup_catalog; echo "${COMPREPLY[*]}"';
    return (await execute('bash', ['-c', ask, script, 'backup-catalog', ...words])).stdout.trim();
  };
  t.equal(await complete('st'), 'status stats');
  t.equal(await complete('ingest', '--'), (await complete('--')).replace(/^/, '--client --quota '));
  t.equal(await complete('--database', 'st'), '', 'a value is not a command');
  t.equal(await complete('--database', 'x.db', 'hea'), 'health');
  t.equal(await complete('status', '--log-level', 'd'), 'debug');
  t.equal(await complete('completion', ''), 'bash zsh fish');
  t.match((await cli(['completion', 'zsh'])).stdout, /^#compdef backup-catalog\n/);
  t.match((await cli(['completion', 'fish'])).stdout, "-n '__fish_seen_subcommand_from health' -l full -d '");
  t.match((await cli(['completion'], { env: { SHELL: '/usr/bin/fish' } })).stdout, /^# fish/);
  t.match((await cli(['completion'], { env: { SHELL: '/bin/tcsh' } })).stdout, /^# bash/);
});

t.test('colour is for terminals, and for nobody who sets NO_COLOR', async (t) => {
  const bold = '\u001b[1m';
  t.notMatch((await asked('clients')).stdout, bold);
  const ask = (env: NodeJS.ProcessEnv) => cli(['clients', '--database', database], { env });
  t.match((await ask({ FORCE_COLOR: '1' })).stdout, bold);
  t.notMatch((await ask({ NO_COLOR: '1' })).stdout, bold);
});

t.test('a reader that leaves early is no error, a full disk is one', async (t) => {
  const rows = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n';
  const pipe = 'set -o pipefail; "$@" | head -n 1';
  const command = [process.execPath, ENTRY, 'query', rows, '--database', database];
  t.same(await execute('bash', ['-c', pipe, '-', ...command]), {
    code: 0,
    stdout: '     i\n',
    stderr: '100,000 rows\n',
  });
  if (!existsSync('/dev/full')) return;
  const full = await execute('bash', ['-c', '"$@" > /dev/full', '-', ...command]);
  t.match(full, { code: 1, stderr: /error: the output cannot be written: ENOSPC/ });
});

t.test('the log goes to stderr as JSON lines; a stack is for those who debug', async (t) => {
  const info = await asked('status', '--log-level', 'info', '--json');
  t.match(JSON.parse(info.stderr.split('\n')[0] ?? ''), { level: 30, module: String, msg: String });
  t.ok(JSON.parse(info.stdout), 'and does not mix with the data');
  const failed = await asked('query', 'SELEC', '--log-level', 'debug');
  const lines = failed.stderr.split('\n').filter((line) => line.startsWith('{'));
  t.match(JSON.parse(lines.at(-1) ?? ''), { msg: 'the command failed', err: { stack: /\n {4}at / } });
});

t.test('an old Node.js is told plainly, before anything is loaded', async (t) => {
  const pretend = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.1.0' } })";
  const result = await execute(process.execPath, ['--import', `data:text/javascript,${pretend}`, ENTRY, 'status']);
  t.same(result, {
    code: 1,
    stdout: '',
    stderr: 'error: backup-catalog needs Node.js 22.15 or newer; this is 20.1.0\n',
  });
});

t.test('an output that cannot be written ends no command, and is told by the exit code', async (t) => {
  const dir = t.testdir({ data: { 'a.txt': 'hello' } });
  const file = join(dir, 'catalog.db');
  /** Runs the command line with its outputs as the shell is told; one that hangs is killed. */
  const redirected = (redirection: string, ...args: string[]) => {
    const command = ['-c', `exec "$@" ${redirection}`, '-', process.execPath, ENTRY, ...args, '--database', file];
    return execute('bash', command, { timeout: 60_000, killSignal: 'SIGKILL' });
  };
  const ingest = ['ingest', join(dir, 'data'), '--client'];
  const catalogued = '1 file catalogued, 5 B: 1 new or changed, 0 unchanged\n';
  // EBADF: a descriptor that is open for reading only.
  t.same(await redirected('2</dev/null', ...ingest, 'a'), { code: 1, stdout: catalogued, stderr: '' });
  t.match(await redirected('1</dev/null', 'status'), {
    code: 1,
    stderr: /^error: the output cannot be written: EBADF/,
  });
  t.match(await redirected('2</dev/null', 'backup'), { code: 1, stdout: /backups\/catalog-.*\.db\n$/ });
  // EPIPE: a reader that has left.
  const args = [ENTRY, ...ingest, 'b', '--database', file];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment() });
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.stderr.destroy();
  t.same([await text(child.stdout), await ended], [catalogued, 0]);
  if (!existsSync('/dev/full')) return;
  // ENOSPC: a full disk.
  t.same(await redirected('2>/dev/full', ...ingest, 'c'), { code: 1, stdout: catalogued, stderr: '' });
  t.match(await redirected('2>/dev/full', 'status', '--log-level', 'debug'), { code: 1, stdout: /Clients {3}3\n/ });
  t.same(await redirected('>/dev/full 2>/dev/full', 'status'), { code: 1, stdout: '', stderr: '' });
  t.same(await redirected('2>/dev/full', 'serch'), { code: 2, stdout: '', stderr: '' }, 'a mistake stays one');
});

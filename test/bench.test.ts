/** The parts of `npm run bench` that decide what its figures mean: what was asked for, turns, ratios, and what it leaves behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import t from 'tap';
import { readArguments } from '../bench/arguments.ts';
import { compare } from '../bench/comparison.ts';
import { takeTurns } from '../bench/measure.ts';
import { comparisonTable, worsened } from '../bench/report.ts';
import { chosenSuites } from '../bench/suites.ts';

t.test('what the command line asks for', (t) => {
  const { cache, ...usual } = readArguments([]);
  t.type(cache, 'string');
  const defaults = { rows: 10_000, rounds: 5, files: null, callers: 64, attempts: 3 };
  t.same(usual, { ...defaults, suites: [], json: false, help: false, beside: null });
  const args = ['saves', 'open', '--beside', 'HEAD~2', '--rows', '2_000', '--files=500', '--no-cache', '--json'];
  t.same(readArguments(args), {
    ...defaults,
    suites: ['saves', 'open'],
    json: true,
    help: false,
    beside: 'HEAD~2',
    cache: null,
    rows: 2_000,
    files: 500,
  });
  t.throws(() => readArguments(['--beside']), { code: 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE' });
  t.throws(() => readArguments(['--besides', 'HEAD']), { code: 'ERR_PARSE_ARGS_UNKNOWN_OPTION' });
  t.throws(() => readArguments(['--rounds', '0']), new RangeError('--rounds takes a whole number above 0, not 0'));
  t.same(
    chosenSuites(['open', 'saves']).map(([name]) => name),
    ['saves', 'open'],
  );
  t.notOk(
    chosenSuites([]).some(([name]) => name === 'peers'),
    'it runs only when it is named',
  );
  t.throws(() => chosenSuites(['saved']), /^there is no suite saved; there are saves, /);
  t.end();
});

const paired = (unit: string, now: readonly number[], beside: readonly number[]) =>
  compare({ suite: 'saves', name: 'a save', unit, now, beside });

t.test('a ratio is taken between rounds that ran next to each other', (t) => {
  // The machine slows down from round to round, and this tree takes half as long again each time.
  t.same(paired('us', [150, 300, 600], [100, 200, 400]), {
    suite: 'saves',
    name: 'a save',
    unit: 'us',
    now: { median: 300, low: 150, high: 600 },
    beside: { median: 200, low: 100, high: 400 },
    ratio: { median: 1.5, low: 1.5, high: 1.5 },
    verdict: null,
  });
  t.same(paired('ms', [1, 8, 4], [2, 2, 2]).ratio, { median: 2, low: 0.5, high: 4 });
  t.same(paired('ms', [0, 0, 1], [0, 2, 0]).ratio, { median: 1, low: 0, high: Number.POSITIVE_INFINITY });
  t.throws(() => paired('us', [1, 2], [1]), RangeError);
  t.end();
});

t.test('worse is what no round of the other was as bad as', (t) => {
  const [lower, higher] = [
    [1, 2, 3],
    [4, 5, 6],
  ] as const;
  t.equal(paired('us', higher, lower).verdict, 'worse');
  t.equal(paired('us', lower, higher).verdict, 'better');
  t.equal(paired('/s', higher, lower).verdict, 'better');
  t.equal(paired('/s', lower, higher).verdict, 'worse');
  t.equal(paired('us', [3, 4, 5], lower).verdict, null, 'one round is as good');
  t.equal(paired('x', higher, lower).verdict, null, 'a ratio has no better side');
  t.equal(paired('us', [4, 5], [1, 2]).verdict, null, 'two rounds say nothing');
  const comparisons = [paired('us', higher, lower), paired('/s', [1_000, 2_000, 3_000], lower)];
  t.equal(
    comparisonTable(['now', 'e189240'], comparisons),
    `${[
      'figure         unit    now  from - to      e189240  from - to    now / e189240  from - to',
      '-------------  ----  -----  -------------  -------  -----------  -------------  -------------  ------',
      'saves: a save  us     5.00  4.00 - 6.00       2.00  1.00 - 3.00           2.50  2.00 - 4.00    worse',
      'saves: a save  /s    2,000  1,000 - 3,000     2.00  1.00 - 3.00          1,000  1,000 - 1,000  better',
    ].join('\n')}\n`,
  );
  t.equal(
    worsened(comparisons),
    '1 of 2 figures worse by more than the rounds differ\n  worse: saves: a save: 2.50 times',
  );
  t.end();
});

t.test('contestants take turns, who is first changes, and the turn that warms up is dropped', async (t) => {
  const order: string[] = [];
  const contestant = (name: string) => (round: number) => {
    order.push(`${name}${round}`);
    return { figure: round };
  };
  const { ran, figures } = await takeTurns(
    { now: contestant('now'), beside: contestant('beside') },
    { rounds: 2, attempts: 1 },
  );
  t.same(order, ['now0', 'beside0', 'beside1', 'now1', 'now2', 'beside2']);
  t.equal(ran, 3);
  t.same([...figures.now.figure].sort(), [1, 2]);
  t.same(figures.now, figures.beside, 'each place has the rounds of one turn');
});

t.test('a run that is stopped leaves no folder and no process', async (t) => {
  const url = (module: string) => JSON.stringify(new URL(`../bench/${module}.ts`, import.meta.url));
  const script = `import { runChild } from ${url('child-process')};
    import { TemporaryFolder } from ${url('temporary-folder')};
    using folder = await TemporaryFolder.make();
    console.log(folder.path);
    await runChild('sh', ['-c', 'sleep 1000 & echo working >&2; wait'], folder.path);`;
  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '--eval', script]);
    const line = async (stream: NodeJS.ReadableStream) => String((await once(createInterface(stream), 'line'))[0]);
    const [folder, working] = await Promise.all([line(child.stdout), line(child.stderr)]);
    t.equal(working, 'working');
    t.ok(existsSync(folder), folder);
    child.kill(signal);
    // Also `sleep` has the streams of this child, which close when nobody has them any more.
    t.same(await once(child, 'close'), [exitCode, null], signal);
    t.notOk(existsSync(folder), 'the folder is gone');
  }
});

/** The library's own threads and processes: what they are started with, and what becomes of those that cannot be. */
import { getEventListeners } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { DatabaseError, DatabaseManager } from '../lib/index.ts';
import { type ChildOrder, runChild } from '../lib/runtime/child-process.ts';
import { slowSum } from './fixtures/procedures.ts';
import { runToEnd } from './fixtures/process.ts';

t.setTimeout(120_000);

const APPLICATION = fileURLToPath(new URL('./fixtures/application.ts', import.meta.url));

/** A module to be preloaded that writes a line into a file wherever it runs: the process, and its thread or 0. */
function marker(folder: string, name: string) {
  const [module, marks] = [join(folder, `${name}.mjs`), join(folder, `${name}.txt`)];
  writeFileSync(
    module,
    `import { appendFileSync } from 'node:fs';
    import { threadId } from 'node:worker_threads';
    appendFileSync(${JSON.stringify(marks)}, \`\${process.pid} \${threadId}\\n\`);`,
  );
  writeFileSync(marks, '');
  return { url: pathToFileURL(module).href, marks: () => readFileSync(marks, 'utf8').split('\n').filter(Boolean) };
}

t.test('a preload of the application runs in its main thread and nowhere else', async (t) => {
  const folder = t.testdir();
  const [flag, option] = [marker(folder, 'flag'), marker(folder, 'option')];
  const env = { NODE_OPTIONS: `--import=${option.url}` };
  const args = ['--import', flag.url, APPLICATION, 'use', folder];
  const ended = await runToEnd(process.execPath, args, { cwd: folder, env });
  t.same(ended, { code: 0, signal: null, stdout: 'done', stderr: '' });
  const mainThread = [/^\d+ 0$/];
  t.match(flag.marks(), mainThread);
  t.match(option.marks(), mainThread);
  t.same([flag.marks().length, option.marks().length], [1, 1]);
});

t.test('threadArgv is for the threads of connections', async (t) => {
  const folder = t.testdir();
  const database = join(folder, 'catalogue.db');
  const flag = marker(folder, 'flag');
  const loader = join(folder, 'loader.mjs');
  const source = `export * from '${new URL('./fixtures/procedures.ts', import.meta.url).href}'`;
  writeFileSync(
    loader,
    `import { registerHooks } from 'node:module';
    const url = 'made-up:procedures';
    registerHooks({
      resolve: (name, context, next) => (name === url ? { url, format: 'module', shortCircuit: true } : next(name, context)),
      load: (name, context, next) =>
        name === url ? { format: 'module', source: ${JSON.stringify(source)}, shortCircuit: true } : next(name, context),
    });`,
  );
  const threadArgv = ['--import', flag.url, '--import', pathToFileURL(loader).href];
  const db = await DatabaseManager.open({ database, threadArgv, procedureModules: ['made-up:procedures'] });
  t.teardown(() => db.close());
  t.equal(await db.run(slowSum, 10), 55, 'the loader is at work');
  await db.backups.create();
  await db.maintenance.checkIntegrity();
  const { readers, writers } = db.stats();
  const marks = flag.marks();
  t.equal(marks.length, readers.created + writers.created, 'one run for each connection');
  const threads = marks.map((mark) => mark.split(' '));
  t.ok(threads.every(([pid, thread]) => pid === String(process.pid) && thread !== '0'));

  const odd = Object.assign(['--no-warnings'], {
    toJSON() {
      throw new RangeError('never asked');
    },
  });
  for (const flags of [odd, new Proxy(['--no-warnings'], {})]) {
    await (await DatabaseManager.open({ database, threadArgv: flags })).close();
  }
  const refused = { code: 'CATALOG_VALIDATION', field: 'threadArgv', received: '["--title=x"]' };
  await t.rejects(DatabaseManager.open({ database, threadArgv: ['--title=x'] }), refused);
  const gone = pathToFileURL(join(folder, 'gone.mjs')).href;
  await t.rejects(DatabaseManager.open({ database, threadArgv: ['--import', gone] }), {
    code: 'CATALOG_IO',
    hint: /threadArgv/,
    cause: { message: /gone\.mjs/ },
  });
});

const LATE = new DatabaseError('CATALOG_TIMEOUT', 'too late');

/** Runs the script of the tests; `order` says what it does. */
const runOrder = (order: string, more: Partial<ChildOrder> = {}) =>
  runChild({
    script: '../test/fixtures/child',
    order,
    deadlineMs: 120_000,
    late: () => LATE,
    failed: 'no answer',
    ...more,
  });

const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

/** Fails unless the call leaves neither a timer nor a listener behind. */
async function assertTidy(t: Test, call: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const { signal } = new AbortController();
  const before = timers();
  await call(signal);
  t.equal(timers(), before, 'no timer is left');
  t.equal(getEventListeners(signal, 'abort').length, 0, 'and no listener');
}

t.test('the answer of a process is its last line of JSON; each line is heard as it comes', async (t) => {
  const lines: object[] = [];
  await assertTidy(t, async (signal) => {
    const answer = await runOrder('answer', { signal, onLine: (line) => void lines.push(line) });
    t.same(answer, { answer: { flags: ['--no-warnings'], path: process.env['PATH'] } }, 'flags are not inherited');
  });
  t.match(lines, [{ pid: Number }, { step: 1 }, { answer: Object }]);
  t.equal(lines.length, 3);
  t.same(await runOrder('answer without a line end'), { answer: 1 });
});

t.test('a process that ends otherwise gives no answer, and the cause says how it ended', async (t) => {
  const ends: [string, RegExp][] = [
    ['nothing', /exit code 0 and gave no answer: no output/],
    ['answer and fail', /exit code 1 .*RangeError: out of reach/s],
    ['answer and be killed', /SIGKILL and gave no answer/],
  ];
  for (const [order, message] of ends) {
    await assertTidy(t, (signal) =>
      t.rejects(runOrder(order, { signal }), { code: 'CATALOG_IO', message: 'no answer', cause: { message } }, order),
    );
  }
});

t.test('a process is killed at its deadline, by the signal, and when the listener throws', async (t) => {
  const isGone = (pid: number | undefined) => t.throws(() => process.kill(pid ?? 0, 0), { code: 'ESRCH' });
  let pid: number | undefined;
  const remember = (line: object) => {
    pid = (line as { pid: number }).pid;
  };
  await assertTidy(t, (signal) => t.rejects(runOrder('hang', { signal, deadlineMs: 1 }), LATE));
  const stop = new AbortController();
  const reason = new Error('enough');
  const onLine = (line: object) => {
    remember(line);
    stop.abort(reason);
  };
  await t.rejects(runOrder('hang', { signal: stop.signal, onLine }), reason);
  isGone(pid);
  t.equal(getEventListeners(stop.signal, 'abort').length, 0);
  await t.rejects(runOrder('hang', { signal: stop.signal }), reason, 'nothing is started any more');
  const thrown = new Error('the listener');
  const throwing = (line: object) => {
    remember(line);
    throw thrown;
  };
  await assertTidy(t, (signal) => t.rejects(runOrder('hang', { signal, onLine: throwing }), thrown));
  isGone(pid);
  let other = 0;
  const stopAtOther = (line: object) => {
    if (!('other' in line)) return;
    other = Number(line.other);
    throw thrown;
  };
  await t.rejects(runOrder('hang beside another that has the pipe', { onLine: stopAtOther }), thrown);
  t.ok(process.kill(other, 'SIGKILL'), 'a process that holds the pipe is not waited for');
  t.same(await runOrder('answer without a line end', { deadlineMs: 2 ** 40 }), { answer: 1 }, 'later than any timer');
});

t.test('a process that cannot be started is a typed error with advice, and leaves nothing behind', async (t) => {
  const { execPath } = process;
  t.teardown(() => {
    process.execPath = execPath;
  });
  const folder = t.testdir({ 'no-program': '' });
  const cases: [string, object][] = [
    [
      join(folder, 'gone'),
      { hint: /cannot be started any more: check whether .*gone still exists/, cause: { code: 'ENOENT' } },
    ],
    [join(folder, 'no-program'), { hint: /cannot be started any more/, cause: { code: 'EACCES' } }],
    ['a\0b', { cause: { code: 'ERR_INVALID_ARG_VALUE' } }], // thrown by spawn instead of being told by an event
  ];
  for (const [path, expected] of cases) {
    process.execPath = path;
    await assertTidy(t, (signal) =>
      t.rejects(runOrder('answer', { signal }), { code: 'CATALOG_IO', message: 'no answer', ...expected }),
    );
  }
  process.execPath = execPath;

  const limited = `import { openSync } from 'node:fs';
    import { runChild } from ${JSON.stringify(new URL('../lib/runtime/child-process.ts', import.meta.url).href)};
    const order = { script: '../test/fixtures/child', order: 'answer', deadlineMs: 1e6, late: () => {}, failed: 'no answer' };
    try { for (;;) openSync('/dev/null'); } catch {}
    await runChild(order).catch(({ code, hint, retryable, cause }) => console.log(code, cause.code, retryable, hint));`;
  writeFileSync(join(folder, 'limited.mjs'), limited);
  const command = 'ulimit -n 64; unset NODE_OPTIONS NODE_V8_COVERAGE; exec "$0" "$@"';
  const args = ['-c', command, process.execPath, join(folder, 'limited.mjs')];
  t.match(await runToEnd('sh', args, { cwd: folder }), {
    code: 0,
    stdout: /^CATALOG_IO EMFILE true .*no free memory, process or file descriptor/,
    stderr: '',
  });
});

t.test('the permission model of Node.js is told as what it is', async (t) => {
  const folder = t.testdir();
  const permitted = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*', '--allow-addons'];
  const ask = async (...more: string[]) => {
    const args = [...permitted, ...more, '--no-warnings', APPLICATION, 'check', folder];
    const { stdout, stderr } = await runToEnd(process.execPath, args, { cwd: folder, env: { NODE_OPTIONS: '' } });
    return stdout === '' ? stderr : JSON.parse(stdout);
  };
  t.match(await ask(), { code: 'CATALOG_IO', hint: /--allow-worker\.$/ });
  t.match(await ask('--allow-worker'), { code: 'CATALOG_IO', hint: /--allow-child-process\.$/ });
});

/** Every example does what is said of it, run as a user runs it, and again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import t, { type Test } from 'tap';
import { DatabaseManager } from '../lib/index.ts';
import { PROJECT } from './fixtures/documents.ts';
import { parseExposition } from './fixtures/exposition.ts';
import { runScript } from './fixtures/process.ts';

t.setTimeout(120_000); // a dozen processes, on a machine that may be busy

const example = (name: string) => join(PROJECT, 'examples', `${name}.ts`);

/** Runs a program of the project and expects it to end well, saying nothing but its output. */
async function output(t: Test, script: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await runScript(script, args, { cwd });
  t.same({ code, stderr }, { code: 0, stderr: '' }, `${script} ends well`);
  return stdout;
}

t.test('every example is run here', async (t) => {
  const names = readdirSync(join(PROJECT, 'examples')).sort();
  t.same(names, [
    'basic.ts',
    'monitoring.ts',
    'opentelemetry.ts',
    'procedures.ts',
    'server.ts',
    'sessions.ts',
    'start.ts',
    'transaction.ts',
  ]);
});

t.test('examples/basic.ts', async (t) => {
  const folder = t.testdir();
  const last = `1 match, USED of 1073741824 bytes used
health: pass, 1 client, 1 file
`;
  const first = `report.pdf is version 1, application/pdf, document
saved again: changed false; edited: changed true, version 2
  version 1: 48213 bytes
  version 2: 51002 bytes, current
`;
  t.equal(await output(t, example('basic'), [], folder), first + last.replace('USED', '99215'));
  const second = `report.pdf is version 3, application/pdf, document
saved again: changed false; edited: changed true, version 4
  version 1: 48213 bytes
  version 2: 51002 bytes
  version 3: 48213 bytes
  version 4: 51002 bytes, current
`;
  t.equal(await output(t, example('basic'), [], folder), second + last.replace('USED', '198430'), 'and again');
});

t.test('examples/transaction.ts', async (t) => {
  const folder = t.testdir();
  const expected = (suffix: string) => `workstation${suffix} has 400000 bytes
CATALOG_QUOTA_EXCEEDED: 2000000 bytes do not fit: 0 of 1000000 bytes are used
too-large exists: false
CATALOG_DUPLICATE_CLIENT: the client name "workstation${suffix}" is taken
laptop${suffix} exists: true
CATALOG_CONFLICT: Use the connection that the callback receives.
CATALOG_TIMEOUT: retryable true
`;
  t.equal(await output(t, example('transaction'), [], folder), expected(''));
  t.equal(await output(t, example('transaction'), [], folder), expected('-2'), 'and again');
});

t.test('examples/procedures.ts', async (t) => {
  const folder = t.testdir();
  const expected = `a live token finds its client: true
an expired one finds: undefined
tablet: 6 sessions ended
sessions left after their client was deleted: 0
`;
  for (const time of ['first', 'second']) {
    const [commits = '', ...rest] = (await output(t, example('procedures'), [], folder)).split(/(?<=\n)/);
    // What the catalogue does by itself now and then may be a commit of its own.
    t.match(commits, /^40 changes, commits: [12]\n$/, 'sessions and files share a commit');
    t.equal(rest.join(''), expected, `the ${time} time`);
  }
});

t.test('examples/start.ts', async (t) => {
  const folder = t.testdir({ project: { 'package.json': '{}', src: { 'main.ts': 'export {};\n' } } });
  const args = [join(folder, 'project'), join(folder, 'demo', 'catalog.db')];
  const { code, stdout, stderr } = await runScript(example('start'), args, { cwd: folder });
  t.equal(code, 0, stderr);
  t.match(stdout, '2 regular files, and every one is in the catalogue');
});

t.test('examples/opentelemetry.ts', async (t) => {
  const folder = t.testdir();
  // What the catalogue does by itself now and then has spans of its own.
  const spans = async () =>
    (await output(t, example('opentelemetry'), [], folder))
      .split('\n')
      .filter((line) => !/ (?:analytics|search)\./.test(line));
  const both = [
    'CLIENT files.save catalog.db: sqlite, write, in a transaction',
    'CLIENT files.save catalog.db: sqlite, write, CATALOG_QUOTA_EXCEEDED',
    '',
  ];
  const lookup = 'CLIENT clients.getByName catalog.db: sqlite, read';
  t.same(await spans(), [lookup, 'CLIENT clients.save catalog.db: sqlite, write', ...both]);
  t.same(await spans(), [lookup, ...both], 'and again');
});

t.test('examples/monitoring.ts', async (t) => {
  const folder = t.testdir();
  const database = join(folder, 'catalog.db');
  const { base, stop } = await startServer(t, 'monitoring', database);
  const ask = async (path: string) => {
    const response = await fetch(base + path);
    const type = response.headers.get('content-type') ?? '';
    return { status: response.status, type, text: await response.text() };
  };
  const HEALTH = /^application\/health\+json/;
  const live = await ask('/healthz');
  t.match(live, { status: 200, type: HEALTH });
  t.same(JSON.parse(live.text), { status: 'pass' });
  const ready = await ask('/readyz');
  t.match(ready, { status: 200, type: HEALTH });
  t.match(JSON.parse(ready.text), { status: /^(?:pass|warn)$/, version: /^\d/, checks: { 'database:size': [{}] } });
  t.match(await ask('/metrics'), { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8' });
  const up = async () =>
    parseExposition((await ask('/metrics')).text)
      .get('catalog_up')
      ?.series.get('catalog_up');
  while ((await up()) !== 1); // on a busy machine an answer may be late
  t.match(await ask('/nothing'), { status: 404 });

  rmSync(database);
  writeFileSync(`${database}-wal`, 'not a log');
  t.match(await ask('/healthz'), { status: 200 }, 'the process lives');
  t.match(await ask('/metrics'), { status: 200 }, 'and tells');
  await stop();
});

/** An example that serves as a process of its own, which gives up soon when this one holds the write lock. */
async function startServer(t: Test, name: string, argument: string) {
  const impatient = new URL('./fixtures/impatient.ts', import.meta.url).href;
  const child = spawn(process.execPath, ['--import', impatient, example(name), argument], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const problems: string[] = [];
  child.stderr.on('data', (chunk) => problems.push(String(chunk)));
  const died = once(child, 'exit').then(() => Promise.reject(new Error(`the server ended: ${problems.join('')}`)));
  died.catch(() => undefined); // it ends at the end of the test as well
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), died])) as [string];
  const base = line.replace('listening on ', '');
  t.match(base, /^http:\/\/127\.0\.0\.1:\d+$/, 'listens on the loopback address');

  const call = async (route: string, init: RequestInit = {}) => {
    const [method = 'GET', path = '/'] = route.split(' ');
    const response = await fetch(base + path, { method, ...init });
    const text = await response.text();
    const isJson = response.headers.get('content-type') === 'application/json';
    const body = isJson ? JSON.parse(text) : text;
    return { status: response.status, body, retryAfter: response.headers.get('retry-after') };
  };
  const stop = async () => {
    child.kill('SIGTERM');
    const [code, signal] = await once(child, 'exit');
    t.same({ code, signal, stderr: problems.join('') }, { code: 0, signal: null, stderr: '' }, 'ends gracefully');
  };
  return { base, call, stop };
}

t.test('examples/server.ts', async (t) => {
  const folder = t.testdir();
  const { base, call, stop } = await startServer(t, 'server', folder);
  const contents = () => readdirSync(join(folder, 'contents')).length;

  const registered = await call('POST /clients', { body: JSON.stringify({ name: 'laptop', publicKey: 'AAEC' }) });
  t.match(registered, { status: 201, body: { name: 'laptop', publicKey: 'AAEC', hasKey: false } });
  const { id } = registered.body;
  t.match(await call('GET /clients'), { status: 200, body: { clients: [{ id }], nextCursor: null } });
  t.match(await call(`GET /clients/${id}`), { status: 200, body: { id } });

  const upload = (query: string, init: RequestInit) => call(`PUT /clients/${id}/files${query}`, init);
  const repeated = { body: 'hello', headers: { 'idempotency-key': 'upload-1' } };
  const saved = await upload('?path=docs/a.txt', repeated);
  t.match(saved, { status: 201, body: { version: 1, created: true, file: { fileName: 'a.txt', fileSize: 5 } } });
  t.equal(saved.body.file.crc, 0x3610a686, 'the CRC-32 of hello');
  t.same(await upload('?path=docs/a.txt', repeated), saved, 'a repeated upload gets the first answer');
  t.equal(contents(), 1, 'and leaves no content behind');
  t.match(await upload('?path=docs/a.txt', { body: 'hello again' }), { status: 200, body: { version: 2 } });

  t.match(await call('GET /health'), { status: 200, body: { status: 'pass', totalClients: 1, totalFiles: 1 } });
  const { body: listed } = await call(`GET /clients/${id}/files?limit=1`);
  const [{ id: fileId }] = listed.files;
  t.match(await call(`GET /files/${fileId}`), { status: 200, body: { id: fileId, version: 2 } });
  t.match(await call(`GET /files/${fileId}/content`), { status: 200, body: 'hello again' });
  t.equal((await call(`GET /files/${fileId}/versions`)).body.length, 2);

  t.match(await call('POST /clients', { body: '{"name":"laptop"}' }), {
    status: 409,
    body: { code: 'CATALOG_DUPLICATE_CLIENT' },
  });
  t.match(await call('POST /clients', { body: '{"nam":"x"}' }), { status: 400, body: { code: 'CATALOG_VALIDATION' } });
  t.match(await call('POST /clients', { body: '{nam' }), { status: 400, body: { message: /not JSON/ } });
  t.match(await call(`GET /files/${id}`), { status: 404 });
  t.match(await upload('', { body: 'x' }), { status: 400 }, 'an upload needs a name');
  t.match(await call('GET /nothing'), { status: 404 });

  const db = await DatabaseManager.open({ database: join(folder, 'catalog.db') });
  t.teardown(() => db.close());
  await db.quotas.set(id, { quotaBytes: 20 });
  t.match(await upload('?path=docs/b.txt', { body: 'hello' }), {
    status: 413,
    body: { code: 'CATALOG_QUOTA_EXCEEDED', retryable: false },
  });
  t.equal(contents(), 2, 'what was refused leaves no content behind');

  const broken = request(`${base}/clients/${id}/files?path=docs/c.txt`, { method: 'PUT' });
  broken.on('error', () => undefined);
  broken.write('hel', () => broken.destroy());
  const failures = () => db.query("SELECT FileName FROM client_activity WHERE ActivityType = 'upload_failed'");
  while ((await failures()).length === 0); // the server hears of it in its own time
  t.same(await failures(), [{ FileName: 'c.txt' }], 'an upload that breaks off is counted');

  const whileLocked = await db.transaction(() => call('POST /clients', { body: '{"name":"other"}' }));
  t.match(whileLocked, { status: 503, retryAfter: '1', body: { code: 'CATALOG_BUSY', retryable: true } });
  t.match(await call('POST /clients', { body: '{"name":"other"}' }), { status: 201 }, 'the same call succeeds later');

  t.match(await call(`DELETE /files/${fileId}`), { status: 200, body: { bytes: 16, contents: 2 } });
  t.equal(contents(), 0, 'the contents went with their rows');
  await stop();
});

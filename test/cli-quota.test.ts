/** `quota` and `prune`: figures for terminals, pipes and machines, and freed contents that are never lost. */
import { spawn } from 'node:child_process';
import t, { type Test } from 'tap';
import { DatabaseManager } from '../lib/index.ts';
import { cli, cliOnTerminal, ENTRY, environment, finished, NO_TERMINAL } from './cli-run.ts';
import { openNew } from './fixtures/template.ts';

t.setTimeout(300_000); // dozens of processes

/** A catalogue of two clients, `laptop` with three versions of one file; asks the command line about it. */
async function prepare(t: Test) {
  const database = `${t.testdir()}/catalog.db`;
  const db = await openNew({ database, defaultQuotaBytes: 1_000 });
  const { id: laptop } = await db.clients.save({ name: 'laptop' });
  const { id: server } = await db.clients.save({ name: 'server\n2' });
  for (const n of [1, 2, 3]) {
    await db.files.save({ clientId: laptop, fileName: 'a.txt', pathName: `/store/${n}`, fileSize: 200 });
  }
  await db.files.save({ clientId: server, fileName: 'b.txt', pathName: '/store/3', fileSize: 1_000 });
  await db.quotas.reserve(laptop, 100);
  await db.close();
  const asked = (...args: string[]) => cli([...args, '--database', database]);
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await asked(...args, '--json');
    if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
    return JSON.parse(stdout);
  };
  return { database, laptop, server, asked, json };
}

t.test('quota: the library’s own result for machines, bytes for pipes', async (t) => {
  const { laptop, server, asked, json } = await prepare(t);
  const quota = { quotaBytes: 1_000, usedBytes: 600, reservedBytes: 100, warningThreshold: 0.8 };
  const quotas = [
    { clientId: laptop, ...quota },
    { clientId: server, ...quota, usedBytes: 1_000, reservedBytes: 0 },
  ];
  t.same(await json('quota'), { quotas, nextCursor: null });
  t.same(await json('quota', 'laptop'), quotas[0]);
  t.same(await asked('quota'), {
    code: 0,
    stdout: 'CLIENT     USED  RESERVED  LIMIT\nlaptop      600       100   1000\nserver\\n2  1000         0   1000\n',
    stderr: '',
  });
  t.match(await asked('quota', '--limit', '1'), { stdout: /laptop/, stderr: /add --cursor \S+\n$/ });
});

t.test('quota --set takes sizes and no limit', async (t) => {
  const { laptop, asked, json } = await prepare(t);
  const quota = { clientId: laptop, usedBytes: 600, reservedBytes: 100, warningThreshold: 0.8 };
  t.same(await json('quota', 'laptop', '--set', '10GiB'), { ...quota, quotaBytes: 10 * 2 ** 30 });
  t.same(await json('quota', 'laptop', '--set', 'unlimited'), { ...quota, quotaBytes: null });
  t.match(await asked('quota', 'laptop'), { stdout: 'laptop   600       100  unlimited\n' });
  t.same(await json('quota', 'laptop', '--set', '0'), { ...quota, quotaBytes: 0 });
  t.match(await asked('ingest', t.testdirName, '--client', 'new', '--quota', 'unlimited'), { code: 0 });
  t.match(await json('quota', 'new'), { quotaBytes: null });
  t.match(await asked('quota', 'laptop', '--set', 'much'), { code: 2, stdout: '', stderr: /500GiB.*unlimited/ });
  t.match(await asked('quota', '--set', '1'), { code: 2, stderr: /the name of a client/ });
  t.match(await asked('quota', 'nobody'), { code: 1, stdout: '', stderr: /client nobody does not exist/ });
});

t.test('quota: a bar for each client on a terminal', { skip: NO_TERMINAL }, async (t) => {
  const { database, json } = await prepare(t);
  await json('quota', 'laptop', '--set', '700');
  const shown = await cliOnTerminal(['quota', '--database', database], { NO_COLOR: '1' });
  const [, first, second] = shown.stdout.split('\r\n');
  t.equal(first, 'laptop     █████████████████████▒▒▒   85.7 %   600 B     100 B   700 B  warning');
  t.equal(second, 'server\\n2  ████████████████████████  100.0 %  1000 B       0 B  1000 B  full');
});

t.test('quota --audit finds drift, and repairs it when asked', async (t) => {
  const { database, laptop, asked, json } = await prepare(t);
  const db = await DatabaseManager.open({ database });
  await db.execute('UPDATE client_quotas SET UsedBytes = 5 WHERE ClientID = ?', [Buffer.from(laptop, 'hex')]);
  await db.close();
  const clients = [{ clientId: laptop, recordedBytes: 5, actualBytes: 600, driftBytes: -595 }];
  t.same(await json('quota', '--audit'), { checked: 2, repaired: 0, driftBytes: 595, clients });
  t.match(await asked('quota', '--audit'), {
    code: 0,
    stdout: /^laptop +5 +600 +-595$/m,
    stderr: /, 0 repaired\n`backup-catalog quota --audit --repair` repairs the drift\n$/,
  });
  t.match(await asked('quota', '--audit', '--repair'), {
    code: 0,
    stdout: /^laptop +5 +600 +-595$/m,
    stderr: '2 clients counted, 595 B of drift, 1 repaired\n',
  });
  t.same(await json('quota', '--audit'), { checked: 2, repaired: 0, driftBytes: 0, clients: [] });
  t.match(await asked('quota', '--repair'), { code: 2, stderr: /needs --audit/ });
  t.match(await asked('quota', 'laptop', '--audit'), { code: 2, stderr: /omit the name/ });
});

t.test('prune: a plan, then the contents that nothing names any more, a line each', async (t) => {
  const { asked, json } = await prepare(t);
  const plan = await json('prune', '--keep-last', '1', '--dry-run');
  t.match(plan, {
    versions: 2,
    bytes: 400,
    paths: ['/store/1', '/store/2'],
    kept: { length: 2 },
    quotas: { length: 2 },
  });
  const shown = await asked('prune', '--keep-last', '1', '--dry-run');
  t.match(shown, { code: 0, stderr: /nothing was changed/ });
  t.match(
    shown.stdout,
    /^Would go {4}2 versions, 400 B\nWould free {2}2 contents\nWould stay {2}2 versions, 1\.2 KiB\n/,
  );
  t.match(shown.stdout, /\nactive +2\nlast +2\n$/);
  t.match(await json('prune', '--keep-last', '1', '--client', 'server\n2'), { versions: 0 });
  t.same(await asked('prune', '--keep-last', '1', '--keep-monthly', '0'), {
    code: 0,
    stdout: '/store/1\n/store/2\n',
    stderr: '2 versions removed, 400 B; no version names 2 contents any more\n',
  });
  t.same(await json('prune', '--keep-within', '30d'), { versions: 0, bytes: 0, paths: [] });
});

t.test('prune: what is asked wrongly changes nothing', async (t) => {
  const { asked, json } = await prepare(t);
  t.match(await asked('prune'), {
    code: 2,
    stdout: '',
    stderr: /rules: got no rule that keeps anything; accepted: at least one of --keep-last, --keep-h/,
  });
  t.match(await asked('prune', '--keep-daily', '-1'), { code: 2, stderr: /whole number/ });
  for (const span of ['3 days', '30', '86400000']) {
    const accepted = /Accepted: a span such as 30d or 1y5m7d2h \(years, months, days, hours\)/;
    t.match(await asked('prune', '--keep-within', span), { code: 2, stdout: '', stderr: accepted }, span);
  }
  t.match(await asked('prune', '--keep-last', '1', '--client', 'nobody'), { code: 1, stdout: '', stderr: /nobody/ });
  t.equal((await json('prune', '--keep-last', 'unlimited', '--dry-run')).versions, 0);
});

t.test('prune: a signal stops it between files, and what was freed by then is told', async (t) => {
  const { database, server } = await prepare(t);
  const db = await DatabaseManager.open({ database });
  t.teardown(() => db.close());
  await db.quotas.set(server, { quotaBytes: null });
  const numbers = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)';
  await db.execute(
    `${numbers} INSERT INTO files (ID, ClientID, FileName, PathName, FileSize, CurrentVersion, HighestVersion)
      SELECT CAST(printf('%016d', i) AS BLOB), ?, 'f' || i, '/many/' || i || '/2', 1, 2, 2 FROM n`,
    [Buffer.from(server, 'hex')],
  );
  await db.execute(
    `${numbers} INSERT INTO file_versions (FileID, VersionNumber, PathName, FileSize, CreatedDate, IsActive)
      SELECT CAST(printf('%016d', i) AS BLOB), v, '/many/' || i || '/' || v, 1, '2025-01-0' || v || 'T00:00:00.000Z', v - 1
      FROM n, (SELECT 1 AS v UNION ALL SELECT 2)`,
  );
  const versions = async () => Number((await db.query('SELECT count(*) AS n FROM file_versions'))[0]?.['n']);
  const before = await versions();
  const args = [ENTRY, 'prune', '--keep-last', '1', '--client', 'server\n2', '--json', '--database', database];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment() });
  const ended = finished(child);
  while (child.exitCode === null && (await versions()) === before);
  child.kill('SIGINT');
  const { code, stdout, stderr } = await ended;
  const result = JSON.parse(stdout);
  t.match({ code, stderr }, { code: 130, stderr: /stopped early/ });
  t.equal(result.versions, before - (await versions()));
  t.ok(result.versions < 5_000);
  const gone = await db.query(`SELECT FileName FROM files f WHERE FileName LIKE 'f%'
    AND NOT EXISTS (SELECT 1 FROM file_versions v WHERE v.FileID = f.ID AND v.VersionNumber = 1)`);
  t.same(result.paths, gone.map(({ FileName }) => `/many/${String(FileName).slice(1)}/1`).sort());
});

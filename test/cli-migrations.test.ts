/** `migrate`, `rollback` and `doctor` as their users run them. */
import { chmodSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { LATEST_VERSION } from '../lib/migrations/migration-list.ts';
import { cli, cliOnTerminal, NO_TERMINAL } from './cli-run.ts';
import { makeLegacyFile } from './fixtures/legacy-file.ts';
import { someRows } from './fixtures/legacy-rows.ts';

t.setTimeout(600_000);

t.test('a legacy file is planned, rehearsed, migrated, taken back and examined', { timeout: 300_000 }, async (t) => {
  const folder = t.testdir();
  const database = join(folder, 'defensive.db');
  makeLegacyFile(database, { version: 3, ...someRows() });
  chmodSync(database, 0o600); // wider modes are told, and depend on who runs this
  const run = (...args: string[]) => cli([...args, '--database', database]);
  const json = async (...args: string[]) => JSON.parse((await run(...args, '--json')).stdout);

  const plan = await run('migrate', '--plan');
  t.match(plan, { code: 0, stdout: /adoption/, stderr: '' });
  t.match(await json('migrate', '--plan'), { from: -1, to: LATEST_VERSION });
  t.match(await run('migrate', '--rehearse'), { code: 0, stdout: /Problems +none/ });
  t.notOk(
    existsSync(join(folder, 'backups')) && readdirSync(join(folder, 'backups')).length > 0,
    'nothing was done yet',
  );

  t.match(await json('migrate'), { from: -1, to: LATEST_VERSION, backup: /before-adoption/ });
  t.match(await run('migrate'), { code: 0, stdout: /nothing to do/ });
  t.match(await run('doctor'), { code: 0, stdout: /^Adopted .*[\s\S]*Nothing is wrong\./ });

  const raw = new Database(database);
  raw.pragma('foreign_keys = OFF');
  raw.exec(
    "INSERT INTO files (ID, FileName, PathName, ClientID) VALUES (x'00112233445566778899aabbccddeeff', 'a', 'a', x'99')",
  );
  raw.close();
  t.match(await run('doctor'), {
    code: 1,
    stdout: /1 file belongs to a client that does not exist/,
    stderr: /doctor --fix/,
  });
  t.match(await json('doctor', '--fix'), { fixed: true, repair: { orphanFiles: 1 } });
  const later = new Database(database);
  later.exec("INSERT INTO quota_reservations SELECT ID, ID, 5, '2000-01-01T00:00:00.000Z' FROM clients LIMIT 1");
  later.close();
  t.match(await run('doctor'), { code: 0, stdout: /\nnote: 1 reservation has expired\. / });

  t.match(await run('rollback', '--to', '4', '--plan'), {
    code: 0,
    stdout: /every version of a file except the current one/,
  });
  const older = {
    code: 2,
    stdout: '',
    stderr: `error: --to: got 3, but the schema is at version ${LATEST_VERSION}; \`rollback --to 3\` goes down.\n`,
  };
  t.match(await run('migrate', '--to', '3'), older);
  t.match(await run('migrate', '--to', '3', '--plan'), older);
  if (NO_TERMINAL === false) {
    const asked = await cliOnTerminal(['rollback', '--to', '4', '--database', database], {}, 'n\n');
    t.match(asked, { code: 0, stdout: /the schema cannot hold: [\s\S]*\[y\/N\][\s\S]*nothing was changed/ });
    t.match(await json('status'), { current: LATEST_VERSION }, 'nobody said yes');
  }
  t.match(await run('rollback', '--to', '4'), {
    code: 2,
    stdout: '',
    stderr:
      /the schema cannot hold: .*\nerror: without a terminal to ask on, `rollback` needs --yes; nothing was changed\.\n$/,
  });
  t.match(await json('status'), { current: LATEST_VERSION }, 'and nothing was');
  t.match(await run('rollback', '--to', String(LATEST_VERSION)), { code: 0, stdout: /nothing to do/ });
  t.match(await run('rollback', '--to', '99'), {
    code: 2,
    stderr: `error: --to: got 99, but the schema is at version ${LATEST_VERSION}; accepted: a version below that.\n`,
  });
  const done = await run('rollback', '--to', '4', '--yes');
  t.match(done, { code: 0, stdout: /To +4/, stderr: /the schema cannot hold: / });
  t.match(await run('rollback', '--to', '6'), {
    code: 2,
    stderr: /but the schema is at version 4; `migrate --to 6` goes up/,
  });
  t.match(await json('migrate', '--to', '6'), { from: 4, to: 6 });
  t.match(await json('migrate'), { from: 6, to: LATEST_VERSION });
});

t.test('what was asked wrongly', async (t) => {
  const database = join(t.testdir(), 'defensive.db');
  makeLegacyFile(database, { version: 0, ...someRows() });
  for (const args of [
    ['rollback'],
    ['rollback', '--to', 'four'],
    ['migrate', '--plan', '--rehearse'],
    ['migrate', '--to', '99'],
    ['rollback', '--to', '4'],
  ]) {
    t.match(await cli([...args, '--database', database]), { code: 2, stdout: '', stderr: /^error: / }, args.join(' '));
  }
  const missing = join(t.testdir(), 'missing.db');
  t.match(await cli(['migrate', '--database', missing]), { code: 1, stderr: /does not exist/ });
  t.notOk(existsSync(missing));
});

/** The commands for backups, each as a process of its own. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { DatabaseManager } from '../lib/index.ts';
import { cli } from './cli-run.ts';

t.setTimeout(900_000);

t.test('backup, backups and restore: what they print, their exit codes, and what they refuse', async (t) => {
  const cwd = t.testdir();
  const database = join(cwd, 'defensive.db');
  {
    await using db = await DatabaseManager.open({ database });
    const { id } = await db.clients.save({ name: 'laptop' });
    await db.files.save({ clientId: id, fileName: 'a.txt', pathName: '/a', fileSize: 1 });
  }
  const made = await cli(['backup', '--reason', 'before the move'], { cwd });
  t.match(made, { code: 0, stderr: /verified: 1 client, 1 file, 1 version;/ });
  const path = made.stdout.trim();
  t.ok(existsSync(path), 'stdout is the path and nothing else');
  const small = JSON.parse((await cli(['backup', '--compress', '--json'], { cwd })).stdout);
  t.match(small, { compressed: true, counts: { files: 1 }, path: /\.zst$/ });

  const listed = await cli(['backups', '--json'], { cwd });
  t.match(JSON.parse(listed.stdout), [
    { path: small.path, own: true },
    { path, reason: 'before the move', problems: [] },
  ]);
  t.match(await cli(['backups'], { cwd }), { code: 0, stdout: /before the move/, stderr: /2 backups/ });
  t.match(await cli(['backups', '--drill'], { cwd }), { code: 0, stdout: /can be restored/ });
  t.match(await cli(['backups', '--verify', '--drill'], { cwd }), { code: 2 });
  t.match(await cli(['backups', '--keep-last', '1'], { cwd }), { code: 2 });
  t.match(await cli(['backups', '--prune', '--keep-last', '0'], { cwd }), { code: 2 }, 'a policy that keeps nothing');
  const usual = await cli(['backups', '--prune'], { cwd });
  t.match(
    usual,
    { code: 0, stdout: /kept.*daily, weekly, monthly\nkept.*oldest daily, oldest weekly, oldest monthly\n$/ },
    'without rules the usual ones',
  );
  t.match(usual.stderr, /nothing was changed\nthese were common rules; give your own, such as --keep-daily 7/);
  const dry = await cli(['backups', '--prune', '--keep-last', '1', '--dry-run'], { cwd });
  t.match(dry, { code: 0, stdout: /would go[\s\S]*newest verified/, stderr: /nothing was changed/ });
  t.ok(existsSync(path));

  // Somebody looks into a backup itself.
  for (const command of [['status'], ['search', 'a'], ['health', '--full'], ['migrate', '--plan']]) {
    t.match(await cli([...command, '--database', path], { cwd }), { code: 0 }, command.join(' '));
  }
  for (const command of [['quota', 'laptop', '--set', '1G'], ['migrate'], ['doctor'], ['restore', path, '--yes']]) {
    const refusal = {
      code: 1,
      stdout: '',
      stderr: /is a backup, and writing to it would invalidate it\. Restore it into another file/,
    };
    t.match(await cli([...command, '--database', path], { cwd }), refusal, command.join(' '));
  }
  const compressed = await cli(['clients', '--database', small.path], { cwd });
  t.match(compressed, {
    code: 1,
    stderr: /is a compressed backup, which SQLite cannot open\. Restore it into another file/,
  });
  t.match(await cli(['backups', '--verify'], { cwd }), { code: 0 }, 'and it is worth what it was');

  const folder = { code: 1, stderr: /backups already exists\. Choose another name/ };
  t.match(
    await cli(['backup', '--output', 'backups'], { cwd }),
    folder,
    'the folder of backups is no link out of itself',
  );
  rmSync(database);
  t.match(await cli(['restore', path], { cwd }), { code: 2, stderr: /--yes/ }, 'nobody can be asked');
  t.notOk(existsSync(database));
  t.match(await cli(['restore', 'backups', '--yes'], { cwd }), { code: 2, stderr: /^error: <file>: got "backups"; / });
  t.match(await cli(['restore', join(cwd, 'none.db'), '--yes'], { cwd }), {
    code: 1,
    stderr: /does not exist.* Check the path/,
  });
  t.match(await cli(['restore', path, '--yes'], { cwd }), { code: 0, stdout: /Files +1/, stderr: /verifying/ });
  t.match(await cli(['stats'], { cwd }), { code: 0 });

  t.match(await cli(['backups'], { cwd }), { code: 0, stdout: /PATH\n/ });
  t.match(await cli(['backups', '--verify'], { cwd }), { code: 0, stdout: /VERDICT\n.* sound\n.* sound\n$/ });
  t.match(await cli(['backup', '--output', path], { cwd }), {
    code: 1,
    stderr: /already exists\. Choose another name/,
  });

  const bytes = readFileSync(path);
  bytes[9_000]! ^= 1;
  writeFileSync(path, bytes);
  t.match(await cli(['backups', '--verify'], { cwd }), { code: 1, stdout: /checksum/ });
  t.match(await cli(['restore', path, '--yes'], { cwd }), { code: 1, stderr: /checksum/ });
  rmSync(`${path}.manifest.json`);
  t.match(await cli(['backups', '--verify'], { cwd }), { code: 1, stdout: /no manifest/ }, 'whose it is, nobody knows');
  t.match(await cli(['restore', path, '--yes'], { cwd }), { code: 1, stderr: /--allow-missing-manifest/ });
  t.same(
    readdirSync(cwd).filter((name) => name.includes('damaged') || name.includes('partial')),
    [],
  );
});

t.test(
  'backups --drill: exit code 1 for a newest backup that cannot be restored, whatever the others are',
  async (t) => {
    const cwd = t.testdir();
    await (await DatabaseManager.open({ database: join(cwd, 'defensive.db') })).close();
    t.match(await cli(['backups', '--drill'], { cwd }), {
      code: 1,
      stdout: '',
      stderr: /a backup of this catalogue in .* does not exist\. Make one first/,
    });
    await cli(['backup'], { cwd });
    const path = (await cli(['backup'], { cwd })).stdout.trim();
    const bytes = readFileSync(path);
    bytes[9_000]! ^= 1;
    writeFileSync(path, bytes);
    t.match(await cli(['backups', '--drill'], { cwd }), {
      code: 1,
      stdout: /cannot be restored: .*its checksum differs from that of the manifest; it took \d+ s\n$/,
    });
    const { code, stdout } = await cli(['backups', '--drill', '--json'], { cwd });
    t.equal(code, 1);
    t.match(JSON.parse(stdout), { ok: false, path, problems: [/its checksum differs from that of the manifest$/] });
    rmSync(path);
    rmSync(`${path}.manifest.json`);
    t.match(await cli(['backups', '--drill'], { cwd }), { code: 0, stdout: /can be restored; it took/ });
    t.same(
      readdirSync(join(cwd, 'backups')).filter((name) => !/^defensive-\w+\.db(?:\.manifest\.json)?$/.test(name)),
      [],
      'nothing of a drill is left',
    );
  },
);

t.test('backups lie beside the real file, whichever name opened it', async (t) => {
  const cwd = t.testdir({ real: {} });
  const real = join(cwd, 'real', 'catalog.db');
  await symlink(real, join(cwd, 'link.db'));
  t.match(await cli(['migrate', '--database', 'link.db'], { cwd }), { code: 1, stderr: /catalog\.db does not exist/ });
  await mkdir(join(cwd, 'data'));
  t.match(await cli(['ingest', 'data', '--client', 'c', '--database', 'link.db'], { cwd }), { code: 0 });
  const { stdout } = await cli(['backup', '--database', 'link.db'], { cwd });
  t.match(stdout, new RegExp(`^${join(cwd, 'real', 'backups')}/catalog-.*\\.db\n$`));
  t.match(await cli(['backups', '--database', real], { cwd }), { code: 0, stderr: '1 backup\n' });
  t.same(readdirSync(join(cwd, 'real')).sort(), ['backups', 'catalog.db']);
});

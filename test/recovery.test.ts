/**
 * docs/RECOVERY.md is true: each recipe is run as it stands on a catalogue to which the thing has happened. And what
 * docs/RELIABILITY.md promises has the tests that it names.
 */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DatabaseManager } from '../lib/index.ts';
import { codeBlocks, PROJECT, readProjectFile, section } from './fixtures/documents.ts';
import { runToEnd } from './fixtures/process.ts';
import { sampleOf } from './fixtures/tier.ts';

t.setTimeout(900_000); // forty processes, on a machine that may be busy

const RECOVERY = readProjectFile('docs/RECOVERY.md');
const KEY = new Uint8Array(32).fill(7);

/** A catalogue with a backup, and something saved since. */
async function prepared(folder: string): Promise<void> {
  await using db = await DatabaseManager.open({
    database: join(folder, 'defensive.db'),
    backupDir: join(folder, 'backups'),
  });
  const { id } = await db.clients.save({ name: 'laptop', aesKey: KEY });
  await db.files.save({ clientId: id, fileName: 'report.txt', pathName: '/srv/1', fileSize: 1 });
  await db.backups.create();
}

/** Runs the commands of a section, one block after the other, and returns what they print. */
async function follow(t: Test, folder: string, title: string): Promise<string[]> {
  const bin = join(folder, '.bin');
  mkdirSync(bin);
  const command = join(bin, 'backup-catalog');
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${PROJECT}bin/backup-catalog.ts' "$@"\n`);
  chmodSync(command, 0o755);
  const env = { PATH: `${bin}:${process.env['PATH']}`, DATABASE_NAME: '', BACKUP_DIR: '' };
  const printed: string[] = [];
  for (const { text } of codeBlocks(section(RECOVERY, `## ${title}`)).filter(({ language }) => language === 'sh')) {
    const { code, stdout, stderr } = await runToEnd('sh', ['-e', '-c', text], { cwd: folder, env });
    t.equal(code, 0, stderr);
    printed.push(stdout);
  }
  return printed;
}

/** What has happened, by the title of the section, and what must hold once its recipe was followed. */
const RECIPES: Readonly<
  Record<string, { happen(folder: string): Promise<void> | void; printed: RegExp[]; files: number }>
> = {
  'Before anything happens': { happen: () => undefined, printed: [/can be restored/], files: 1 },
  'The catalogue is damaged': {
    happen: (folder) => truncateSync(join(folder, 'defensive.db'), 40_960),
    printed: [/Damaged, kept as[\s\S]*healthy[\s\S]*defensive\.db\.damaged-/],
    files: 1,
  },
  // And the recipe is followed a second time: what the first one put aside, the empty catalogue of a server that was
  // started too early, is the youngest file then.
  'The catalogue is gone': {
    happen: async (folder) => {
      const database = join(folder, 'defensive.db');
      rmSync(database);
      const db = await DatabaseManager.open({ database });
      const [backup] = await db.backups.list();
      await db.backups.restore(backup?.path ?? '');
      await db.close();
      rmSync(database);
    },
    printed: [/Files +1/],
    files: 1,
  },
  'The catalogue holds wrong data': {
    happen: async (folder) => {
      const database = join(folder, 'defensive.db');
      await using db = await DatabaseManager.open({ database });
      const [first] = await db.backups.list();
      // Somebody has looked at a backup before, and left it lying there: it is put aside by looking again.
      await DatabaseManager.restore({ database: join(folder, 'look.db'), from: first?.path ?? '' });
      const clientId = (await db.clients.getByName('laptop'))?.id ?? '';
      await db.files.save({ clientId, fileName: 'report of today.txt', pathName: '/srv/2', fileSize: 1 });
      await db.backups.create();
      await db.execute("UPDATE files SET FileName = 'gone'");
    },
    printed: [/laptop[\s\S]*report of today\.txt/, /report of today\.txt/],
    files: 2,
  },
  "A client's key is lost": {
    happen: async (folder) => {
      await using db = await DatabaseManager.open({ database: join(folder, 'defensive.db') });
      await db.clients.delete((await db.clients.getByName('laptop'))?.id ?? '');
    },
    printed: [new RegExp(Buffer.from(KEY).toString('hex'), 'i')],
    files: 0,
  },
  'The only backup has no manifest': {
    happen: (folder) => {
      const backups = join(folder, 'backups');
      copyFileSync(
        join(backups, readdirSync(backups).find((name) => name.endsWith('.db')) ?? ''),
        join(folder, 'copy.db'),
      );
      rmSync(backups, { recursive: true });
      writeFileSync(join(folder, 'defensive.db'), readFileSync(join(folder, 'defensive.db')).subarray(0, 9_000));
    },
    printed: [/not known/],
    files: 1,
  },
  'A restore was the wrong one': {
    happen: async (folder) => {
      await using db = await DatabaseManager.open({ database: join(folder, 'defensive.db') });
      const [newest] = await db.backups.list();
      const { clients } = await db.clients.list();
      const clientId = clients[0]?.id ?? '';
      await db.files.save({ clientId, fileName: 'report of today.txt', pathName: '/srv/2', fileSize: 1 });
      await db.backups.restore(newest?.path ?? '');
    },
    printed: [/report of today\.txt/],
    files: 2,
  },
};

t.test('every section of docs/RECOVERY.md has its test', async (t) => {
  t.same(
    [...RECOVERY.matchAll(/^## (.+)$/gm)].map(([, title]) => title),
    Object.keys(RECIPES),
  );
});

t.test('every row of docs/RELIABILITY.md names tests that are there', async (t) => {
  const [promises = ''] = readProjectFile('docs/RELIABILITY.md').split('\n## Faults that the tests would not notice\n');
  const rows = promises.split('\n').filter((line) => /^\| (?!tried|what was tried|-)/.test(line));
  const missing = rows.filter((row) => {
    const proof = row.split('|').at(-2) ?? '';
    const named = proof.split(/;(?= *`test)/).map((one) => /^ *`(test\/[\w-]+\.test\.ts)`: (.+?) *$/.exec(one));
    return named.some((match) => {
      const [, file = '', titles = ''] = match ?? [];
      // Titles that are cut off end in an ellipsis.
      const parts = titles.split(/ *…,? */).filter((part) => part !== '');
      return file === '' || parts.length === 0 || !parts.every((part) => readProjectFile(file).includes(part));
    });
  });
  t.ok(rows.length > 30);
  t.same(missing, []);
});

for (const [title, { happen, printed, files }] of sampleOf(Object.entries(RECIPES), 3)) {
  t.test(`${title}: the recipe works as it stands`, async (t) => {
    const folder = t.testdir();
    await prepared(folder);
    await happen(folder);
    const output = await follow(t, folder, title);
    for (const [position, expected] of printed.entries()) {
      t.match(printed.length === 1 ? output.join('') : (output[position] ?? ''), expected);
    }
    await using db = await DatabaseManager.open({ database: join(folder, 'defensive.db'), create: false });
    t.equal(await db.files.count(), files);
    t.same(await db.query('PRAGMA integrity_check'), [{ integrity_check: 'ok' }]);
  });
}

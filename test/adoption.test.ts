/** Adoption of files that an old server made: nothing is lost, and both servers can work on afterwards. */
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { DatabaseManager } from '../lib/index.ts';
import { LegacyDates } from '../lib/migrations/adoption/legacy-dates.ts';
import { brokenRules, lostFacts } from './adoption-facts.ts';
import { type LegacyFile, makeLegacyFile, ODD_STATES, type OddState } from './fixtures/legacy-file.ts';
import { legacyRows, someRows } from './fixtures/legacy-rows.ts';
import { holds } from './fixtures/property.ts';

const LONG = { timeout: 300_000 }; // files are opened again and again, each with a process that looks at it first

t.setTimeout(4 * LONG.timeout);

const OPTIONS = { legacyTimeZone: 'UTC', poolSize: 2 } as const;

/** Makes a legacy file with a copy of it beside, to compare with. */
function twoFiles(folder: string, file: LegacyFile): { path: string; old: string } {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'defensive.db');
  makeLegacyFile(path, file);
  const old = join(folder, 'old.db');
  copyFileSync(path, old);
  return { path, old };
}

/** What the old server asks and does, with its own connection and foreign keys off. */
function runOldServer(path: string): void {
  const database = new Database(path);
  try {
    database.pragma('foreign_keys = OFF');
    const client = Buffer.alloc(16, 0xab);
    const file = Buffer.alloc(16, 0xcd);
    database
      .prepare('INSERT OR REPLACE INTO clients (ID, Name, PublicKey, LastSeen, AESKey) VALUES (?, ?, ?, ?, ?)')
      .run(client, 'from the old server', null, '2025-08-01T10:00:00+00:00Z', null);
    const insert = database.prepare(`INSERT OR REPLACE INTO files (ID, FileName, PathName, Verified, FileSize,
      ModificationDate, CRC, ClientID) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    insert.run(file, 'old.txt', 'received_files\\old.txt', 0, 10, '2025-08-01T10:00:00.5', 77, client);
    insert.run(
      Buffer.alloc(16, 0xce),
      'old.txt',
      'received_files\\old.txt',
      1,
      10,
      '2025-08-01T10:00:01',
      null,
      client,
    );
    database.prepare('UPDATE files SET Verified = 1 WHERE ID = ?').run(file);
    database.prepare('UPDATE clients SET LastSeen = ? WHERE ID = ?').run('2025-08-01T11:00:00+00:00', client);
    const selects = [
      'SELECT ID, Name, PublicKey, LastSeen, AESKey FROM clients WHERE Name = ?',
      `SELECT f.ID, f.FileName, f.PathName, f.Verified, f.FileSize, f.ModificationDate, f.CRC, f.ClientID, c.Name
        FROM files f JOIN clients c ON f.ClientID = c.ID WHERE c.Name = ? ORDER BY f.FileName`,
      'SELECT COUNT(*), SUM(FileSize), AVG(FileSize) FROM files WHERE FileName LIKE ?',
    ];
    for (const select of selects) database.prepare(select).all('from the old server');
  } finally {
    database.close();
  }
}

/** Opens an adopted file, looks whether all is there, and works with it as both servers would. */
async function proveAdopted(t: Test, path: string, old: string): Promise<void> {
  const db = await DatabaseManager.open({ ...OPTIONS, database: path });
  try {
    t.strictSame((await db.migrations.verify()).problems, []);
    t.not((await db.health({ full: true })).status, 'fail');
    t.strictSame(lostFacts(old, path), []);
    t.strictSame(brokenRules(path), []);
    const { id: clientId } = await db.clients.save({ name: `new ${Math.random()}` });
    await db.files.save({ clientId, fileName: 'saved.txt', pathName: '/srv/saved.txt', fileSize: 3 });
    t.equal((await db.files.find(clientId, 'saved.txt'))?.fileSize, 3);
    t.equal((await db.files.search({ term: 'saved.t' })).total, 1);
    runOldServer(path);
    const dry = await db.maintenance.repair({ dryRun: true });
    t.strictSame(await db.maintenance.repair(), dry, 'a dry run counts what is done');
    t.match(dry, { files: 1, twins: 0, versions: 2 - Number(dry.twins) });
    t.strictSame(brokenRules(path), []);
    const again = await db.maintenance.repair();
    t.ok(
      Object.values(again).every((rows) => rows === 0),
      'a second repair finds nothing',
    );
  } finally {
    await db.close();
  }
}

/** Each version as it should be, and each odd state where it tells most; the property below mixes them all. */
const CASES: readonly (readonly [version: number, odd: OddState | undefined])[] = [
  ...[0, 1, 2, 3, 4, 5].map((version) => [version, undefined] as const),
  [3, 'no migrations table'],
  [2, 'empty migrations table'],
  [1, 'half of version 2'],
  [2, 'some tables of version 3'],
  [5, 'recorded but never run'],
  [4, 'recorded but never run'],
  [5, 'extra views and tables'],
  [0, 'an index of ours on other columns'],
  [0, 'rollback journal'],
  [5, 'versions were used'],
  [0, 'only clients'],
];

t.strictSame(new Set(CASES.map(([, odd]) => odd)), new Set([undefined, ...ODD_STATES]), 'every state has a case');

for (const [version, odd] of CASES) {
  t.test(`version ${version}, ${odd ?? 'as the server left it'}`, { ...LONG }, async (t) => {
    const { path, old } = twoFiles(join(t.testdir(), 'data'), { version, odd, ...someRows() });
    const recorded = () => {
      const database = new Database(path, { readonly: true });
      const exists = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'database_migrations'").get();
      const rows = exists === undefined ? null : database.prepare('SELECT * FROM database_migrations').all();
      database.close();
      return rows;
    };
    const before = recorded();
    await proveAdopted(t, path, old);
    t.strictSame(recorded(), before, 'the server reads its own migrations as before');
    if (odd !== 'extra views and tables') return;
    const database = new Database(path, { readonly: true });
    t.equal(database.prepare('SELECT text FROM notes').pluck().get(), 'kept');
    t.ok(Number(database.prepare('SELECT count(*) FROM fletv2_files').pluck().get()) > 0);
    t.ok(Number(database.prepare('SELECT count(*) FROM fletv2_clients').pluck().get()) > 0);
    database.close();
  });
}

t.test('whatever an old server stored is still there', { ...LONG }, async (t) => {
  const root = t.testdir();
  const version = fc.integer({ min: 0, max: 5 });
  const state = fc.constantFrom(undefined, undefined, undefined, ...ODD_STATES);
  let run = 0;
  await holds(
    t,
    fc.asyncProperty(legacyRows, version, state, async (rows, version, odd) => {
      run += 1;
      const { path, old } = twoFiles(join(root, `run-${run}`), { version, odd, ...rows });
      const db = await DatabaseManager.open({ ...OPTIONS, database: path, migrationBackup: false });
      await db.close();
      const problems = [...lostFacts(old, path), ...brokenRules(path)];
      if (problems.length > 0) throw new Error(problems.join('\n'));
    }),
    { numRuns: 25 },
  );
});

t.test('the halves of a transfer become one file with its checksum, later transfers its versions', async (t) => {
  const id = (byte: number) => Buffer.alloc(16, byte);
  const row = { FileName: 'a.txt', PathName: 'r\\a.txt', FileSize: 5, ClientID: id(1) };
  const { path } = twoFiles(join(t.testdir(), 'data'), {
    version: 2,
    clients: [{ ID: id(1), Name: 'laptop', PublicKey: null, LastSeen: '2025-06-01T08:38:41+00:00Z', AESKey: null }],
    files: [
      { ...row, ID: id(2), Verified: 0, CRC: 111, ModificationDate: '2025-06-01T10:00:00.250000' },
      { ...row, ID: id(3), Verified: 1, CRC: null, ModificationDate: '2025-06-01T10:00:00.250000' },
      { ...row, ID: id(4), Verified: 0, CRC: 222, ModificationDate: '2025-12-01T10:00:00' },
      { ...row, ID: id(5), Verified: 1, CRC: null, ModificationDate: '2025-12-03T10:00:00' },
    ],
  });
  const db = await DatabaseManager.open({ database: path, legacyTimeZone: 'Europe/Berlin' });
  t.teardown(() => db.close());
  const { files } = await db.files.list();
  t.match(files, [
    {
      id: id(2).toString('hex'),
      version: 3,
      crc: null,
      verified: true,
      modificationDate: '2025-12-03T09:00:00.000Z',
      category: 'document',
      mimeType: 'text/plain',
      extension: 'txt',
    },
  ]);
  t.match(await db.versions.list(id(2).toString('hex')), [
    { versionNumber: 1, crc: 111, verified: true, modificationDate: '2025-06-01T08:00:00.250Z', isActive: false },
    { versionNumber: 2, crc: 222, verified: false, modificationDate: '2025-12-01T09:00:00.000Z', isActive: false },
    { versionNumber: 3, crc: null, verified: true, modificationDate: '2025-12-03T09:00:00.000Z', isActive: true },
  ]);
  t.match(await db.quotas.get(id(1).toString('hex')), { quotaBytes: 1024 ** 3, usedBytes: 15 });
  const { adoptions } = await db.migrations.verify();
  t.match(adoptions, [{ timeZone: 'Europe/Berlin', counts: { files: 1, twins: 1, versions: 3, clients: 1 } }]);
  t.equal(adoptions.length, 1);
});

t.test('quotas are large enough for what is stored, and real ones stay', async (t) => {
  const clients = [1, 2, 3].map((byte) => ({
    ID: Buffer.alloc(16, byte),
    Name: `client ${byte}`,
    PublicKey: null,
    LastSeen: '',
    AESKey: null,
  }));
  const files = clients.map(({ ID }, place) => ({
    ID: Buffer.alloc(16, 50 + place),
    FileName: 'big.bin',
    PathName: 'big.bin',
    Verified: 1,
    FileSize: 3 * 1024 ** 3,
    ModificationDate: null,
    CRC: null,
    ClientID: ID,
  }));
  const { path } = twoFiles(join(t.testdir(), 'data'), { version: 4, clients, files });
  const database = new Database(path);
  database.exec("UPDATE client_quotas SET QuotaBytes = 5000000000 WHERE hex(ClientID) LIKE '02%'");
  database.exec("DELETE FROM client_quotas WHERE hex(ClientID) LIKE '03%'");
  database.close();
  const db = await DatabaseManager.open({ database: path });
  t.teardown(() => db.close());
  const { quotas } = await db.quotas.list();
  t.match(
    quotas.map(({ quotaBytes, usedBytes }) => [quotaBytes, usedBytes]),
    [
      [6 * 1024 ** 3, 3 * 1024 ** 3],
      [5_000_000_000, 3 * 1024 ** 3],
      [6 * 1024 ** 3, 3 * 1024 ** 3],
    ],
  );
});

t.test('dates of an old server are read in its zone', async (t) => {
  const dates = new LegacyDates('Europe/Berlin');
  const read = Object.entries({
    '2025-06-01T08:38:41+00:00Z': '2025-06-01T08:38:41.000Z',
    '2025-06-04T20:23:35.375554+00:00': '2025-06-04T20:23:35.375Z',
    '2025/08/05 18:20': '2025-08-05T16:20:00.000Z',
    '1754410836': '2025-08-05T16:20:36.000Z',
    '2025-01-09T10:42:46.192935': '2025-01-09T09:42:46.192Z',
    '2025-03-30T02:30:00': '2025-03-30T01:30:00.000Z',
    '2025-10-26T02:30:00': '2025-10-26T00:30:00.000Z',
    '2025-10-26T03:00:00': '2025-10-26T02:00:00.000Z',
    '2025-08-05': '2025-08-04T22:00:00.000Z',
    '2025-02-30T00:00:00': null,
    '2025-06-01T25:00:00': null,
    yesterday: null,
    '': null,
  });
  for (const [stored, expected] of read) t.equal(dates.read(stored), expected, stored);
  t.equal(dates.read(null), null);
  t.throws(() => new LegacyDates('Europe/Atlantis'), RangeError);
});

const FIXTURES = process.env['LEGACY_FIXTURES'] ?? join(import.meta.dirname, '../../shared/fixtures/legacy');
const reason = existsSync(FIXTURES) ? false : 'LEGACY_FIXTURES names no folder of files made by the server itself';

t.test('files that the server itself made', { skip: reason, ...LONG }, async (t) => {
  for (const name of readdirSync(FIXTURES).filter((file) => file.endsWith('.db'))) {
    await t.test(name, { ...LONG }, async (t) => {
      const folder = t.testdir();
      const [path, old] = [join(folder, 'defensive.db'), join(folder, 'old.db')];
      copyFileSync(join(FIXTURES, name), path);
      copyFileSync(path, old);
      await proveAdopted(t, path, old);
    });
  }
});

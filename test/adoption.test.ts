/** Adoption of files that an old server made: nothing is lost, and both servers can work on afterwards. */
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { DatabaseManager } from '../lib/index.ts';
import { LegacyDates } from '../lib/legacy/dates.ts';
import { brokenRules, lostFacts } from './adoption-facts.ts';
import { type LegacyFile, makeLegacyFile, ODD_STATES, type OddState } from './fixtures/legacy-file.ts';
import { legacyRows, someRows } from './fixtures/legacy-rows.ts';
import { holds } from './fixtures/property.ts';
import { newCatalogue } from './fixtures/template.ts';
import { sampleOf } from './fixtures/tier.ts';

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
    t.match(dry, { files: 1, splitTransfers: 0, versions: 2 - Number(dry.splitTransfers) });
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

for (const [version, odd] of sampleOf(CASES, 5)) {
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

t.test('a save is newer than what an old server has written of its file, which keeps a version each', async (t) => {
  const path = join(t.testdir(), 'defensive.db');
  const db = await DatabaseManager.open({ ...OPTIONS, database: path });
  const { id: clientId } = await db.clients.save({ name: 'of both servers' });
  const client = Buffer.from(clientId, 'hex');
  const crossed: number[] = [];
  db.on('quota-warning', ({ usedBytes }) => void crossed.push(usedBytes));
  let ids = 0;
  /** Rows of the old server: path, verified, size, CRC. */
  const write = (name: string, ...rows: [string, number, unknown, number | null][]) =>
    db.executeMany(
      `INSERT INTO files (ID, FileName, PathName, Verified, FileSize, ModificationDate, CRC, ClientID)
        VALUES (?, ?, ?, ?, ?, '2025-08-01T10:00:00.5', ?, ?)`,
      rows.map(([pathName, verified, size, crc]) => {
        const id = name === 'no id' ? null : Buffer.alloc(16, ++ids);
        return [id, name, pathName, verified, size as number, crc, client];
      }),
    );
  const save = (fileName: string, pathName: string, fileSize: number) =>
    db.files.save({ clientId, fileName, pathName, fileSize }, { ifChanged: true });
  const history = async (name: string) => {
    const file = await db.files.find(clientId, name);
    const versions = await db.versions.list(String(file?.id));
    return versions.map(({ pathName, fileSize, crc, verified, isActive }) => [
      pathName,
      fileSize,
      crc,
      verified,
      ...(isActive ? ['now'] : []),
    ]);
  };

  await write('a', ['old/1', 0, 10, 77], ['old/1', 1, 10, null], ['old/2', 0, 20, 78]);
  t.match(await save('a', 'new/3', 30), { created: false, changed: true, version: 3, quota: { usedBytes: 60 } });
  await write('a', ['old/4', 1, 40, 79]);
  t.match(await save('a', 'new/5', 50), { version: 5, file: { id: Buffer.alloc(16, 1).toString('hex') } });
  const five = [
    ['old/1', 10, 77, true],
    ['old/2', 20, 78, false],
    ['new/3', 30, null, false],
    ['old/4', 40, 79, true],
    ['new/5', 50, null, false, 'now'],
  ];
  t.same(await history('a'), five);

  await write('no id', ['old/6', 1, -1, -1]);
  const many = await db.files.saveMany([
    { clientId, fileName: 'no id', pathName: 'new/7', fileSize: 70 },
    { clientId, fileName: 'a', pathName: 'new/5', fileSize: 50, crc: 1 },
  ]);
  t.match(many, { saved: 2, failed: [] });
  t.same(await history('no id'), [
    ['old/6', null, null, true],
    ['new/7', 70, null, false, 'now'],
  ]);
  await write('b', ['old/8', 1, 80, 80]);
  t.match(await save('b', 'new/8', 80), { changed: false, version: 1, file: { pathName: 'old/8', extension: null } });
  t.match(await db.query('SELECT Facts FROM adopted_rows WHERE Facts LIKE ?', ['%-1%']), { length: 1 });

  const old = new Database(path); // as the old server is: deleting by REPLACE fires no trigger of its connection
  old.pragma('foreign_keys = OFF');
  old.exec(`INSERT OR REPLACE INTO files (ID, FileName, PathName, Verified, FileSize, ClientID)
    SELECT ID, FileName, 'old/10', 1, 100, ClientID FROM files WHERE FileName = 'b'`);
  old.close();
  t.match(await save('b', 'new/11', 110), { version: 3, file: { id: Buffer.alloc(16, 5).toString('hex') } });
  t.same(
    (await history('b')).map(([pathName]) => pathName),
    ['old/8', 'old/10', 'new/11'],
  );
  await db.files.delete(Buffer.alloc(16, 5).toString('hex'));
  await db.analytics.audit({ repair: true }); // the row that was replaced was never uncounted
  await write('b', ['old/8', 1, 80, 80]);
  t.match(await save('b', 'new/8', 80), { changed: false, version: 1 });

  const { usedBytes } = (await db.quotas.get(clientId)) ?? {};
  t.equal(usedBytes, 10 + 20 + 30 + 40 + 50 + 70 + 50 + 80);
  await db.quotas.set(clientId, { quotaBytes: 1_000, warningThreshold: 0.5 });
  await write('c', ['old/9', 1, 300, 90]);
  await t.rejects(save('c', 'new/9', 700), { code: 'CATALOG_QUOTA_EXCEEDED' });
  t.match(await db.quotas.get(clientId), { usedBytes }, 'what is refused changes nothing');
  t.match(await save('c', 'new/9', 1), { version: 2, quota: { warning: true } });
  t.same(crossed, [651], 'told by the save, though the old row crossed it');

  t.strictSame(brokenRules(path), []);
  t.ok(Object.values(await db.maintenance.repair()).every((rows) => rows === 0));
  t.equal((await history('a')).length, 6);
  await db.close();
});

t.test('a save makes of an old server’s rows what repair would', { ...LONG }, async (t) => {
  const NAMES = 40;
  const one = fc.record({
    id: fc.option(
      fc.uint8Array({ minLength: 16, maxLength: 16 }).map((id) => Buffer.from(id)),
      { freq: 12 },
    ),
    name: fc.nat({ max: NAMES - 1 }),
    pathName: fc.constantFrom('old/0', 'old/1'),
    verified: fc.constantFrom(0, 1, 1, 2, null),
    size: fc.constantFrom(10, 10, 20, -1, null),
    date: fc.constantFrom('2025-08-01T10:00:00.5', '2025-08-01T10:00:01', '2025-09-01T10:00:00', '', 'nonsense', null),
    crc: fc.constantFrom(1, 1, 2, -1, null),
  });
  const names = Array.from({ length: NAMES }, (_, place) => `${place}.pdf`);
  const histories = async (database: string, repairsFirst: boolean) => {
    const db = await DatabaseManager.open({ ...OPTIONS, legacyTimeZone: 'Europe/Berlin', database });
    if (repairsFirst) await db.maintenance.repair();
    const [client] = (await db.clients.list()).clients;
    const clientId = String(client?.id);
    const files = names.map((fileName) => ({ clientId, fileName, pathName: `new/${fileName}`, fileSize: 7 }));
    t.match(await db.files.saveMany(files), { saved: NAMES });
    const found = [];
    for (const fileName of names) {
      const file = await db.files.find(clientId, fileName);
      for (const { fileId, createdDate, ...facts } of await db.versions.list(String(file?.id))) found.push(facts);
    }
    const quota = await db.quotas.get(clientId);
    t.ok(Object.values(await db.maintenance.repair()).every((rows) => rows === 0));
    await db.close();
    t.strictSame(brokenRules(database), []);
    return { found, usedBytes: quota?.usedBytes };
  };
  await holds(
    t,
    fc.asyncProperty(
      fc.array(one, { minLength: NAMES, maxLength: 4 * NAMES }),
      fc.uniqueArray(fc.nat({ max: NAMES - 1 })),
      async (rows, ours) => {
        const folder = t.testdir();
        const [database, copy] = [join(folder, 'a.db'), join(folder, 'b.db')];
        await newCatalogue(database);
        const db = await DatabaseManager.open({ ...OPTIONS, database });
        const { id: clientId } = await db.clients.save({ name: 'of both servers' });
        const files = ours.map((place) => ({ clientId, fileName: `${place}.pdf`, pathName: 'ours', fileSize: 5 }));
        await db.files.saveMany(files);
        await db.executeMany(
          `INSERT INTO files (ID, FileName, PathName, Verified, FileSize, ModificationDate, CRC, ClientID)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
          rows.map(({ id, name, pathName, verified, size, date, crc }) => {
            return [id, `${name}.pdf`, pathName, verified, size, date, crc, Buffer.from(clientId, 'hex')];
          }),
        );
        await db.execute(`INSERT INTO catalog_reports (Kind, CreatedAt, Report)
          VALUES ('adoption', '', '{ "timeZone": "Europe/Berlin", "counts": {} }')`);
        await db.backups.create({ path: copy });
        await db.close();
        t.strictSame(await histories(database, false), await histories(copy, true));
      },
    ),
    { numRuns: 4, sample: 1, endOnFailure: true },
  );
});

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
    { numRuns: 40, sample: 6 },
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
      { ...row, ID: id(6), Verified: 1, CRC: 3, ModificationDate: null, FileName: 'zip', PathName: 'r\\zip' },
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
    { id: id(6).toString('hex'), version: 1, crc: 3, category: 'other', mimeType: null, extension: null },
  ]);
  t.match(await db.versions.list(id(2).toString('hex')), [
    { versionNumber: 1, crc: 111, verified: true, modificationDate: '2025-06-01T08:00:00.250Z', isActive: false },
    { versionNumber: 2, crc: 222, verified: false, modificationDate: '2025-12-01T09:00:00.000Z', isActive: false },
    { versionNumber: 3, crc: null, verified: true, modificationDate: '2025-12-03T09:00:00.000Z', isActive: true },
  ]);
  t.match(await db.quotas.get(id(1).toString('hex')), { quotaBytes: 1024 ** 3, usedBytes: 20 });
  const { adoptions } = await db.migrations.verify();
  t.match(adoptions, [{ timeZone: 'Europe/Berlin', counts: { files: 2, splitTransfers: 1, versions: 4, clients: 1 } }]);
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
  const names = readdirSync(FIXTURES).filter((file) => file.endsWith('.db'));
  for (const name of sampleOf(names.toSorted(), 2)) {
    await t.test(name, { ...LONG }, async (t) => {
      const folder = t.testdir();
      const [path, old] = [join(folder, 'defensive.db'), join(folder, 'old.db')];
      copyFileSync(join(FIXTURES, name), path);
      copyFileSync(path, old);
      await proveAdopted(t, path, old);
    });
  }
});

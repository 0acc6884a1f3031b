/** A stream of files is saved in batches; what is stored, refused and counted is what saving one by one would. */
import { deepStrictEqual } from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { KNOWN_TRIGGERS } from '../lib/core/other-triggers.ts';
import { saveBatch } from '../lib/core/save-file.ts';
import { saveEach } from '../lib/core/save-many.ts';
import { DatabaseError } from '../lib/errors.ts';
import type {
  CatalogOptions,
  DatabaseManager,
  FileInput,
  QuotaWarning,
  SaveManyResult,
  SaveResult,
} from '../lib/index.ts';
import { ownTriggers } from '../lib/migrations/journal.ts';
import { checkFile, type FileToSave } from '../lib/values/file-input.ts';
import { holds } from './fixtures/property.ts';
import { openNew } from './fixtures/template.ts';

const CLIENTS = ['0', '1', '2'].map((digit) => digit.repeat(32));
const NOBODY = '9'.repeat(32);
const TAKEN = 'f'.repeat(32);
const QUOTA = 2_000;

let opened = 0;

async function openCatalogue(t: Test, options: CatalogOptions = {}) {
  const db = await openNew({ database: `${t.testdirName}/${opened++}.db`, poolSize: 2, ...options });
  t.teardown(() => db.close());
  const warnings: QuotaWarning[] = [];
  db.on('quota-warning', (warning) => void warnings.push(warning));
  return { db, warnings };
}

/** Clients without files, one user category, and one file whose id is known. */
async function reset({ db, warnings }: Awaited<ReturnType<typeof openCatalogue>>): Promise<void> {
  for (const id of CLIENTS) {
    if ((await db.clients.get(id)) !== null) await db.clients.delete(id);
    await db.clients.save({ id, name: `client ${id[0]}` });
  }
  await db.categories.save({ name: 'notes', extensions: ['nts'] });
  for (const table of ['transfer_stats', 'file_totals']) await db.execute(`DELETE FROM ${table} WHERE true`);
  await db.files.save({ ...fileOf(CLIENTS[0] as string, 'taken.bin', 1), id: TAKEN });
  warnings.length = 0;
}

const fileOf = (clientId: string, fileName: string, fileSize: number): FileInput => ({
  clientId,
  fileName,
  pathName: `store/${fileName}/${fileSize}`,
  fileSize,
});

const row = fc.record(
  {
    clientId: fc.constantFrom(...CLIENTS, ...CLIENTS, NOBODY),
    fileName: fc.constantFrom('a.txt', 'b.nts', 'c.jpg', 'd', 'e.nts', 'f.zip'),
    pathName: fc.constantFrom('store/1', 'store/2', 'store/3'),
    originalPath: fc.constantFrom('', 'docs', null),
    fileSize: fc.oneof({ weight: 9, arbitrary: fc.nat(900) }, fc.constantFrom(-1, QUOTA + 1)),
    crc: fc.constantFrom(1, 2),
    verified: fc.boolean(),
    transferSpeed: fc.nat(100),
    id: fc.constantFrom(undefined, undefined, undefined, TAKEN),
    category: fc.constantFrom('own', null),
  },
  { requiredKeys: ['clientId', 'fileName', 'pathName', 'fileSize'] },
);

/** Everything that does not depend on when it was stored, nor on the ids it was given. */
const QUERIES = [
  `SELECT hex(ClientID), FileName, PathName, OriginalPath, FileSize, CRC, Verified, FileCategory, MimeType, FileExtension,
    TransferSpeed, CurrentVersion, HighestVersion FROM files ORDER BY ClientID, FileName, coalesce(OriginalPath, '')`,
  `SELECT f.FileName, v.VersionNumber, v.PathName, v.FileSize, v.IsActive, v.CRC, v.Verified, v.FileCategory,
    p.VersionNumber AS parent FROM file_versions v JOIN files f ON f.ID = v.FileID
    LEFT JOIN file_versions p ON p.ID = v.ParentVersionID
    ORDER BY f.ClientID, f.FileName, coalesce(f.OriginalPath, ''), v.VersionNumber`,
  'SELECT hex(ClientID), QuotaBytes, UsedBytes, FileCount, FileBytes FROM client_quotas ORDER BY ClientID',
  `SELECT hex(ClientID), ActivityType, sum(FileCount) AS files, sum(BytesTransferred) AS bytes FROM client_activity
    GROUP BY ClientID, ActivityType ORDER BY ClientID, ActivityType`,
  'SELECT * FROM transfer_stats',
  'SELECT * FROM file_totals WHERE Files <> 0 ORDER BY Category, Extension, SizeBand, Verified',
  'SELECT hex(ClientID), Date, Files, Bytes, UsedBytes FROM daily_totals ORDER BY ClientID, Date',
  'SELECT * FROM catalog_writer', // empty: the mark of a transaction is gone before it commits
] as const;

async function contents(db: DatabaseManager): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const text of QUERIES) found.push(await db.query(text));
  return found;
}

const sortedWarnings = (warnings: QuotaWarning[]) => warnings.map((warning) => JSON.stringify(warning)).sort();

/** What another program may do between saves: values that no save writes, rows without versions, clients without quotas. */
const meddling = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('a.txt', 'b.nts', 'c.jpg', 'd'),
      fc.constantFrom(
        'FileSize = -1',
        'FileSize = NULL',
        "FileSize = 'x'",
        'FileSize = 9e999',
        'FileSize = 0.5',
        'Verified = 2',
        'Verified = NULL',
        "FileCategory = x'00'",
        'FileExtension = 7',
        'FileCategory = NULL',
      ),
    )
    .map(([name, change]) => `UPDATE files SET ${change} WHERE FileName >= '${name}'`),
  fc.constantFrom('1', '2').map((digit) => `DELETE FROM client_quotas WHERE ClientID = x'${digit.repeat(32)}'`),
  fc.tuple(fc.constantFrom('d', 'f.zip'), fc.constantFrom('0', '1')).map(
    ([name, client]) => `INSERT OR IGNORE INTO files (ID, FileName, PathName, FileSize, Verified, ClientID)
      VALUES (randomblob(16), '${name}', 'store/old', 33, 1, x'${client.repeat(32)}')`,
  ),
);

/** Saves, and what somebody does after them. */
const turn = fc.record({ rows: fc.array(row, { maxLength: 30 }), meddled: fc.array(meddling, { maxLength: 4 }) });

/** What a caller learns of a save, but for the id. */
const told = (save: Promise<SaveResult>) =>
  save.then(
    ({ file: { id: _, ...file }, ...result }) => ({ ...result, file }),
    ({ name, code, message }) => ({ name, code, message }),
  );

const streamOf = ({ saved, unchanged, failed }: SaveManyResult) => ({
  saved,
  unchanged,
  failed: failed.map(({ index, error: { name, code, message } }) => ({ index, name, code, message })),
});

/** What a stream tells whose rows have these results. */
const streamFrom = (results: readonly Awaited<ReturnType<typeof told>>[]) => ({
  saved: results.filter((result) => 'changed' in result && result.changed).length,
  unchanged: results.filter((result) => 'changed' in result && !result.changed).length,
  failed: results.flatMap((result, index) => ('code' in result ? [{ index, ...result }] : [])),
});

t.test(
  'rows saved as a stream, or all at once, leave what saving them one by one leaves, and are told so',
  async (t) => {
    t.testdir();
    const options = { defaultQuotaBytes: QUOTA };
    const [many, single] = [await openCatalogue(t, options), await openCatalogue(t, options)];
    const together = await openCatalogue(t, options);
    await holds(
      t,
      fc.asyncProperty(fc.array(turn, { maxLength: 4 }), fc.boolean(), async (turns, ifChanged) => {
        for (const one of [many, single, together]) await reset(one);
        const save = ({ db }: typeof single, file: unknown) => told(db.files.save(file as FileInput, { ifChanged }));
        let compared = [many, together];
        for (const { rows, meddled } of turns) {
          const result = await many.db.files.saveMany(rows as FileInput[], { ifChanged });
          const singly: Awaited<ReturnType<typeof told>>[] = [];
          for (const file of rows) singly.push(await save(single, file));
          deepStrictEqual(await Promise.all(rows.map((file) => save(together, file))), singly);
          if (compared.includes(many)) {
            deepStrictEqual(streamOf(result), streamFrom(singly));
            for (const { db } of compared) deepStrictEqual((await db.quotas.audit()).driftBytes, 0);
          }
          for (const { db, warnings } of compared) {
            deepStrictEqual(await contents(db), await contents(single.db));
            deepStrictEqual(sortedWarnings(warnings), sortedWarnings(single.warnings));
          }
          // A stream keeps what it mended before it refused a row; a save that is refused does not.
          if (meddled.length > 0) compared = [together];
          for (const text of meddled) for (const { db } of [many, single, together]) await db.execute(text);
        }
      }),
      { numRuns: 100, sample: 20 },
    );
  },
);

/** What triggers of others may do in a save: change or add rows, and look at totals. */
const TRIGGERS_OF_OTHERS: Readonly<Record<string, string>> = {
  recategorize: `AFTER INSERT ON file_versions WHEN NEW.VersionNumber = 2
    BEGIN UPDATE files SET FileCategory = 'own', Verified = 1 WHERE ID = NEW.FileID; END`,
  'change before it is counted': `AFTER INSERT ON files
    BEGIN UPDATE files SET FileCategory = 'own' WHERE ID = NEW.ID; END`,
  grow: `AFTER INSERT ON file_versions WHEN NEW.FileSize < 400
    BEGIN UPDATE file_versions SET FileSize = FileSize + 400 WHERE ID = NEW.ID; END`,
  copy: `AFTER INSERT ON files WHEN NEW.FileName = 'f0' BEGIN INSERT INTO files (ID, FileName, PathName, FileSize,
    ClientID) VALUES (randomblob(16), 'copy', 'store/copy', 5, NEW.ClientID); END`,
  bound: `AFTER INSERT ON file_versions WHEN (SELECT FileCount FROM client_quotas q JOIN files f USING (ClientID)
    WHERE f.ID = NEW.FileID) > 3 BEGIN SELECT RAISE(ABORT, 'no more than three files'); END`,
};

t.test('saves that run as one leave what single saves leave when triggers of others run with them', async (t) => {
  t.testdir();
  const [client = '', other = ''] = CLIENTS;
  const rows = Array.from({ length: 16 }, (_, n) => fileOf(n % 3 === 0 ? other : client, `f${n % 8}`, 60 * n));
  const opened = await Promise.all([1, 2, 3].map(() => openCatalogue(t, { defaultQuotaBytes: QUOTA })));
  for (const [name, text] of Object.entries(TRIGGERS_OF_OTHERS)) {
    for (const one of opened) {
      await reset(one);
      await one.db.execute(`CREATE TRIGGER "${name}" ${text}`);
    }
    const [single, together, many] = opened.map(({ db }) => db) as [DatabaseManager, DatabaseManager, DatabaseManager];
    const singly: Awaited<ReturnType<typeof told>>[] = [];
    for (const file of rows) singly.push(await told(single.files.save(file)));
    t.same(await Promise.all(rows.map((file) => told(together.files.save(file)))), singly, name);
    t.same(streamOf(await many.files.saveMany(rows)), streamFrom(singly), name);
    for (const db of [together, many]) t.same(await contents(db), await contents(single), name);
    t.same((await many.analytics.audit()).differences, [], name);
    for (const { db } of opened) await db.execute(`DROP TRIGGER "${name}"`);
  }
  t.same([...KNOWN_TRIGGERS].sort(), [...ownTriggers()].sort(), 'a trigger of the schema is none of them');
});

t.test('a batch tells how many versions and bytes it stored', async (t) => {
  t.testdir();
  const catalogue = await openCatalogue(t, { defaultQuotaBytes: null });
  await reset(catalogue);
  const [client = ''] = CLIENTS;
  const batch = [fileOf(client, 'a', 10), fileOf(client, 'b', 20), fileOf(client, 'b', 20), fileOf(NOBODY, 'c', 40)];
  const checked = batch.map((file) => checkFile(file, { ifChanged: true }));
  const { failed, ...counts } = await catalogue.db.run(saveBatch, checked);
  t.same(counts, { versions: 2, bytes: 30, unchanged: 1, warnings: [] });
  t.match(failed, [{ place: 3, error: { code: 'CATALOG_NOT_FOUND' } }]);
});

t.test('a row on which a statement fails costs only itself; the rest of its batch is stored in order', async (t) => {
  t.testdir();
  const catalogue = await openCatalogue(t, { defaultQuotaBytes: null });
  await reset(catalogue);
  const { db } = catalogue;
  await db.execute(`CREATE TRIGGER no_bad_names AFTER INSERT ON file_versions WHEN NEW.PathName = 'store/bad'
    BEGIN SELECT RAISE(ABORT, 'not this one'); END`);
  const [client = ''] = CLIENTS;
  const bad = new Set([3, 40, 41]);
  const rows = Array.from({ length: 60 }, (_, n) => ({
    ...fileOf(client, `file-${n % 20}`, n),
    ...(bad.has(n) ? { pathName: 'store/bad' } : {}),
  }));
  const { saved, failed } = await db.files.saveMany(rows);
  t.equal(saved, 57);
  t.match(
    failed,
    [...bad].map((index) => ({ index, error: { code: 'CATALOG_CONFLICT', message: /not this one/ } })),
  );
  t.equal((await db.files.find(client, 'file-0'))?.fileSize, 20, 'the version of the bad row was never there');
  t.equal((await db.files.find(client, 'file-19'))?.fileSize, 59);
  t.same((await db.quotas.audit()).driftBytes, 0);
  t.same(await db.query("SELECT sum(FileCount) AS n FROM client_activity WHERE ActivityType = 'upload'"), [{ n: 58 }]);
});

t.test('others save between the batches of a stream, in a transaction the stream is part of it', async (t) => {
  t.testdir();
  const catalogue = await openCatalogue(t, { defaultQuotaBytes: null });
  await reset(catalogue);
  const { db } = catalogue;
  const [client = '', other = ''] = CLIENTS;
  const rows = Array.from({ length: 2_000 }, (_, n) => fileOf(client, `file-${n}`, n));
  const progress: number[] = [];
  const stream = db.files.saveMany(rows, { onProgress: ({ saved }) => progress.push(saved) });
  await db.files.save(fileOf(other, 'between', 1));
  t.ok((progress.at(-1) ?? 0) < 2_000, 'the save did not wait for the whole stream');
  t.match(await stream, { saved: 2_000, failed: [] });
  const thrown = db.transaction(async (tx) => {
    t.match(await tx.files.saveMany(rows.slice(0, 600).map((file) => ({ ...file, clientId: other }))), { saved: 600 });
    throw new Error('never mind');
  });
  await t.rejects(thrown, { message: 'never mind' });
  t.equal(await db.files.count(), 2_002);
});

t.test(
  'after a failure for good no later row is stored, whenever it arrives; a row that never comes is not waited for',
  async (t) => {
    const full = new DatabaseError('CATALOG_FULL', 'the disk is full');
    const stored: number[] = [];
    const work = (rows: Iterable<unknown>, signal?: AbortSignal) =>
      saveEach({
        rows,
        signal,
        onProgress: undefined,
        check: (row) => row as never,
        saveOne: () => Promise.reject(full),
        saveBatch: async (files) => {
          if (stored.push(...(files as unknown as number[])) === 1) throw full;
          return { versions: 1, unchanged: 0, bytes: 0, failed: [], warnings: [] };
        },
      });
    for (const turns of [0, 1, 2, 3, 5, 8, 13]) {
      const late = async () => {
        for (let turn = 0; turn < turns; turn += 1) await undefined;
        return 2;
      };
      await t.rejects(work([1, late(), 3]), full, `${turns} turns later`);
      t.same(stored.splice(0), [1], 'nothing after it was given on');
    }
    const stop = new AbortController();
    const owed = work([new Promise(() => undefined)], stop.signal);
    stop.abort(new Error('enough'));
    await t.rejects(owed, { message: 'enough' });
  },
);

t.test('what concerns every row of a batch is told of each, and no row is tried again by itself', async (t) => {
  const files = ['a', 'b', 'c'] as unknown as FileToSave[];
  const stored = { versions: 1, unchanged: 0, bytes: 0, warnings: [] };
  const attempt = async (error: DatabaseError) => {
    const single: unknown[] = [];
    const result = await saveEach({
      rows: files,
      signal: undefined,
      onProgress: undefined,
      check: (file) => file,
      saveBatch: async (batch) => {
        // The first row is a batch of its own, and the others wait for its end.
        await setImmediate();
        if (batch.length === 1) return { ...stored, failed: [] };
        throw error;
      },
      saveOne: async (file) => {
        single.push(file);
        return { ...stored, result: undefined as never };
      },
    });
    return { single, ...result };
  };
  const indeterminate = new DatabaseError('CATALOG_INDETERMINATE', 'no answer came');
  for (const error of [indeterminate, new DatabaseError('CATALOG_BUSY', 'others write', { retryable: true })]) {
    const failed = [1, 2].map((index) => ({ index, error }));
    t.same(await attempt(error), { single: [], saved: 1, unchanged: 0, failed }, error.code);
  }
  const oneToBlame = new DatabaseError('CATALOG_SQL', 'one of them is to blame');
  t.same(await attempt(oneToBlame), { single: ['b', 'c'], saved: 3, unchanged: 0, failed: [] });
});

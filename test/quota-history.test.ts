/**
 * Random histories of saves, streams, failures, reservations, expiries, activations, deletions and prunes, alone and in
 * transactions that may throw, against plain lists: use, reservations, versions, freed contents and plans are equal at
 * every step; searches and every statistic at the end.
 */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { DatabaseManager, type PrunePlan, type RetentionPolicy, type Transaction } from '../lib/index.ts';
import { holds } from './fixtures/property.ts';
import { QuotaModel } from './quota-model.ts';

t.setTimeout(300_000); // on a machine that is busy otherwise

const DEFAULT_QUOTA = 2_000;
const CLIENTS = [1, 2, 3].map((n) => `c${n}`.padStart(32, '0'));
const NAMES = ['a.txt', 'b.txt'];
const EXPIRED = '2000-01-01T00:00:00.000Z';

/** What a step works with. */
interface World {
  readonly db: DatabaseManager | Transaction;
  readonly model: QuotaModel;
  /** Ids of every reservation made, whether it lives or not. */
  readonly made: string[];
}

type Step = (world: World) => Promise<void>;

type Outcome = { readonly value: unknown } | { readonly code: string };

async function outcomeOf(work: () => unknown): Promise<Outcome> {
  try {
    return { value: await work() };
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    if (!code.startsWith('CATALOG_')) throw error;
    return { code };
  }
}

/** Both do the same and answer alike, or fail alike. */
async function both(what: string, real: () => Promise<unknown>, modelled: () => unknown): Promise<void> {
  const found = await outcomeOf(real);
  deepStrictEqual(found, await outcomeOf(modelled), what);
}

const fileIdOf = async (db: World['db'], clientId: string, name: string): Promise<string> =>
  (await db.files.find(clientId, name))?.id ?? 'f'.repeat(32);

const clientId = fc.constantFrom(...CLIENTS, ...CLIENTS.slice(0, 1), ...CLIENTS.slice(0, 1));
const name = fc.constantFrom(...NAMES);
const path = fc.constantFrom('/1', '/2', '/3', '/4', '/5');
// Mostly small, so that versions gather, and now and then as much as may be free.
const bytes = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 60 }) },
  { weight: 2, arbitrary: fc.integer({ min: 500, max: 2_000 }) },
);
const iso = fc
  .tuple(fc.constantFrom('2019-12-30', '2020-02-28', '2020-12-31'), fc.integer({ min: 0, max: 120 }))
  .map(([day, hours]) => new Date(Date.parse(day) + hours * 3_600_000).toISOString());
const toSave = fc.record({ clientId, name, path, bytes, iso });
const count = fc.option(fc.integer({ min: -1, max: 3 }), { nil: undefined, freq: 1 });
const policy: fc.Arbitrary<RetentionPolicy> = fc
  .record({
    keepLast: count,
    keepHourly: count,
    keepDaily: count,
    keepWeekly: count,
    keepMonthly: count,
    keepYearly: count,
    keepWithin: fc.constantFrom(undefined, undefined, '5h', '50h'),
  })
  .filter((given) => Object.values(given).some((value) => value !== undefined && value !== 0));
const scope = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  { weight: 2, arbitrary: fc.record({ clientId }) },
  { weight: 2, arbitrary: fc.record({ clientId, name }) },
);

type Saved = ReturnType<QuotaModel['save']>;

/** Saves by `save`, then dates the version. */
async function saveDated(
  { db }: World,
  file: ToSave,
  save: (input: object) => Promise<{ file: { id: string }; version: number; quota: { usedBytes: number } }>,
): Promise<Saved> {
  const { clientId, name: fileName, path: pathName, bytes: fileSize } = file;
  const saved = await save({ clientId, fileName, pathName, fileSize });
  await db.execute('UPDATE file_versions SET CreatedDate = ? WHERE FileID = ? AND VersionNumber = ?', [
    file.iso,
    Buffer.from(saved.file.id, 'hex'),
    saved.version,
  ]);
  return { version: saved.version, usedBytes: saved.quota.usedBytes };
}

type ToSave = typeof toSave extends fc.Arbitrary<infer Value> ? Value : never;

/** Saves as a stream, then dates the versions that came: those of a file by their numbers, in the order of the stream. */
async function saveManyDated({ db }: World, files: readonly ToSave[]) {
  const { saved, unchanged, failed } = await db.files.saveMany(
    files.map(({ clientId, name: fileName, path: pathName, bytes: fileSize }) => ({
      ...{ clientId, fileName, pathName, fileSize },
    })),
  );
  const refused = new Set(failed.map(({ index }) => index));
  for (const [identity, stored] of Map.groupBy(
    files.filter((_, index) => !refused.has(index)),
    (file) => `${file.clientId} ${file.name}`,
  )) {
    const id = await fileIdOf(db, ...(identity.split(' ') as [string, string]));
    const numbers = (await db.versions.list(id)).slice(-stored.length).map(({ versionNumber }) => versionNumber);
    for (const [place, { iso: date }] of stored.entries()) {
      await db.execute('UPDATE file_versions SET CreatedDate = ? WHERE FileID = ? AND VersionNumber = ?', [
        date,
        Buffer.from(id, 'hex'),
        numbers[place] ?? 0,
      ]);
    }
  }
  deepStrictEqual(unchanged, 0);
  return { saved, refused: failed.map(({ error }) => error.code) };
}

const sorted = <Value extends { paths: readonly string[] }>(value: Value) => ({
  ...value,
  paths: [...value.paths].sort(),
});

async function namesOf(db: World['db'], kept: PrunePlan['kept']): Promise<Record<string, readonly string[]>> {
  const names = new Map<string, string>();
  for await (const file of db.files.listAll()) names.set(file.id, `${file.clientId} ${file.fileName}`);
  return Object.fromEntries(
    kept.map(({ fileId, versionNumber, reasons }) => [`${names.get(fileId)} ${versionNumber}`, reasons]),
  );
}

async function planAndPrune({ db }: World, given: RetentionPolicy, where: { clientId?: string; name?: string }) {
  const fileId = where.name === undefined ? undefined : await fileIdOf(db, where.clientId ?? '', where.name);
  const real = { clientId: where.clientId, fileId };
  const { kept, quotas, ...planned } = await db.versions.planPrune(given, real);
  const keptByName = await namesOf(db, kept);
  deepStrictEqual(await db.versions.prune(given, real), planned, 'prune does what was planned');
  const after = (await db.quotas.list()).quotas;
  deepStrictEqual(
    quotas,
    where.clientId === undefined ? after : after.filter((one) => one.clientId === where.clientId),
  );
  return { ...planned, kept: keptByName };
}

const steps: Record<string, readonly [weight: number, fc.Arbitrary<Step>]> = {
  saveClient: [
    4,
    clientId.map(
      (id) =>
        ({ db, model }) =>
          both(
            'clients.save',
            async () => void (await db.clients.save({ id, name: `client ${id}` })),
            () => model.saveClient(id, DEFAULT_QUOTA),
          ),
    ),
  ],
  rename: [
    1,
    clientId.map(
      (id) =>
        async ({ db }) =>
          void (await outcomeOf(() => db.clients.rename(id, `now ${id}`))),
    ),
  ],
  deleteClient: [
    1,
    clientId.map(
      (id) =>
        ({ db, model }) =>
          both(
            'clients.delete',
            async () => sorted(await db.clients.delete(id)),
            () => model.deleteClient(id),
          ),
    ),
  ],
  setQuota: [
    1,
    fc.tuple(clientId, fc.constantFrom(null, 0, 500, 2_000, 10_000)).map(
      ([id, quotaBytes]) =>
        ({ db, model }) =>
          both(
            'quotas.set',
            async () => void (await db.quotas.set(id, { quotaBytes })),
            () => model.setQuota(id, quotaBytes),
          ),
    ),
  ],
  save: [
    14,
    toSave.map(
      (file) => (world) =>
        both(
          'files.save',
          () => saveDated(world, file, (input) => world.db.files.save(input as never)),
          () => world.model.save(file),
        ),
    ),
  ],
  saveMany: [
    4,
    fc.array(toSave, { maxLength: 6 }).map(
      (files) => (world) =>
        both(
          'files.saveMany',
          () => saveManyDated(world, files),
          () => world.model.saveMany(files),
        ),
    ),
  ],
  recordFailure: [
    1,
    fc.tuple(clientId, name, bytes).map(
      ([id, fileName, wanted]) =>
        ({ db, model }) =>
          both(
            'files.recordFailure',
            async () => void (await db.files.recordFailure({ clientId: id, fileName, bytes: wanted })),
            () => model.recordFailure(id, wanted),
          ),
    ),
  ],
  deleteFile: [
    2,
    fc.tuple(clientId, name).map(
      ([id, file]) =>
        ({ db, model }) =>
          both(
            'files.delete',
            async () => sorted(await db.files.delete(await fileIdOf(db, id, file))),
            () => model.deleteFile(id, file),
          ),
    ),
  ],
  activate: [
    4,
    fc.tuple(clientId, name, fc.integer({ min: 1, max: 8 })).map(
      ([id, file, number]) =>
        ({ db, model }) =>
          both(
            'versions.activate',
            async () => void (await db.versions.activate(await fileIdOf(db, id, file), number)),
            () => model.activate(id, file, number),
          ),
    ),
  ],
  oldServer: [
    1,
    fc
      .tuple(clientId, path, fc.uint8Array({ minLength: 16, maxLength: 16 }))
      .map(([id, where, fileId]) => async (world) => {
        const { db, model } = world;
        if ((await db.clients.get(id)) === null || (await db.files.get(fileId)) !== null) return;
        model.addBare(id, where);
        await db.execute("INSERT INTO files (ID, FileName, PathName, ClientID) VALUES (?, 'old', ?, ?)", [
          fileId,
          where,
          Buffer.from(id, 'hex'),
        ]);
      }),
  ],
  reserve: [
    6,
    fc.tuple(clientId, bytes).map(([id, wanted]) => async ({ db, model, made }) => {
      let held = '';
      const real = await outcomeOf(async () => {
        const reservation = await db.quotas.reserve(id, wanted);
        held = reservation.id;
        return reservation.bytes;
      });
      const modelled = await outcomeOf(() => {
        model.reserve(held, id, wanted);
        return wanted;
      });
      deepStrictEqual(real, modelled, 'quotas.reserve');
      if (held !== '') made.push(held);
    }),
  ],
  expire: [
    4,
    fc.nat().map((pick) => async ({ db, model, made }) => {
      const live = made.filter(model.isLive);
      const id = live[pick % live.length] ?? '';
      model.release(id);
      const change = 'UPDATE quota_reservations SET ExpiresAt = ? WHERE ID = ?';
      await db.execute(change, [EXPIRED, Buffer.from(id, 'hex')]);
    }),
  ],
  release: [
    2,
    fc.nat().map((pick) => async ({ db, model, made }) => {
      if (made.length === 0) return;
      const id = made[pick % made.length] ?? '';
      const found = await db.quotas.reservation(id);
      deepStrictEqual(found !== null, model.isLive(id));
      await found?.release();
      await found?.release();
      model.release(id);
    }),
  ],
  commit: [
    5,
    fc.tuple(fc.nat(), toSave, fc.boolean()).map(([pick, file, late]) => async (world) => {
      const { db, model, made } = world;
      if (made.length === 0) return;
      const id = made[pick % made.length] ?? '';
      const found = await db.quotas.reservation(id);
      if (found === null) return;
      if (late) {
        const change = 'UPDATE quota_reservations SET ExpiresAt = ? WHERE ID = ? RETURNING ClientID AS client';
        await db.execute(change, [EXPIRED, Buffer.from(id, 'hex')]);
        model.release(id);
      }
      const [row] = await db.query('SELECT lower(hex(ClientID)) AS client FROM quota_reservations WHERE ID = ?', [
        Buffer.from(id, 'hex'),
      ]);
      const theirs = { ...file, clientId: String(row?.['client']) };
      await both(
        'commit',
        () => saveDated(world, theirs, (input) => found.commit(input as never)),
        () => model.commit(id, theirs),
      );
    }),
  ],
  prune: [
    5,
    fc.tuple(policy, scope).map(
      ([given, where]) =>
        (world) =>
          both(
            `prune ${JSON.stringify([given, where])}`,
            () => planAndPrune(world, given, where),
            () => world.model.prune(given, where),
          ),
    ),
  ],
};

const step = fc.oneof(...Object.values(steps).map(([weight, arbitrary]) => ({ weight, arbitrary })));
const history = fc.array(
  fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 4 }),
    kind: fc.constantFrom('each', 'each', 'commit', 'throw'),
  }),
  { minLength: 10, maxLength: 25, size: 'max' },
);

async function firstClient({ db, model }: World, id: string): Promise<void> {
  await db.clients.save({ id, name: `client ${id}` });
  model.saveClient(id, DEFAULT_QUOTA);
}

async function assertEqual({ db, model }: World): Promise<void> {
  for (const id of CLIENTS) {
    const real = await db.quotas.get(id);
    const { warningThreshold, ...quota } = real ?? { warningThreshold: null };
    deepStrictEqual(real === null ? null : quota, model.quota(id), 'use and reservations');
    for (const file of NAMES) {
      const versions = await db.versions.list(await fileIdOf(db, id, file));
      const found = versions.map((version) => ({
        number: version.versionNumber,
        path: version.pathName,
        bytes: version.fileSize,
        iso: version.createdDate,
        isActive: version.isActive,
      }));
      deepStrictEqual(found, model.versions(id, file), 'versions');
    }
  }
  const { driftBytes, clients } = await db.quotas.audit();
  deepStrictEqual({ driftBytes, clients }, { driftBytes: 0, clients: [] }, 'no drift');
}

/** How many, and how many bytes, of each kind; kinds that nothing is left of are none. */
const grouped = (groups: readonly { name: string | null; files: number; bytes: number }[]) =>
  Object.fromEntries(groups.map(({ name: kind, files, bytes: all }) => [String(kind), [files, all]]).sort());

type Current = ReturnType<QuotaModel['current']>;

const groupedBy = (files: Current, kindOf: (file: Current[number]) => unknown) => {
  const groups = Map.groupBy(files, (file) => String(kindOf(file)));
  return grouped([...groups].map(([kind, some]) => ({ name: kind, ...figuresOf(some) })));
};

const figuresOf = (files: Current) => ({
  files: files.length,
  bytes: files.reduce((sum, file) => sum + (file.bytes ?? 0), 0),
});

const KIB = 1_024;
const YESTERDAY = () => new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);

/** Every statistic, whatever led to it. */
async function assertStatistics({ db, model }: World): Promise<void> {
  const { analytics } = db;
  const files = model.current();
  const clients = model.clients();
  const all = figuresOf(files);
  const { fileStats, clientStats } = await analytics.storage();
  deepStrictEqual([fileStats.totalFiles, fileStats.totalBytes], [all.files, all.bytes]);
  deepStrictEqual([await db.files.count(), await db.files.totalBytes()], [all.files, all.bytes]);
  deepStrictEqual(
    grouped(fileStats.byExtension),
    groupedBy(files, ({ extension }) => extension),
  );
  deepStrictEqual(
    grouped(fileStats.byCategory),
    groupedBy(files, () => 'document'),
  );
  const sized = files.filter((file) => file.bytes !== null);
  deepStrictEqual(
    grouped(
      fileStats.bySize.map(({ min, ...band }) => ({ name: String(min), ...band })).filter((band) => band.files > 0),
    ),
    groupedBy(sized, (file) => (Number(file.bytes) < KIB ? 0 : KIB)),
  );
  deepStrictEqual(
    clientStats.topClients.map(({ clientId: id, files: count, bytes: sum }) => [id, count, sum]).sort(),
    clients.map(({ clientId: id, files: count, bytes: sum }) => [id, count, sum]),
  );
  const listed = (await Array.fromAsync(analytics.clientsAll())).sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
  deepStrictEqual(
    listed.map(({ name: _, lastSeen: __, ...totals }) => totals),
    clients,
  );
  await assertSeries({ db, model }, clients, all);
  deepStrictEqual((await analytics.audit()).differences, []);
}

async function assertSeries(
  { db, model }: Pick<World, 'db' | 'model'>,
  clients: ReturnType<QuotaModel['clients']>,
  all: ReturnType<typeof figuresOf>,
): Promise<void> {
  const { analytics } = db;
  const today = async (id: string | null) => {
    const [{ files, bytes: current, usedBytes } = { files: 0, bytes: 0, usedBytes: 0 }] = await analytics.growth({
      days: 1,
      clientId: id,
    });
    return { files, bytes: current, usedBytes };
  };
  const usedBytes = clients.reduce((sum, client) => sum + client.usedBytes, 0);
  deepStrictEqual(await today(null), { ...all, usedBytes }, 'growth of all');
  for (const { clientId: id, quotaBytes: _, ...totals } of clients) {
    deepStrictEqual({ clientId: id, ...(await today(id)) }, { clientId: id, ...totals }, 'growth of a client');
  }
  const { all: attempts, activity } = model.transfers();
  const days = await analytics.transfers({ from: YESTERDAY() });
  const sum = (key: keyof typeof attempts) => days.reduce((total, day) => total + day[key], 0);
  const keys = Object.keys(attempts) as (keyof typeof attempts)[];
  deepStrictEqual(Object.fromEntries(keys.map((key) => [key, sum(key)])), attempts, 'transfers');
  const done = await Array.fromAsync(analytics.activityAll());
  const byClient = Map.groupBy(done, ({ clientId: id, activityType }) => `${id} ${activityType === 'upload'}`);
  const told = [...byClient].map(([key, some]) => {
    const total = (figure: 'fileCount' | 'bytesTransferred') => some.reduce((amount, one) => amount + one[figure], 0);
    return [key, [total('fileCount'), total('bytesTransferred')]] as const;
  });
  deepStrictEqual(Object.fromEntries(told.sort()), activity, 'activity');
}

/** What searches find, by client and name. */
async function assertSearches({ db, model }: World): Promise<void> {
  const files = model.current();
  for (const id of [undefined, ...CLIENTS]) {
    for (const term of ['', 'A.T', 'txt', 'l', 'nothing']) {
      const { files: found, total } = await db.files.search({ clientId: id, term, limit: 1_000 });
      const names = found.map((file) => `${file.fileName} ${file.clientId}`).sort();
      const expected = files.filter((file) => id === undefined || file.clientId === id);
      const wanted = expected.filter((file) => file.name.includes(term.toLowerCase()));
      deepStrictEqual(names, wanted.map((file) => `${file.name} ${file.clientId}`).sort(), `search for ${term}`);
      deepStrictEqual(total, wanted.length);
    }
  }
}

async function play(db: DatabaseManager, world: World, { steps: some, kind }: { steps: Step[]; kind: string }) {
  if (kind === 'each') {
    for (const one of some) await one(world);
    return;
  }
  const back = world.model.snapshot();
  const thrown = new Error('half-way');
  const inside = async (tx: Transaction) => {
    for (const one of some) await one({ ...world, db: tx });
    if (kind === 'throw') throw thrown;
  };
  await db.transaction(inside).catch((error: unknown) => {
    if (error !== thrown) throw error;
    back();
  });
}

t.test('random histories end as the plain lists do', async (t) => {
  const db = await DatabaseManager.open({ database: `${t.testdir()}/catalog.db`, defaultQuotaBytes: DEFAULT_QUOTA });
  t.teardown(() => db.close());
  await holds(
    t,
    fc.asyncProperty(history, async (events) => {
      for (const id of CLIENTS) await outcomeOf(() => db.clients.delete(id));
      await db.execute('DELETE FROM transfer_stats');
      const world = { db, model: new QuotaModel(), made: [] as string[] };
      for (const id of CLIENTS) await firstClient(world, id);
      for (const event of events) {
        await play(db, world, event);
        await assertEqual(world);
      }
      await assertStatistics(world);
      await assertSearches(world);
      deepStrictEqual(await db.query('PRAGMA foreign_key_check'), []);
    }),
    { numRuns: 100, sample: 20, endOnFailure: true },
  );
});

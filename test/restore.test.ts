/** Restoring: into a catalogue that is in use, in the place of one that is damaged or gone, and everything that goes wrong on the way. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import type { BackupHost } from '../lib/backup/backups.ts';
import { check } from '../lib/backup/checker.ts';
import { readManifest } from '../lib/backup/manifest.ts';
import type { ContentMark } from '../lib/backup/marks.ts';
import { type RestoreParts, restoreLive, restoreParts } from '../lib/backup/restore/restore.ts';
import { SwapFailure, swapContent } from '../lib/backup/restore/swap.ts';
import { backupHost } from '../lib/catalog/hosts.ts';
import { openUnmigrated } from '../lib/catalog/open.ts';
import { type CatalogOptions, DatabaseError, DatabaseManager } from '../lib/index.ts';
import { lastMaintenance, recordMaintenance } from '../lib/maintenance/history.ts';
import { MACHINE } from '../lib/runtime/process-identity.ts';
import { beginEpochs, FILES, look, lookInto, turnEpoch, useCatalogue, WHOLE } from './fixtures/catalogue-users.ts';
import { type FileEvent, recordFiles } from './fixtures/file-record.ts';
import { makeLegacyFile } from './fixtures/legacy-file.ts';
import { migration, restore } from './fixtures/restore.ts';
import { openNew } from './fixtures/template.ts';
import { byTier, sampleOf } from './fixtures/tier.ts';

t.setTimeout(900_000); // a hundred processes, on a machine that may be busy

const PEER = fileURLToPath(new URL('./fixtures/backup-peer.ts', import.meta.url));

const SERVER = fileURLToPath(new URL('./fixtures/catalog-process.ts', import.meta.url));
const [OLD, NEW] = WHOLE as [string, string];

async function openCatalogue(t: Test, database: string, options: CatalogOptions = {}): Promise<DatabaseManager> {
  const db = await openNew({ database, defaultQuotaBytes: null, poolSize: 3, ...options });
  t.teardown(() => db.close());
  return db;
}

/** Makes `catalogue.db` in epoch b, a backup of it in epoch a, and `healthy.db`, another catalogue in epoch b. */
async function makeEpochs() {
  const folder = mkdtempSync(join(tmpdir(), 'catalogue-epochs-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const db = await openNew({ database: join(folder, 'catalogue.db'), defaultQuotaBytes: null, poolSize: 3 });
  await beginEpochs(db);
  const { path } = await db.backups.create({ reason: 'epoch a' });
  await turnEpoch(db);
  const healthy = join(folder, 'healthy.db');
  await db.backups.create({ path: healthy });
  rmSync(`${healthy}.manifest.json`);
  await db.close();
  return { folder, name: basename(path) };
}

let epochs: ReturnType<typeof makeEpochs> | undefined;

/** Puts them into a folder, where nobody has them open. */
async function copyEpochs(folder: string) {
  epochs ??= makeEpochs();
  const { folder: template, name } = await epochs;
  cpSync(template, folder, { recursive: true });
  const [database, healthy] = [join(folder, 'catalogue.db'), join(folder, 'healthy.db')];
  return { folder, database, path: join(folder, 'backups', name), healthy, bytes: readFileSync(database) };
}

/** The parts of a restore; the backups of most tests need no migration. */
const partsOf = (host: BackupHost, path: string): RestoreParts => ({
  ...restoreParts(host, path, {}),
  ...migration,
});

const lost = (t: Test) => copyEpochs(t.testdir());

/** A catalogue in epoch b, and a backup of it in epoch a. */
async function twoEpochs(t: Test, options: CatalogOptions = {}) {
  const { folder, database, path, healthy } = await lost(t);
  rmSync(healthy);
  return { folder, database, path, db: await openCatalogue(t, database, options) };
}

const sound = async (db: DatabaseManager) => [
  ...(await db.query('PRAGMA integrity_check')),
  ...(await db.query('PRAGMA foreign_key_check')),
];
const OK = [{ integrity_check: 'ok' }];

/** Everything in a folder of backups that has no final name. */
const unfinished = (folder: string) => {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter((name) => name.includes('.partial') || /-(?:wal|shm|journal)$/.test(name));
};

const pathsIn = (file: string): Set<string> => {
  const database = new Database(file, { readonly: true });
  const paths = database.prepare('SELECT PathName FROM files').pluck().all() as string[];
  database.close();
  return new Set(paths);
};

const peer = (work: string, database: string, path = ''): ChildProcess =>
  spawn(process.execPath, [PEER, work, database, path], { stdio: ['pipe', 'pipe', 'inherit'] });

async function linesOf(child: ChildProcess, onLine: (line: string) => void): Promise<string[]> {
  const lines: string[] = [];
  const ended = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout! })) {
    lines.push(line);
    onLine(line);
  }
  await ended;
  return lines;
}

// In each of two processes.
const [READERS, WRITERS] = [byTier(2, 4), byTier(1, 2)];

t.test(
  'a restore under readers and writers of two processes: no mix is seen, no acknowledged save is lost',
  async (t) => {
    const { database, db, path } = await twoEpochs(t, { poolSize: READERS + 1 });
    const said: string[] = [];
    const child = peer('use', database, `${READERS} ${WRITERS}`);
    const { promise: warm, resolve: isWarm } = Promise.withResolvers<void>();
    const { promise: after, resolve: isAfter } = Promise.withResolvers<void>();
    let restored = false;
    let since = 0;
    const childLines = linesOf(child, (line) => {
      if (!line.startsWith('saved')) return;
      since += 1;
      if (!restored && since > 10) isWarm();
      if (restored && since > 10) isAfter();
    });
    const stop = new AbortController();
    const own = useCatalogue(db, {
      readers: READERS,
      writers: WRITERS,
      name: 'own',
      signal: stop.signal,
      say: (line) => said.push(line),
    });
    await warm;
    const { safetyCopy, counts } = await db.backups.restore(path);
    restored = true;
    since = 0;
    await after;
    stop.abort();
    child.stdin?.end();
    const lines = [...said, ...(await childLines)];
    await own;
    t.same(
      lines.filter((line) => line.startsWith('failed')),
      [],
      'nothing failed that may not be tried again',
    );
    const seen = new Set(lines.filter((line) => line.startsWith('saw ')).map((line) => line.slice(4)));
    t.same([...seen].toSorted(), [OLD, NEW].toSorted(), 'every reader saw the one state or the other');
    t.equal(counts.files, FILES);
    t.equal(await look(db), OLD);
    const kept = pathsIn(safetyCopy ?? '');
    const present = new Set((await db.query('SELECT PathName AS "path" FROM files')).map(({ path }) => String(path)));
    const saved = lines.filter((line) => line.startsWith('saved ')).map((line) => line.slice(6));
    t.ok(saved.length > 20, `${saved.length} saves`);
    t.same(
      saved.filter((name) => !kept.has(name) && !present.has(name)),
      [],
      'each acknowledged save is in the safety copy or in the restored catalogue',
    );
    t.same(
      saved.filter((name) => kept.has(name) && present.has(name)),
      [],
      'and in one of them only',
    );
    t.match(await db.backups.verify(safetyCopy ?? ''), { ok: true, manifest: { reason: 'before restore' } });
    t.same(await sound(db), OK);
    t.match(await db.analytics.audit(), {}, 'totals can be audited');
    t.match(await db.quotas.audit(), { driftBytes: 0 });
  },
);

t.test('a restore goes back whichever part fails, before or after it has done its work', async (t) => {
  const { database, path, host, parts, backups } = await restoring(t);
  const before = readdirSync(backups).toSorted();
  const content = () => pathsIn(database);
  const expected = content();
  const names = Object.keys(parts) as (keyof RestoreParts)[];
  t.same(names.toSorted(), ['finish', 'health', 'migrate', 'safety', 'stage', 'swap']);
  const whens = names.flatMap((name) => (['before', 'after'] as const).map((when) => ({ name, when })));
  for (const { name, when } of sampleOf(whens, 3)) {
    const failure = new Error(`injected ${when} ${name}`);
    let times = 0;
    const failing = async (...given: unknown[]) => {
      times += 1;
      // The swap that goes back is let through.
      if (when === 'before' && times === 1) throw failure;
      const result = await (parts[name] as (...args: unknown[]) => Promise<unknown>)(...given);
      if (times === 1) throw failure;
      return result;
    };
    const injected = { ...parts, [name]: failing } as RestoreParts;
    await t.rejects(restoreLive(host, path, {}, injected), failure, `${when} ${name}`);
    t.same(content(), expected, 'the catalogue is as it was');
    t.same(unfinished(backups), [], 'and nothing unfinished is left');
  }
  const made = readdirSync(backups).filter((name) => !before.includes(name));
  t.ok(
    made.every((name) => /before-restore|failed-restore/.test(name)),
    'only copies of what was replaced are new',
  );
  const between = 'saved by another between the swap and the going back';
  const failure = new Error('not healthy');
  let swaps = 0;
  const swap: RestoreParts['swap'] = async (source, whileLocked) => {
    await parts.swap(source, whileLocked);
    swaps += 1;
    if (swaps > 1) return;
    const other = new Database(database);
    other.prepare('UPDATE files SET PathName = ? WHERE rowid = (SELECT min(rowid) FROM files)').run(between);
    other.close();
    throw failure;
  };
  await t.rejects(restoreLive(host, path, {}, { ...parts, swap }), failure);
  t.same(content(), expected, 'the catalogue is as it was');
  const aside = readdirSync(backups).filter((name) => /failed-restore.*\.db$/.test(name) && !made.includes(name));
  t.equal(aside.length, 1);
  t.ok(pathsIn(join(backups, aside[0] ?? '')).has(between), 'what another process saved meanwhile is kept');
  t.same(lookInto(database), { seen: NEW, problems: OK });
});

/** A catalogue in epoch b that is open as a host of restores, and its parts. */
async function restoring(t: Test, options: CatalogOptions = {}) {
  const { folder, database, path } = await lost(t);
  const file = await openUnmigrated({ database, defaultQuotaBytes: null, poolSize: 3, ...options });
  t.teardown(() => file.close());
  const host = backupHost(file);
  return { folder, database, path, host, parts: partsOf(host, path), backups: join(folder, 'backups') };
}

const namesOf = (backups: string, what: RegExp) =>
  readdirSync(backups)
    .filter((name) => what.test(name) && name.endsWith('.db'))
    .map((name) => join(backups, name));

t.test('a restore leaves alone what came after it, however it fails, and says where the state before is', async (t) => {
  const { database, path, host, parts, backups } = await restoring(t);
  const db = await openCatalogue(t, database);
  const { latest } = await db.migrations.status();
  const clientId = String((await db.clients.list()).clients[0]?.id);
  const later = await db.backups.create({ reason: 'the later one' });
  const saved: string[] = [];
  const failure = new Error('injected');
  const other = {
    'another restore, and saves after it': async () => {
      await restore({ database, from: later.path });
      saved.push(`after/${saved.length}`);
      const pathName = saved.at(-1) ?? '';
      await db.files.save({ clientId, fileName: pathName, pathName, fileSize: 1 });
      return async () => {
        t.ok(pathsIn(database).has(pathName), 'what was saved after it is there');
        t.equal((await look(db)).slice(0, 7), 'epoch-b');
      };
    },
    'the way back to an older schema': async () => {
      await db.migrations.down({ to: latest - 1 });
      return async () => {
        t.equal((await db.migrations.status()).current, latest - 1);
        await db.migrations.up();
      };
    },
    'the way back to the oldest schema': async () => {
      await db.migrations.down({ to: 0 });
      return async () => {
        t.equal((await db.migrations.status()).current, 0);
        await db.migrations.up();
      };
    },
  };
  let swaps = 0;
  const ends: Record<string, (before: () => Promise<void>) => Partial<RestoreParts>> = {
    'before its look': (before) => ({
      health: async (connection, expected) => parts.health(connection, expected),
      swap: async (source, whileLocked) => {
        swaps += 1;
        await parts.swap(source, whileLocked);
        await before();
      },
    }),
    'before its own failure': (before) => ({
      swap: firstThen(parts.swap, async () => {
        await before();
        throw failure;
      }),
    }),
    'before a failure that says nothing': (before) => ({
      swap: firstThen(parts.swap, async () => {
        await before();
        throw new SwapFailure(null, failure);
      }),
    }),
  };
  const pairs = [
    ...Object.keys(ends).map((when) => ['another restore, and saves after it', when] as const),
    ['the way back to the oldest schema', 'before its look'],
    ['the way back to an older schema', 'before its own failure'],
  ] as const;
  for (const [what, when] of sampleOf(pairs, 3)) {
    const known = namesOf(backups, /./);
    let assert = async () => {};
    const injected = ends[when]?.(async () => {
      assert = await other[what]();
    });
    const error = await restoreLive(host, path, {}, { ...parts, ...injected }).catch((thrown) => thrown);
    t.match(error, { code: 'CATALOG_CONFLICT', message: /another restore or a migration/ }, `${what}, ${when}`);
    await assert();
    const made = namesOf(backups, /./).filter((name) => !known.includes(name));
    t.same(
      made.filter((name) => name.includes('failed-restore')),
      [],
      'nothing was given up',
    );
    const safety = made.find((name) => error.hint.includes(name)) ?? '';
    t.match(await db.backups.verify(safety), { ok: true, manifest: { reason: 'before restore' } }, 'the hint names it');
  }
  t.equal(swaps, byTier(1, 2), 'a look that finds another content does not stop the writers again');
  t.same(await sound(db), OK);
});

/** A part whose first call is followed by something that fails it. */
function firstThen<Given extends unknown[]>(part: (...given: Given) => Promise<void>, after: () => Promise<never>) {
  let times = 0;
  return async (...given: Given): Promise<void> => {
    await part(...given);
    times += 1;
    if (times === 1) await after();
  };
}

t.test('a swap of which nothing is known is undone where it happened, and forgotten where it did not', async (t) => {
  const { database, path, host, parts, backups } = await restoring(t);
  const expected = pathsIn(database);
  const before = namesOf(backups, /./);
  const failure = new Error('no word of the thread');
  const unknown = async () => {
    throw new SwapFailure(null, failure);
  };
  await t.rejects(restoreLive(host, path, {}, { ...parts, swap: firstThen(parts.swap, unknown) }), failure);
  t.same(pathsIn(database), expected, 'it had happened: the content before is back');
  const made = namesOf(backups, /./).filter((name) => !before.includes(name));
  t.same(made.map((name) => /(?:before|failed)-restore/.exec(name)?.[0]).toSorted(), [
    'before-restore',
    'failed-restore',
  ]);

  let times = 0;
  const swap: RestoreParts['swap'] = async (source, whileLocked) => {
    times += 1;
    if (times > 1) return parts.swap(source, whileLocked);
    const calledOff = async (found: ContentMark) => {
      await whileLocked(found);
      throw failure;
    };
    return parts.swap(source, calledOff).catch(unknown);
  };
  const known = namesOf(backups, /./);
  await t.rejects(restoreLive(host, path, {}, { ...parts, swap }), failure);
  t.equal(times, 2, 'it was looked under the lock');
  t.same(pathsIn(database), expected, 'it had not: nothing is changed');
  t.same(namesOf(backups, /./), known, 'and no copy is left');
});

t.test('the look after a swap waits for a writer, and sees another identity', async (t) => {
  const { database, path, host, parts } = await restoring(t, { busyTimeoutMs: 300 });
  const expected = pathsIn(database);
  const raw = new Database(database);
  t.teardown(() => raw.close());
  const swap = firstThen(parts.swap, async () => {
    raw.exec("UPDATE catalog_identity SET DatabaseID = 'f'");
    return undefined as never;
  });
  const error = { code: 'CATALOG_CORRUPT', message: /it is not the content that was restored/ };
  await t.rejects(restoreLive(host, path, {}, { ...parts, swap }), error);
  t.same(pathsIn(database), expected, 'what is not what was put in is taken back');

  const asked: string[] = [];
  const own = host.engine.file;
  if (own === undefined) throw new TypeError('the engine has no file');
  const holdWriter: typeof own.holdWriter = (use, options) =>
    own.holdWriter(
      (transaction) =>
        use(async (work) => {
          asked.push('asked');
          if (asked.length > 2) raw.exec('ROLLBACK');
          return transaction(work);
        }),
      options,
    );
  const file = Object.assign(Object.create(own), { path: own.path, holdWriter });
  const engine = Object.assign(Object.create(host.engine), { run: host.engine.run.bind(host.engine), file });
  const locked = firstThen(parts.swap, async () => {
    raw.exec('BEGIN IMMEDIATE');
    return undefined as never;
  });
  await restoreLive({ ...host, engine }, path, {}, { ...parts, swap: locked });
  t.same(asked, ['asked', 'asked', 'asked'], 'a write lock that is taken is no failure');
  t.equal(lookInto(database).seen, OLD);
});

t.test('a swap takes the lock or fails, and leaves every row in the file itself', async (t) => {
  const { folder, database, db, path } = await twoEpochs(t);
  const before = pathsIn(database);
  const raw = new Database(database);
  t.teardown(() => raw.close());
  const stage = join(folder, 'stage.db');
  copyFileSync(path, stage);
  raw.exec('BEGIN IMMEDIATE');
  const found: ContentMark[] = [];
  const swapped = swapContent(stage, database, async (mark) => void found.push(mark), 1);
  await t.rejects(swapped, { swapped: false, cause: { code: 'CATALOG_BUSY' } }, 'a file that is locked is no success');
  const notBegun = { swapped: false, message: 'the content was not exchanged' };
  const unheard = (() => stage) as never; // no thread can be told of a function
  await t.rejects(
    swapContent(unheard, database, async () => {}),
    notBegun,
    'nor is one without a thread',
  );
  raw.exec('ROLLBACK');
  t.same(pathsIn(database), before);
  await swapContent(stage, database, async (mark) => void found.push(mark), 60_000);
  t.match(found, [{ token: null, schemaVersion: (await db.migrations.status()).latest }], 'it tells what it replaces');
  const alone = join(folder, 'alone.db');
  copyFileSync(database, alone);
  t.ok(
    [...pathsIn(alone)].every((name) => name.startsWith('a/')),
    'nothing of it is in the log alone',
  );
  t.equal(pathsIn(alone).size, FILES);
  t.equal(await look(db), OLD);
});

t.test('a restore asks for the room that the new content needs in the log as well', async (t) => {
  const { folder, database, path, host, parts, backups } = await restoring(t);
  const bytes = statSync(path).size;
  const before = pathsIn(database);
  const made = namesOf(backups, /./);
  const free = async (place: string) => (place === folder ? bytes * 1.5 : Number.MAX_SAFE_INTEGER);
  const tight = { ...host, free };
  await t.rejects(restoreLive(tight, path, {}, { ...parts }), { code: 'CATALOG_FULL', message: /the restore needs/ });
  t.same(pathsIn(database), before);
  t.same(namesOf(backups, /./), made, 'it was asked before anything was done');
  const roomy = { ...host, free: async (place: string) => (place === folder ? bytes * 3 : Number.MAX_SAFE_INTEGER) };
  t.match(await restoreLive(roomy, path, {}, parts), { counts: { files: FILES } });
});

t.test('what a check found wrong before a restore is no matter of health after it', async (t) => {
  const { database, db } = await twoEpochs(t);
  const startedAt = new Date(Date.now() - 1_000).toISOString();
  const bad = { startedAt, durationMs: 1, ok: false, detail: 'page 7 is never used' } as const;
  await db.run(recordMaintenance, { ...bad, kind: 'check' });
  await db.run(recordMaintenance, { ...bad, kind: 'foreign-keys', detail: '3' });
  const { path: later } = await db.backups.create();
  t.match(await db.health(), { status: 'fail', integrityCheck: false, foreignKeyCheck: false });
  await restore({ database, from: later });
  t.match(
    await db.health(),
    { integrityCheck: true, foreignKeyCheck: null },
    'of another content, it says nothing of this',
  );
  await db.run(recordMaintenance, { ...bad, kind: 'check', startedAt: new Date(Date.now() + 1_000).toISOString() });
  t.match(await db.health(), { status: 'fail', integrityCheck: false }, 'what was found since counts');
});

t.test('two processes restore side by side, round after round: nothing acknowledged is undone', async (t) => {
  const { folder, database, db, path } = await twoEpochs(t);
  const backups = join(folder, 'backups');
  const { path: other } = await db.backups.create({ reason: 'epoch b' });
  const { latest } = await db.migrations.status();
  const clientId = String((await db.clients.list()).clients[0]?.id);
  const saved: string[] = [];
  let isSaving = true;
  const saving = (async () => {
    for (let number = 0; isSaving; number += 1) {
      const pathName = `w/${number}`;
      const made = await db.files
        .save({ clientId, fileName: pathName, pathName, fileSize: 1 })
        .catch((error) => ({ error }));
      if (!('error' in made)) saved.push(pathName);
      await setImmediate();
    }
  })();
  const child = peer('rounds', database);
  const ended = once(child, 'close');
  const answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const counts = { done: 0, superseded: 0 };
  const codeOf = (error: DatabaseError) => `failed ${error.code}`;
  const theirs = async (work: string) => {
    child.stdin?.write(`${work}\n`);
    return String((await answers.next()).value);
  };
  for (let round = 0; round < byTier(1, 6); round += 1) {
    const [mine, their] = await Promise.all([
      restore({ database, from: path }).then(() => 'done', codeOf),
      theirs(`restore ${other}`),
    ]);
    const seen = (await look(db)).slice(0, 7);
    const allowed = ['done', 'failed CATALOG_CONFLICT'];
    t.ok(allowed.includes(mine) && allowed.includes(their), `${mine}, ${their}`);
    t.ok(
      (mine === 'done' && seen === 'epoch-a') || (their === 'done' && seen === 'epoch-b'),
      `${seen}: ${mine}, ${their}`,
    );
    for (const outcome of [mine, their]) counts[outcome === 'done' ? 'done' : 'superseded'] += 1;
  }
  for (let round = 0; round < byTier(1, 3); round += 1) {
    const [mine, their] = await Promise.all([
      restore({ database, from: path }).then(() => 'done', codeOf),
      theirs(`down ${latest - 1}`),
    ]);
    const { current } = await db.migrations.status();
    t.ok(['done', 'failed CATALOG_CONFLICT'].includes(mine), mine);
    if (mine !== 'done' && their === 'done') t.equal(current, latest - 1, 'the way down that was acknowledged stays');
    await db.migrations.up();
  }
  isSaving = false;
  await saving;
  child.stdin?.end();
  await ended;
  t.ok(saved.length > 20, `${saved.length} saves, ${JSON.stringify(counts)}`);
  const kept = [database, ...namesOf(backups, /-(?:before|failed)-/)].map(pathsIn);
  t.same(
    saved.filter((name) => !kept.some((paths) => paths.has(name))),
    [],
    'each acknowledged save is in the catalogue or in a copy of what was replaced',
  );
  t.same(await sound(db), OK);
});

t.test('what must not be restored is refused before anything happens', async (t) => {
  const { folder, database, db, path } = await twoEpochs(t);
  const backups = join(folder, 'backups');
  const plain = join(folder, 'plain.db');
  copyFileSync(path, plain);
  const newer = join(folder, 'newer.db');
  copyFileSync(path, newer);
  const raw = new Database(newer);
  raw.exec(`INSERT INTO catalog_migrations VALUES (9999, 'of-tomorrow', 'x', '', '', '', 0, NULL)`);
  raw.close();
  const foreign = join(folder, 'foreign.db');
  const other = new Database(foreign);
  other.exec('CREATE TABLE notes (text)');
  other.close();
  const view = join(folder, 'view.db');
  const trap = new Database(view);
  trap.exec(
    `CREATE TABLE clients (ID); CREATE VIEW files AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n`,
  );
  trap.close();
  writeFileSync(join(folder, 'text.db'), 'no database at all');
  symlinkSync(foreign, join(backups, 'link.db'));
  const lax = { allowMissingManifest: true };
  const before = readdirSync(backups).toSorted();
  const cases: [string, string, object, { code: string; message?: RegExp }][] = [
    ['no manifest', plain, {}, { code: 'CATALOG_BACKUP_INVALID', message: /no manifest/ }],
    ['newer', newer, lax, { code: 'CATALOG_SCHEMA_NEWER' }],
    ['foreign', foreign, lax, { code: 'CATALOG_BACKUP_INVALID' }],
    ['a view for a table', view, lax, { code: 'CATALOG_BACKUP_INVALID' }],
    ['a text', join(folder, 'text.db'), lax, { code: 'CATALOG_BACKUP_INVALID' }],
    ['gone', join(folder, 'gone.db'), {}, { code: 'CATALOG_NOT_FOUND' }],
    ['a folder', backups, {}, { code: 'CATALOG_VALIDATION' }],
    ['the catalogue itself', database, lax, { code: 'CATALOG_VALIDATION' }],
    ['a link out of its folder', join(backups, 'link.db'), lax, { code: 'CATALOG_VALIDATION' }],
    ['NUL', `${path}\0`, {}, { code: 'CATALOG_VALIDATION' }],
    ['an unknown option', path, { force: true }, { code: 'CATALOG_VALIDATION' }],
  ];
  for (const [what, from, options, error] of cases) await t.rejects(db.backups.restore(from, options), error, what);
  await t.rejects(
    db.transaction(() => db.backups.restore(path)),
    { code: 'CATALOG_CONFLICT' },
    'inside a transaction',
  );
  t.same(readdirSync(backups).toSorted(), before, 'nothing was made');
  t.equal(await look(db), NEW);
  const reader = await openCatalogue(t, database, { readOnly: true });
  await t.rejects(reader.backups.restore(path), { code: 'CATALOG_READ_ONLY' });
  t.match(await db.backups.restore(plain, lax), { manifest: null, counts: { files: FILES } });
  t.equal(await look(db), OLD, 'a sound file without a manifest is taken when that is asked for');
});

t.test(
  'a stage that does not verify once it is migrated is refused, and a log beside a backup is no part of it',
  async (t) => {
    const { folder, database, path, host, parts } = await restoring(t);
    const before = pathsIn(database);
    const migrate = async (stage: string) => writeFileSync(stage, readFileSync(stage).fill(0xaa, 8_192, 40_960));
    const error = { code: 'CATALOG_BACKUP_INVALID', message: /does not verify after its migration/ };
    await t.rejects(restoreLive(host, path, {}, { ...parts, migrate }), error);
    t.same(pathsIn(database), before);

    const copy = join(folder, 'copy.db');
    copyFileSync(path, copy);
    const raw = new Database(copy);
    raw.pragma('journal_mode = WAL');
    raw.exec("UPDATE files SET PathName = 'of a log'");
    copyFileSync(`${copy}-wal`, `${path}-wal`);
    raw.close();
    await restoreLive(host, path, {}, parts);
    t.same(lookInto(database), { seen: OLD, problems: OK });
  },
);

t.test('a backup of an older schema, or with other pages, is brought up to date on the way', async (t) => {
  const { folder, database, db, path } = await twoEpochs(t);
  const legacy = join(folder, 'python.db');
  makeLegacyFile(legacy, { version: 5, clients: [], files: [] });
  const wide = join(folder, 'wide.db');
  copyFileSync(path, wide);
  const raw = new Database(wide);
  raw.pragma('journal_mode = DELETE');
  raw.pragma('page_size = 8192');
  raw.exec('VACUUM');
  raw.close();
  await restore({ database, from: wide, allowMissingManifest: true });
  t.equal(await look(db), OLD);
  t.equal((await db.files.search({ term: '17.tx' })).total, 1, 'the search index fits its files');
  t.same(await db.query('PRAGMA page_size'), [{ page_size: 4096 }]);
  const { latest } = await db.migrations.status();
  t.match(await db.backups.restore(legacy, { allowMissingManifest: true }), { schemaVersion: latest });
  t.match(await db.migrations.status(), { current: latest, pending: [] });
  t.equal(await db.files.count(), 0);
  t.same(await sound(db), OK);
});

t.test('what a backup was proven with is proven the same way once it is restored', async (t) => {
  const { database, db, path } = await twoEpochs(t);
  // SQLite knows no CHECK of a file that it opens only to read.
  await db.execute('CREATE TABLE rules (x INTEGER CHECK (x > 0))');
  const raw = new Database(database);
  raw.pragma('ignore_check_constraints = ON');
  raw.exec("INSERT INTO rules VALUES (-1); UPDATE catalog_identity SET DatabaseID = x'00ff'");
  raw.close();
  const broken = await db.backups.create();
  t.same(await db.backups.verify(broken.path), {
    ok: true,
    problems: [],
    manifest: (await readManifest(broken.path)).manifest,
  });
  await db.backups.restore(path);
  t.match(await db.backups.restore(broken.path), { databaseId: null });
  t.same(await db.query('SELECT x FROM rules'), [{ x: -1 }]);
  await db.close();
  rmSync(database);
  t.match(await DatabaseManager.restore({ database, from: broken.path }), { databaseId: null, damaged: [] });

  const newer = await openCatalogue(t, database);
  await newer.execute(`INSERT INTO catalog_migrations SELECT 9223372036854775807, name, checksum, applied_at, applied_by, '5',
    duration_ms, library_version FROM catalog_migrations WHERE version = 0`);
  const unread = { code: 'CATALOG_CORRUPT', message: /cannot be read as a database/ };
  await t.rejects(newer.backups.create(), unread, 'a number beyond all safe ones is no failure of the disk');
});

t.test('a file that no backup made is read with its logs, and not while it is written', async (t) => {
  const { folder, database, db, path } = await twoEpochs(t);
  const used = join(folder, 'used.db');
  const left = join(folder, 'left.db');
  copyFileSync(path, used);
  const raw = new Database(used);
  raw.pragma('journal_mode = DELETE');
  raw.exec(`CREATE TABLE bulk AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    SELECT randomblob(2000) AS b FROM n`);
  raw.pragma('cache_size = 10'); // so that a part of the transaction is in the file already
  raw.exec("BEGIN; UPDATE files SET PathName = 'half'; UPDATE bulk SET b = randomblob(2000)");
  for (const suffix of ['', '-journal']) copyFileSync(`${used}${suffix}`, `${left}${suffix}`);
  raw.exec('ROLLBACK');
  raw.close();
  t.ok(readFileSync(left).includes('half'), 'what was not committed is in the file that a killed server left');
  await restore({ database, from: left, allowMissingManifest: true });
  t.equal(await look(db), OLD, 'and is taken back by its journal');
  t.same(await sound(db), OK);

  // Somebody adds to its journal from before it is read until after.
  const [big, stage] = [join(folder, 'big.db'), join(folder, 'stage.db')];
  copyFileSync(path, big);
  truncateSync(big, 64 * 1024 * 1024);
  writeFileSync(stage, '');
  let isRead = false;
  const verdict = check({ kind: 'read', path: big, manifest: null, stage }).finally(() => {
    isRead = true;
  });
  while (!isRead) {
    appendFileSync(`${big}-journal`, 'x');
    await setImmediate();
  }
  t.match(await verdict, { problem: /changed while it was read/ });
});

t.test('a catalogue that is gone, or damaged, is restored; what was there is kept', async (t) => {
  const { folder, database, db, path } = await twoEpochs(t);
  await t.rejects(DatabaseManager.restore({ database, from: path, allow: 1 } as never), { code: 'CATALOG_VALIDATION' });
  await t.rejects(DatabaseManager.restore({ database: path, from: path }), {
    message: /^from: got .* a file other than/,
  });
  const misspelt = { message: /^form: got an unknown key; accepted: one of from, .*database/ };
  await t.rejects(DatabaseManager.restore({ database, form: path } as never), misspelt);
  await t.rejects(DatabaseManager.restore(path as never), { message: /^options: got .* accepted: an object$/ });
  const live = await DatabaseManager.restore({ database, from: path });
  t.match(
    live,
    { damaged: [], safetyCopy: /before-restore/ },
    'one that works is restored as it is, though it is open',
  );
  t.equal(await look(db), OLD);
  await db.close();

  rmSync(database);
  const steps: string[] = [];
  const told = ({ step }: { step: string }) => void steps.push(step);
  t.match(await restore({ database, from: path, onProgress: told }), { damaged: [], safetyCopy: null });
  t.same(steps, ['read', 'migrate', 'check', 'swap']);
  t.equal(statSync(database).mode & 0o777, 0o600);

  const ways: [string, (bytes: Buffer) => Buffer][] = [
    ['cut off', (bytes) => bytes.subarray(0, bytes.length - 40_000)],
    ['pages overwritten', (bytes) => Buffer.from(bytes).fill(0xaa, 8_192, bytes.length - 8_192)],
    ['header overwritten', (bytes) => Buffer.from(bytes).fill(0, 0, 512)],
    ['not a trace left', () => Buffer.from('not a database at all')],
  ];
  for (const [way, damage] of sampleOf(ways, 2)) {
    const bytes = damage(readFileSync(database));
    writeFileSync(database, bytes);
    writeFileSync(`${database}-wal`, 'half a log');
    const { damaged, safetyCopy } = await restore({ database, from: path });
    t.equal(safetyCopy, null, way);
    const [kept = '', log = ''] = damaged;
    t.match(kept, /catalogue\.db\.damaged-\d{8}T\d{9}Z$/);
    t.same(readFileSync(kept), bytes, 'the damaged file is kept to the byte');
    if (log !== '') t.equal(log, `${kept}-wal`, 'and its log is found beside it');
    t.same(lookInto(database), { seen: OLD, problems: OK });
  }

  truncateSync(database, 40_960);
  const bytes = readFileSync(database);
  const before = readdirSync(folder).toSorted();
  writeFileSync(join(folder, 'no-backup.db'), 'text');
  const bad = { database, from: join(folder, 'no-backup.db'), allowMissingManifest: true };
  await t.rejects(restore(bad), { code: 'CATALOG_BACKUP_INVALID' });
  t.same(readFileSync(database), bytes);
  t.same(readdirSync(folder).toSorted(), [...before, 'no-backup.db'].toSorted(), 'nothing was changed');

  writeFileSync(`${database}-wal`, 'half a log');
  const files = readdirSync(folder).toSorted();
  const onProgress = ({ step }: { step: string }) => {
    // The last moment before the backup takes its name.
    const stage = readdirSync(folder).find((name) => name.endsWith('.partial'));
    if (step === 'swap') rmSync(join(folder, String(stage)));
  };
  await t.rejects(restore({ database, from: path, onProgress }), { code: 'CATALOG_IO' });
  t.same(readdirSync(folder).toSorted(), files, 'what could not be replaced has its names, the log as well');
  t.same(readFileSync(database), bytes);

  const other = new Database(join(folder, 'notes.db'));
  other.exec('CREATE TABLE notes (text)');
  other.close();
  const error = { code: 'CATALOG_FOREIGN_DATABASE', hint: /move it away/ };
  await t.rejects(restore({ database: join(folder, 'notes.db'), from: path }), error);
});

/** Somebody's catalogue that is there all at once, open and with acknowledged saves in its log. */
function appear(t: Test, healthy: string, database: string): Database.Database {
  rmSync(database, { force: true });
  copyFileSync(healthy, database);
  const raw = new Database(database);
  t.teardown(() => raw.close());
  raw.pragma('journal_mode = WAL');
  raw.exec("UPDATE files SET PathName = 'acknowledged' WHERE rowid = 1");
  return raw;
}

const atStep = (wanted: string, happen: () => void) => {
  let isDone = false;
  return ({ step }: { readonly step: string }) => {
    if (step === wanted && !isDone) happen();
    isDone ||= step === wanted;
  };
};

t.test('what a killed restore has put aside is kept together by the next one', async (t) => {
  const { folder, database, db, path } = await twoEpochs(t);
  await db.close();
  const aside = `${database}.damaged-20250101T000000000Z`;
  /** Killed when the old log was gone and the backup had no name yet. */
  const leaveHalfReplaced = () => {
    for (const name of readdirSync(folder).filter((one) => one.startsWith('catalogue.db'))) rmSync(join(folder, name));
    writeFileSync(database, 'not a database at all');
    utimesSync(database, 1_750_000_000, 1_750_000_000);
    linkSync(database, aside);
    writeFileSync(`${database}-wal`, 'its log');
    linkSync(`${database}-wal`, `${aside}-wal`);
    rmSync(`${database}-wal`);
  };
  const asides = () => readdirSync(folder).filter((name) => name.includes('damaged'));

  leaveHalfReplaced();
  const { damaged } = await DatabaseManager.restore({ database, from: path });
  const [kept = '', log = ''] = damaged;
  t.same([readFileSync(kept, 'utf8'), readFileSync(log, 'utf8')], ['not a database at all', 'its log']);
  t.equal(log, `${kept}-wal`);
  t.same(asides().length, 2, 'under these names alone');

  leaveHalfReplaced();
  writeFileSync(database, 'another file, in place'); // maybe within one tick of the clock that files have
  t.same((await DatabaseManager.restore({ database, from: path })).damaged.length, 1);
  t.equal(readFileSync(`${aside}-wal`, 'utf8'), 'its log', 'no old log is put beside what was written since');

  leaveHalfReplaced();
  const stage = `${database}.${MACHINE}-${process.ppid}.partial`;
  writeFileSync(stage, '');
  await DatabaseManager.restore({ database, from: path });
  t.ok(existsSync(aside), 'what a restore under way has put aside is left to it');
});

t.test('a catalogue that somebody makes while the lost one is restored is no damaged one', async (t) => {
  const { folder, database, path, healthy, bytes } = await lost(t);
  const tmp = join(folder, 'other.db');
  const other = appear(t, healthy, tmp);
  const log = readFileSync(`${tmp}-wal`);
  other.close();
  const asides = () => readdirSync(folder).filter((name) => /damaged|failed/.test(name));
  const record: string[] = [];
  const removed = () =>
    record.filter((line) => line.startsWith(`rm ${database}-`) || line.startsWith(`link ${database} `));
  for (const [what, step, damage] of [
    ['gone', 'check', () => rmSync(database)],
    ['damaged', 'swap', () => writeFileSync(database, bytes.subarray(0, 40_960))],
    ['damaged, with a log', 'link', () => writeFileSync(database, bytes.subarray(0, 40_960))],
  ] as const) {
    damage();
    if (step === 'link') writeFileSync(`${database}-wal`, log);
    const raw = { current: undefined as Database.Database | undefined };
    const onProgress = atStep(step, () => {
      raw.current = appear(t, healthy, database);
    });
    record.length = 0;
    const stop = recordFiles((event) => {
      record.push(event.join(' '));
      // The old log gets its second name: the new one gets it instead.
      if (event[0] === 'link' && event[1] === `${database}-wal`) onProgress({ step: 'link' });
    });
    t.teardown(stop);
    const result = await restore({ database, from: path, onProgress });
    stop();
    t.match(result, { damaged: [], safetyCopy: /before-restore/ }, `${what}: it is restored as what works`);
    t.ok(pathsIn(result.safetyCopy ?? '').has('acknowledged'), 'and what was saved in it is kept');
    const name = raw.current?.prepare('SELECT Name FROM clients').pluck().get();
    t.equal(name, 'epoch-a', 'its users see what was restored');
    t.same(asides(), []);
    t.same(
      removed().filter((line) => step !== 'link' || line.startsWith('rm')),
      [],
      'its log was never taken away',
    );
    raw.current?.close();
  }

  // The last moment of all: the name is taken between the look and the new name.
  rmSync(database);
  const stop = recordFiles(([call, , to]) => {
    if (call === 'link' && to === database) copyFileSync(healthy, database);
  });
  t.teardown(stop);
  const late = await restore({ database, from: path });
  stop();
  t.match(late, { damaged: [], safetyCopy: /before-restore/ }, 'nothing is replaced');
});

const LINUX = process.platform === 'linux' ? false : 'only Linux tells who holds a lock';

t.test('a damaged file that another process has open is left to it, however idle it is', { skip: LINUX }, async (t) => {
  const { folder, database, db, path } = await twoEpochs(t);
  await db.close();
  const server = fork(SERVER, [database], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  t.teardown(() => server.kill('SIGKILL'));
  await once(server, 'message');
  const files = readdirSync(folder).toSorted();
  const bytes = readFileSync(database);
  writeFileSync(database, Buffer.alloc(bytes.length, 0xee), { flag: 'r+' });
  const held = { code: 'CATALOG_CONFLICT', message: `${database} is damaged, and process ${server.pid} has it open` };
  await t.rejects(DatabaseManager.restore({ database, from: path }), held);
  t.same(readdirSync(folder).toSorted(), files);
  server.disconnect();
  await once(server, 'exit');
  t.match(await DatabaseManager.restore({ database, from: path }), { safetyCopy: null });
  t.equal(lookInto(database).seen, OLD);
});

t.test('a damaged file that is written all the time is left alone', async (t) => {
  const { folder, database, path, bytes } = await lost(t);
  writeFileSync(database, bytes.subarray(0, 40_960));
  writeFileSync(`${database}-journal`, '');
  const files = readdirSync(folder).toSorted();
  let times = 0;
  const onProgress = ({ step }: { readonly step: string }) => {
    if (step !== 'swap') return;
    times += 1;
    appendFileSync(database, 'x');
  };
  const error = {
    code: 'CATALOG_CONFLICT',
    hint: /^Stop the programs that write them, and restore again; the present files were left unchanged/,
  };
  await t.rejects(restore({ database, from: path, onProgress }), error);
  t.ok(times > 1, 'it was tried again');
  t.equal(statSync(database).size, 40_960 + times);
  t.same(readdirSync(folder).toSorted(), files);

  // Between the look and the new name, when its second name is there already.
  const before = readFileSync(database);
  const stop = recordFiles(([call, path]) => {
    if (call === 'rm' && path === `${database}-journal`) appendFileSync(database, 'x');
  });
  t.teardown(stop);
  writeFileSync(`${database}-journal`, 'x');
  await t.rejects(restore({ database, from: path }), { code: 'CATALOG_CONFLICT' });
  stop();
  t.ok(readFileSync(database).length > before.length);
  t.same(readdirSync(folder).toSorted(), files, 'it has its names, the log as well');
});

t.test('an old log is never beside the restored file, on the disk as well; it stays with its database', async (t) => {
  const { folder, database, path, healthy, bytes } = await lost(t);
  const tmp = join(folder, 'other.db');
  const raw = appear(t, healthy, tmp);
  const log = readFileSync(`${tmp}-wal`);
  raw.close();
  const record: FileEvent[] = [];
  const stop = recordFiles((event) => void record.push(event));
  t.teardown(stop);
  for (const [what, damage] of [
    ['gone', () => rmSync(database)],
    ['damaged', () => writeFileSync(database, bytes.subarray(0, 40_960))],
  ] as const) {
    damage();
    writeFileSync(`${database}-wal`, log);
    record.length = 0;
    const { damaged } = await restore({ database, from: path });
    const kept = /^.*\.damaged-\d{8}T\d{9}Z/.exec(damaged[0] ?? '')?.[0] ?? '';
    t.match(kept, /catalogue\.db\.damaged-/);
    t.same(damaged, what === 'gone' ? [`${kept}-wal`] : [kept, `${kept}-wal`], what);
    t.same(readFileSync(`${kept}-wal`), log);
    t.same(lookInto(database), { seen: OLD, problems: OK }, 'no old row comes back');
    const isOurs = (event: FileEvent) => !event.some((part) => part.includes('backups'));
    const stage = record.flatMap(([, from = '']) => (from.endsWith('.partial') ? [from] : []))[0];
    const named = (text: string) =>
      text
        .replaceAll(kept, 'KEPT')
        .replaceAll(stage ?? '', 'STAGE')
        .replaceAll(database, 'DB');
    const order = record.filter(isOurs).map((event) => named(event.join(' ')).replace(folder, 'FOLDER'));
    const from = order.indexOf('link DB-wal KEPT-wal');
    const main = what === 'gone' ? [] : ['link DB KEPT'];
    const placed = what === 'gone' ? ['link STAGE DB', 'rm STAGE'] : ['rename STAGE DB'];
    t.same(
      order.slice(from, from + 6 + main.length + placed.length - 1),
      ['link DB-wal KEPT-wal', ...main, 'sync FOLDER', 'rm DB-wal', 'sync FOLDER', ...placed, 'sync FOLDER'],
      'the log is gone on the disk before the backup has the name',
    );
  }

  // A server that is started again and again opens the damaged file at the worst moment.
  writeFileSync(database, bytes.subarray(0, 40_960));
  const started = recordFiles(([call, , to]) => {
    if (call === 'rename' && to === database) writeFileSync(`${database}-wal`, log);
  });
  t.teardown(started);
  const { damaged } = await restore({ database, from: path });
  started();
  t.equal(damaged.length, 2);
  t.same(readFileSync(damaged[1] ?? ''), log, 'a log that comes late is moved away as well');
  t.equal(lookInto(database).seen, OLD);
  stop();
});

t.test('a replacement that fails its check is taken back, unless others use it or have restored again', async (t) => {
  const { folder, database, path, bytes } = await lost(t);
  const failure = new Error('not healthy');
  const failing = (before: () => Promise<void> | void) => async () => {
    await before();
    throw failure;
  };
  const none = () => undefined;
  const damaged = bytes.subarray(0, 40_960);
  writeFileSync(database, damaged);
  const files = () => readdirSync(folder).toSorted();
  const before = files();
  await t.rejects(restore({ database, from: path }, { health: failing(none) }), failure);
  t.same(readFileSync(database), damaged, 'the damaged file has its name again');
  const [aside = '', ...others] = files().filter((name) => !before.includes(name));
  t.match(aside, /^catalogue\.db\.failed-restore-\d{8}T\d{9}Z$/);
  t.same(others, [], 'and the other one is kept');
  t.equal(pathsIn(join(folder, aside)).size, FILES);

  rmSync(database);
  await t.rejects(restore({ database, from: path }, { health: failing(none) }), failure);
  t.notOk(existsSync(database), 'what was gone is gone again');

  // What could be kept as a backup works: it is no damaged file, whatever is wrong with what came in its place.
  writeFileSync(database, bytes);
  const asides = () => files().filter((name) => /damaged|failed/.test(name));
  const untouched = asides();
  const corrupt = async () => {
    throw new DatabaseError('CATALOG_CORRUPT', 'the restored catalogue does not verify');
  };
  await t.rejects(restore({ database, from: path }, { health: corrupt }), { code: 'CATALOG_CORRUPT' });
  t.ok(
    [...pathsIn(database)].every((name) => name.startsWith('b/')),
    'the state before is back',
  );
  t.same(asides(), untouched, 'and it was never set aside');

  // A file that nobody can read is nobody's.
  const unreadable = () => {
    const descriptor = openSync(database, 'r+');
    writeSync(descriptor, Buffer.alloc(100, 0xaa), 0, 100, 0);
    closeSync(descriptor);
  };
  writeFileSync(database, damaged);
  await t.rejects(restore({ database, from: path }, { health: failing(unreadable) }), failure);
  t.same(readFileSync(database), damaged);

  const kept = files();
  const raw = { current: undefined as Database.Database | undefined };
  const use = () => {
    raw.current = new Database(database);
    raw.current.prepare('SELECT count(*) FROM files').get();
    t.teardown(() => raw.current?.close());
  };
  const inUse = { code: 'CATALOG_CONFLICT', message: /other processes already use it/, cause: failure };
  await t.rejects(restore({ database, from: path }, { health: failing(use) }), inUse);
  raw.current?.exec("UPDATE files SET PathName = 'acknowledged' WHERE rowid = 1");
  t.ok(pathsIn(database).has('acknowledged'), 'what others have open stays');
  t.same(
    files().filter((name) => name.includes('failed') && !kept.includes(name)),
    [],
  );

  const restored = join(folder, 'again.db');
  const second = { current: undefined as Promise<unknown> | undefined, isDone: false };
  const again = () => {
    second.current ??= restore({ database: restored, from: path }).then(() => {
      second.isDone = true;
    });
    // The look has the write lock; it is repeated until the second restore had it in between.
    if (!second.isDone) throw new DatabaseError('CATALOG_BUSY', 'not yet');
  };
  await t.rejects(restore({ database: restored, from: path }, { health: failing(again) }), {
    code: 'CATALOG_CONFLICT',
  });
  await second.current;
  t.equal(pathsIn(restored).size, FILES, 'the other restore stays');
});

t.test('a replacement that gets no name leaves the old files theirs', async (t) => {
  const { folder, database, path, bytes } = await lost(t);
  writeFileSync(database, bytes.subarray(0, 40_960));
  for (const suffix of ['-wal', '-journal']) writeFileSync(`${database}${suffix}`, `half a ${suffix}`);
  const files = readdirSync(folder).toSorted();
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
  const unlinked = Object.assign(new Error('no links'), { code: 'EPERM' });
  for (const [what, fail] of [
    ['it has no room', ([call, , to]: FileEvent) => (call === 'rename' && to === database ? full : undefined)],
    [
      'there are no hard links',
      ([call, from, to]: FileEvent) => {
        if (call === 'link') return unlinked;
        return call === 'rename' && from?.endsWith('.partial') && to === database ? full : undefined;
      },
    ],
  ] as const) {
    const stop = recordFiles((event) => {
      const error = fail(event);
      if (error !== undefined) throw error;
    });
    t.teardown(stop);
    await t.rejects(restore({ database, from: path }), { code: 'CATALOG_IO' }, what);
    stop();
    t.same(readdirSync(folder).toSorted(), files, what);
    t.equal(readFileSync(database).length, 40_960);
  }
  let isPlaced = false;
  const calls: string[] = [];
  const unsynced = recordFiles(([call, from, to]) => {
    calls.push(`${call} ${from}`);
    if (call === 'sync' && from === folder && isPlaced) throw full;
    isPlaced = call === 'rename' && to === database && String(from).endsWith('.partial');
  });
  t.teardown(unsynced);
  await t.rejects(restore({ database, from: path }), { code: 'CATALOG_IO' });
  unsynced();
  t.same(readdirSync(folder).toSorted(), files, 'what may not be on the disk is taken back');
  t.equal(calls.filter((line) => !line.includes('.partial')).at(-1), `sync ${folder}`, 'and that is on the disk');
  t.equal(readFileSync(database).length, 40_960);
  const stop = recordFiles(([call]) => {
    if (call === 'link') throw unlinked;
  });
  t.teardown(stop);
  // A restore that was killed has given it a second name.
  const second = `${database}.damaged-20250101T000000000Z`;
  linkSync(database, second);
  const { damaged } = await restore({ database, from: path });
  stop();
  t.equal(damaged.length, 3, 'without hard links the backup gets its name all the same');
  t.notOk(existsSync(second), 'what is kept has one name');
  t.equal(lookInto(database).seen, OLD);
});

t.test('a restore of a lost catalogue beside servers that start: what they acknowledge is kept', async (t) => {
  const { folder, database, path } = await lost(t);
  for (let round = 0; round < byTier(1, 4); round += 1) {
    for (const name of readdirSync(folder)) if (name.startsWith('catalogue.db')) rmSync(join(folder, name));
    const saved: string[] = [];
    const server = async () => {
      const db = await DatabaseManager.open({ database, defaultQuotaBytes: null, poolSize: 2 });
      try {
        const { id } = await db.clients.save({ name: `server ${round}` });
        for (let number = 0; number < 20; number += 1) {
          const pathName = `w/${round}/${number}`;
          await db.files.save({ clientId: id, fileName: pathName, pathName, fileSize: 1 });
          saved.push(pathName);
        }
      } catch (error) {
        // Its client goes with the state that is replaced.
        if ((error as DatabaseError).code !== 'CATALOG_NOT_FOUND') throw error;
      } finally {
        await db.close();
      }
    };
    const [result] = await Promise.all([restore({ database, from: path }), server()]);
    const kept = [database, ...(result.safetyCopy === null ? [] : [result.safetyCopy])].map(pathsIn);
    t.same(
      saved.filter((name) => !kept.some((paths) => paths.has(name))),
      [],
      `${saved.length} saves; ${result.safetyCopy === null ? 'restored before' : 'restored as what works'}`,
    );
    t.same(result.damaged, []);
  }
});

t.test('a restore that is killed leaves the old state or the new one, and the next start tidies up', async (t) => {
  const folder = t.testdir();
  for (const [work, steps] of Object.entries({
    restore: ['read', 'migrate', 'safety', 'swap', 'health'],
    replace: ['read', 'check', 'swap'],
  })) {
    for (const step of byTier(steps.slice(-2, -1), steps)) {
      const place = join(folder, `${work}-${step}`);
      const { database, path } = await copyEpochs(place);
      if (work === 'replace') rmSync(database);
      const child = peer(work, database, path);
      await linesOf(child, (line) => void (line === step && child.kill('SIGKILL')));
      // A last step may be over before the signal arrives.
      if (step !== steps.at(-1)) t.equal(child.signalCode, 'SIGKILL', `killed at ${work}, ${step}`);
      if (work === 'replace' && !existsSync(database)) {
        await DatabaseManager.restore({ database, from: path });
      }
      const again = await openCatalogue(t, database);
      t.ok(WHOLE.includes(await look(again)), `${await look(again)}`);
      t.same(await sound(again), OK);
      const left = await again.backups.list();
      t.same([...unfinished(join(place, 'backups')), ...left.flatMap(({ problems }) => problems)], [], 'tidied up');
      t.same(
        readdirSync(place).filter((name) => name.includes('partial')),
        [],
      );
      await again.close();
    }
  }
});

t.test('a drill proves the newest backup and is remembered; one that cannot be restored is told', async (t) => {
  const { folder, db } = await twoEpochs(t);
  await db.backups.create({ compress: true });
  const good = await db.backups.drill();
  t.match(good, { ok: true, problems: [], counts: { clients: 1, files: FILES }, path: /\.zst$/ });
  t.ok(good.durationMs > 0);
  const last = await db.run(lastMaintenance, null);
  t.match(last, {
    drill: { ok: true, detail: good.path, startedAt: good.startedAt },
    backup: { ok: true },
    restore: null,
  });
  const bytes = readFileSync(good.path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(good.path, bytes);
  t.match(await db.backups.drill(), { ok: false, problems: [/checksum|decompressed/], counts: null });
  t.same((await db.run(lastMaintenance, null)).drill, last.drill, 'the last proven one is still that before');
  t.same(unfinished(join(folder, 'backups')), []);
  const empty = await openCatalogue(t, join(folder, 'other.db'), { backupDir: join(folder, 'none') });
  await t.rejects(empty.backups.drill(), { code: 'CATALOG_NOT_FOUND' } satisfies Partial<DatabaseError>);
});

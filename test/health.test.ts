/** Whether the catalogue is well: every check crossed and not crossed by a state that is made, and an answer in any state. */
import { deepStrictEqual, ok as isTrue } from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { DatabaseError, ERROR_CODES, type ErrorCode } from '../lib/errors.ts';
import type { Case, Memory } from '../lib/health/check.ts';
import { CHECKS } from '../lib/health/checks/table.ts';
import type { Answer } from '../lib/health/deadline.ts';
import { HEALTH_DEADLINE_MS } from '../lib/health/health.ts';
import { schemaFigures } from '../lib/health/health-procedures.ts';
import { type Answers, QUESTIONS, type QuestionName } from '../lib/health/questions.ts';
import { reportOf } from '../lib/health/report.ts';
import {
  type CatalogOptions,
  DatabaseManager,
  HEALTH_CHECKS,
  HEALTH_CODES,
  type HealthReport,
  healthCheck,
  THRESHOLDS,
  toHealthJson,
} from '../lib/index.ts';
import { MAINTENANCE_KINDS, type MaintenanceRecord } from '../lib/maintenance/history.ts';
import { LATEST_VERSION } from '../lib/migrations/migration-list.ts';
import { resolveThresholds } from '../lib/options/thresholds.ts';
import { LIBRARY_VERSION } from '../lib/runtime/version.ts';
import { cli } from './cli-run.ts';
import { holdReader, holdWriter, killReader, killWriter, newGate, openGate } from './fixtures/health-procedures.ts';
import { runToEnd } from './fixtures/process.ts';
import { holds } from './fixtures/property.ts';
import { openNew } from './fixtures/template.ts';
import { sampleOf } from './fixtures/tier.ts';

t.setTimeout(600_000);

const PEER = fileURLToPath(new URL('./fixtures/health-peer.ts', import.meta.url));
const PROCEDURES = new URL('./fixtures/health-procedures.ts', import.meta.url);
const DAY_MS = 86_400_000;
const CHECK_NAMES = Object.keys(HEALTH_CHECKS).sort();
const REPORT_KEYS = [
  'checks',
  'connectionPoolHealthy',
  'databaseBytes',
  'foreignKeyCheck',
  'indexCount',
  'integrityCheck',
  'issues',
  'status',
  'tableCount',
];

const ago = (milliseconds: number) => new Date(Date.now() - milliseconds).toISOString();
const codes = ({ issues }: HealthReport) => issues.map(({ code }) => code);

async function open(t: Test, options: CatalogOptions = {}) {
  const database = options.database ?? join(t.testdir(), 'catalogue.db');
  const db = await openNew({
    poolSize: 2,
    durability: 'normal',
    procedureModules: [PROCEDURES],
    defaultQuotaBytes: null,
    ...options,
    database,
  });
  t.teardown(() => db.close());
  await db.query('SELECT 1'); // a thread that is still starting would be one more state
  return { db, database };
}

/** A catalogue of twenty files, made once and copied: making one takes longer than most of what is tried on it. */
const template = { path: join(t.testdir(), 'template.db'), clientId: '' };

t.before(async () => {
  await using db = await DatabaseManager.open({ database: template.path, defaultQuotaBytes: null });
  template.clientId = (await db.clients.save({ name: 'laptop' })).id;
  await save(db, template.clientId, 20);
});

async function filled(t: Test, options: CatalogOptions = {}) {
  const database = options.database ?? join(t.testdir(), 'catalogue.db');
  copyFileSync(template.path, database);
  chmodSync(database, 0o600);
  const opened = await open(t, { ...options, database });
  return { ...opened, clientId: template.clientId };
}

const save = (db: DatabaseManager, clientId: string, count: number, name = 'a') =>
  db.files.saveMany(
    Array.from({ length: count }, (_, n) => ({
      clientId,
      fileName: `${name}-${n}.txt`,
      pathName: `/srv/${name}/${n}`,
      fileSize: 10,
    })),
  );

/** A catalogue as if another program had had it, with foreign keys off. */
function behindItsBack(database: string, work: (raw: Database.Database) => void): void {
  const raw = new Database(database);
  raw.pragma('foreign_keys = OFF');
  work(raw);
  raw.close();
}

/** Says that every check is there, and that severities are what the contract has. */
function isWhole(report: HealthReport): void {
  deepStrictEqual(Object.keys(report).sort(), REPORT_KEYS);
  deepStrictEqual(Object.keys(report.checks).sort(), CHECK_NAMES);
  for (const check of Object.values(report.checks)) {
    deepStrictEqual(Object.keys(check).sort(), ['observedUnit', 'observedValue', 'output', 'status', 'time']);
  }
  const severities = new Set(report.issues.map(({ severity }) => severity));
  const worst = severities.has('fail') ? 'fail' : severities.has('warn') ? 'warn' : 'pass';
  deepStrictEqual(report.status, worst);
  for (const issue of report.issues) {
    deepStrictEqual(Object.keys(issue).sort(), ['code', 'hint', 'message', 'severity']);
    isTrue(issue.code in HEALTH_CODES || issue.code in ERROR_CODES, issue.code);
  }
}

async function healthOf(db: DatabaseManager, options?: Parameters<DatabaseManager['health']>[0]) {
  const report = await db.health(options);
  isWhole(report);
  return report;
}

/** Holds a connection that has taken nothing else with it; `ended` is when its gate was opened. */
async function holding(db: DatabaseManager, gate: Int32Array, how = holdReader) {
  const ended = db.run(how, gate);
  const waiting = () => db.stats().reads.waiting + db.stats().writes.waiting;
  while (waiting() > 0) await new Promise(setImmediate);
  return { ended };
}

/** Another process that works on the database; `lines` are what it says. */
function peer(t: Test, ...args: readonly string[]) {
  const child: ChildProcess = spawn(process.execPath, ['--no-warnings', PEER, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill());
  const lines = createInterface({ input: child.stdout! });
  return { child, said: once(lines, 'line').then(([line]) => String(line)), ended: once(child, 'close') };
}

t.test('a new catalogue is well, and every check is told with what it saw', async (t) => {
  const { db } = await filled(t);
  const report = await healthOf(db);
  t.match(report, {
    status: 'pass',
    integrityCheck: null,
    foreignKeyCheck: null,
    connectionPoolHealthy: true,
    issues: [],
  });
  t.ok(Number(report.tableCount) > 20 && Number(report.indexCount) > 10 && Number(report.databaseBytes) > 100_000);
  const statuses = Object.entries(report.checks).filter(([, { status }]) => status !== 'pass');
  t.same(
    statuses.map(([name, { status }]) => [name, status]),
    [
      ['foreignKeys', 'unknown'],
      ['growth', 'unknown'],
    ],
    'nothing was checked, and nothing measured before',
  );
  t.match(report.checks, {
    database: { observedValue: report.databaseBytes, observedUnit: 'bytes' },
    writer: { observedValue: 'alive', observedUnit: null },
    fileModes: { observedValue: '0600' },
    transfers: { observedValue: 0, observedUnit: 'part' },
  });
  await db.execute('UPDATE clients SET Name = Name'); // the size is written by the writer, before this
  t.equal((await db.query('SELECT count(*) AS n FROM daily_sizes'))[0]?.['n'], 1, 'the size of the day was kept');
  await healthOf(db);
  t.equal((await db.query('SELECT count(*) AS n FROM daily_sizes'))[0]?.['n'], 1);
});

t.test('backups and restores: what is overdue is told, of a new catalogue from when it was made', async (t) => {
  const { db } = await filled(t);
  const made = (days: number) => db.execute('UPDATE catalog_migrations SET applied_at = ?', [ago(days * DAY_MS)]);
  const began = (kind: string, days: number) =>
    db.execute('UPDATE maintenance_history SET StartedAt = ? WHERE Kind = ?', [ago(days * DAY_MS), kind]);
  await made(0.9);
  t.same(codes(await healthOf(db)), []);
  await made(1.1);
  t.match(await healthOf(db), {
    status: 'warn',
    issues: [{ code: 'HEALTH_BACKUP_OVERDUE', message: /is 26 hours old and has no verified backup/ }],
    checks: { backup: { status: 'warn', observedValue: null } },
  });
  await made(91);
  t.same(codes(await healthOf(db)), ['HEALTH_BACKUP_OVERDUE', 'HEALTH_RESTORE_UNPROVEN']);
  const { path } = await db.backups.create();
  t.same(codes(await healthOf(db)), ['HEALTH_RESTORE_UNPROVEN']);
  t.match(await db.backups.drill(), { ok: true });
  t.same(codes(await healthOf(db)), []);
  await began('backup', 1.1);
  await began('drill', 89);
  t.match(await healthOf(db), { issues: [{ code: 'HEALTH_BACKUP_OVERDUE', message: /26 hours old/ }] });
  await began('drill', 91);
  t.same(codes(await healthOf(db)), ['HEALTH_BACKUP_OVERDUE', 'HEALTH_RESTORE_UNPROVEN']);
  await db.backups.restore(path);
  await made(91);
  t.same(codes(await healthOf(db)), ['HEALTH_BACKUP_OVERDUE'], 'a restore in earnest is a proof, and no backup');
});

t.test('transfers, quotas and free pages', async (t) => {
  const { db, clientId } = await filled(t);
  await save(db, clientId, 7, 'more');
  const failure = (n: number) => db.files.recordFailure({ clientId, fileName: `${n}.txt`, reason: 'broken' });
  for (const n of [1, 2, 3]) await failure(n);
  t.match(await healthOf(db), { issues: [], checks: { transfers: { observedValue: 0.1 } } }, '3 of 30 are not over');
  await failure(4);
  t.match(await healthOf(db), { issues: [{ code: 'HEALTH_TRANSFERS_FAILING', message: /^4 of 31 / }] });
  await db.execute('UPDATE transfer_stats SET Date = ?', [ago(1 * DAY_MS).slice(0, 10)]);
  t.same(codes(await healthOf(db)), ['HEALTH_TRANSFERS_FAILING'], 'yesterday counts');
  await db.execute('UPDATE transfer_stats SET Date = ?', [ago(2 * DAY_MS).slice(0, 10)]);
  t.same(codes(await healthOf(db)), [], 'the day before does not');

  const quota = (quotaBytes: number | null) => db.quotas.set(clientId, { quotaBytes });
  await quota(338);
  t.same(codes(await healthOf(db)), [], '270 of 338 bytes are used, below 0.8');
  await quota(337);
  t.match(await healthOf(db), { issues: [{ code: 'HEALTH_QUOTA_WARNING' }], checks: { quotas: { observedValue: 1 } } });
  await quota(50);
  t.same(codes(await healthOf(db)), ['HEALTH_QUOTA_WARNING'], 'over the limit as well');
  await quota(null);
  t.same(codes(await healthOf(db)), []);

  await save(db, clientId, 3_000, 'many');
  const grown = await healthOf(db);
  t.equal(grown.checks.freePages.status, 'pass');
  await db.clients.delete(clientId);
  const shrunk = await healthOf(db);
  t.same(codes(shrunk), ['HEALTH_FREE_PAGES']);
  t.ok(Number(shrunk.checks.freePages.observedValue) > 0.25);
});

t.test('growth is a rate, from the last day that was measured', async (t) => {
  const { db, database, clientId } = await filled(t);
  await save(db, clientId, 2_000, 'many');
  await db.close();
  const again = await open(t, { database, thresholds: { growthFromBytes: 100_000 } });
  const bytes = Number((await healthOf(again.db)).databaseBytes);
  const measured = async (part: number, days: number) => {
    const values = [ago(days * DAY_MS).slice(0, 10), Math.round(bytes * part), ago(days * DAY_MS)];
    await again.db.execute('DELETE FROM daily_sizes');
    await again.db.execute(
      'INSERT INTO daily_sizes (Date, DatabaseBytes, FreeDiskBytes, MeasuredAt) VALUES (?, ?, 1, ?)',
      values,
    );
    return healthOf(again.db);
  };
  t.same(codes(await measured(1 / 1.4, 1)), []);
  t.match(await measured(1 / 1.6, 1), { issues: [{ code: 'HEALTH_GROWTH', message: /grew by 60 % a day/ }] });
  t.same(codes(await measured(1 / 1.6, 2)), [], 'over two days it is 30 % a day');
  t.same(codes(await measured(1 / 2.2, 2)), ['HEALTH_GROWTH']);
  t.same(codes(await measured(2, 1)), [], 'it shrank');
  await again.db.close();
  const usual = await open(t, { database });
  await usual.db.execute('UPDATE daily_sizes SET DatabaseBytes = 1000 WHERE Date < ?', [ago(0).slice(0, 10)]);
  const small = await healthOf(usual.db);
  t.same(codes(small), [], 'a small one may grow as it likes');
  t.ok(Number(small.checks.growth.observedValue) > 1);
});

t.test('disk, log, readers and queue: each over its bound and within', async (t) => {
  const folder = t.testdir();
  const database = join(folder, 'catalogue.db');
  const { db, clientId } = await filled(t, { database });
  t.match(await healthOf(db), { issues: [], checks: { disk: { observedUnit: 'bytes' } } });
  await db.close();
  const tight = await open(t, {
    database,
    poolSize: 2,
    thresholds: { freeDisk: 1e12, walBytes: 500_000 },
  });
  t.same(codes(await healthOf(tight.db)), ['HEALTH_DISK_LOW']);

  const pinned = new Database(database, { readonly: true });
  pinned.exec('BEGIN');
  pinned.prepare('SELECT count(*) FROM files').get();
  await save(tight.db, clientId, 2_000, 'pinned');
  t.same(codes(await healthOf(tight.db)), ['HEALTH_WAL_LARGE', 'HEALTH_DISK_LOW']);
  pinned.close();
  await tight.db.close();

  const crowded = await open(t, { database, poolSize: 2, thresholds: { waitingCalls: 4, oldestReaderMs: 850 } });
  const gate = newGate();
  const held = await holding(crowded.db, gate);
  t.same(codes(await healthOf(crowded.db)), ['CATALOG_POOL_EXHAUSTED'], 'not for long yet');
  // The look itself has taken longer than that: its whole deadline.
  t.same(codes(await healthOf(crowded.db)), ['CATALOG_POOL_EXHAUSTED', 'HEALTH_READER_OLD']);
  openGate(gate);
  await held.ended;
  t.same(codes(await healthOf(crowded.db)), []);
  const waiting = await crowded.db.transaction(async () => {
    const saves = Array.from({ length: 5 }, (_, n) => queued(crowded.db, clientId, n));
    t.same(codes(await healthOf(crowded.db)), ['HEALTH_QUEUE_LONG'], 'and the writer is alive: the caller has it');
    return saves;
  });
  await Promise.all(waiting);
  t.same(codes(await healthOf(crowded.db)), []);
  const unbounded = Object.fromEntries(
    THRESHOLDS.filter(({ nullable }) => nullable).map(({ threshold }) => [threshold, null]),
  );
  await crowded.db.execute('UPDATE catalog_migrations SET applied_at = ?', [ago(1000 * DAY_MS)]);
  await crowded.db.close();
  const lenient = await open(t, { database, thresholds: unbounded });
  t.same(codes(await healthOf(lenient.db)), [], 'null is never judged');
});

/** A save of a caller that is not inside the transaction which has the writer. */
function queued(db: DatabaseManager, clientId: string, n: number): Promise<unknown> {
  return outside(() => db.files.save({ clientId, fileName: `${n}.txt`, pathName: `/${n}`, fileSize: 1 }));
}

let outside: <Result>(work: () => Result) => Result;
{
  const { AsyncLocalStorage } = await import('node:async_hooks');
  outside = AsyncLocalStorage.snapshot() as typeof outside;
}

t.test('audits: what the last one found stays until it is repaired', async (t) => {
  const { db } = await filled(t, { thresholds: { auditAgeMs: 30 * DAY_MS } });
  t.match(await healthOf(db), { issues: [], checks: { audit: { observedValue: null } } });
  await db.execute('UPDATE client_quotas SET UsedBytes = UsedBytes + 5, FileCount = FileCount + 1');
  t.same(codes(await healthOf(db)), [], 'nobody has counted yet');
  await db.quotas.audit();
  t.match(await healthOf(db), { issues: [{ code: 'HEALTH_AUDIT_DRIFT', message: /1 quotas/ }] });
  await db.transaction(async (tx) => tx.analytics.audit());
  t.match(await healthOf(db), { issues: [{ message: /1 quotas/ }, { message: /1 totals/ }] });
  await db.quotas.audit({ repair: true });
  await db.analytics.audit({ repair: true });
  const repaired = await healthOf(db);
  t.same(codes(repaired), []);
  t.type(repaired.checks.audit.observedValue, 'number');
  await db.execute('UPDATE maintenance_history SET StartedAt = ?', [ago(31 * DAY_MS)]);
  t.same(codes(await healthOf(db)), ['HEALTH_AUDIT_OVERDUE']);
});

t.test('file modes and migrations', async (t) => {
  const { db, database } = await filled(t, { migrationBackup: false, migrationValidation: false });
  chmodSync(database, 0o640);
  t.match(await healthOf(db), { issues: [{ code: 'HEALTH_FILE_MODE', message: /catalogue\.db \(640\)/ }] });
  chmodSync(database, 0o600);
  t.same(codes(await healthOf(db)), []);
  for (const to of [LATEST_VERSION - 1, 12, 5, 0]) {
    await db.migrations.down({ to });
    const report = await healthOf(db);
    t.match(report, { status: 'warn', checks: { migrations: { observedValue: LATEST_VERSION - to } } }, `at ${to}`);
    // What went leaves its pages behind.
    const others = codes(report).filter((code) => code !== 'HEALTH_FREE_PAGES');
    t.same(others, ['CATALOG_MIGRATION_PENDING'], `at ${to} nothing else is wrong`);
    t.match(report.issues[0], {
      message: new RegExp(`at version ${to} of ${LATEST_VERSION}`),
      hint: /close the catalogue/,
    });
  }
  const pending = {
    code: 'CATALOG_MIGRATION_PENDING',
    cause: { code: 'CATALOG_SQL' },
    hint: /^It was rolled back to version \d+ while it was open: .*open it again/,
  };
  await t.rejects(db.files.count(), pending, 'no statement of ours is wrong');
  await t.rejects(
    db.transaction((tx) => tx.quotas.list()),
    pending,
  );
  await t.rejects(db.query('SELECT * FROM none'), { code: 'CATALOG_SQL', hint: /^Correct the statement/ });
  const short = await healthCheck(db);
  t.match(short, { status: 'warn', totalFiles: null, issues: [{ code: 'CATALOG_MIGRATION_PENDING' }] });
  behindItsBack(database, (raw) => raw.exec('ALTER TABLE files RENAME TO elsewhere'));
  t.match(await healthOf(db), { status: 'fail', issues: [{ code: 'CATALOG_CORRUPT', message: /tables are missing/ }] });
  behindItsBack(database, (raw) => raw.exec('ALTER TABLE elsewhere RENAME TO files'));
  await db.migrations.up();
  t.match((await healthOf(db)).checks, { migrations: { status: 'pass' }, quotas: { status: 'pass' } });
});

t.test('the search index: behind, emptied, gone; doctor and repair rebuild it', async (t) => {
  const { db, database, clientId } = await filled(t, { thresholds: { searchBacklog: 30 } });
  t.match(await healthOf(db), { issues: [], checks: { search: { observedValue: 20 } } });
  await save(db, clientId, 20, 'b');
  t.match(await healthOf(db), {
    issues: [{ code: 'HEALTH_SEARCH_INDEX', message: /at least 31 files are not in the search index yet/ }],
  });
  await db.close();

  const found = async (opened: DatabaseManager) => (await opened.files.search({ term: 'srv' })).total;
  const spoil = {
    emptied: "INSERT INTO search_index (search_index) VALUES ('delete-all'); DELETE FROM search_todo",
    'without its tables': 'DROP TABLE search_vocabulary; DROP TABLE search_index',
    'in pieces': "UPDATE search_index_data SET block = x'ffffffffffffffffffffffff'; DELETE FROM search_todo",
    // Its structure claims a level of two thousand million segments: SQLite calls that a lack of memory.
    'beyond any memory': `UPDATE search_index_data SET block = x'00000000010100008fffffff7f' WHERE id = 10;
      DELETE FROM search_todo`,
  };
  const issue = { code: 'HEALTH_SEARCH_INDEX', severity: 'warn', message: /cannot be used/ } as const;
  for (const [state, statements] of sampleOf(Object.entries(spoil), 2)) {
    behindItsBack(database, (raw) => {
      raw.unsafeMode(true);
      raw.exec(statements);
    });
    const spoilt = await open(t, { database });
    t.match(await healthOf(spoilt.db), { status: 'warn', issues: [issue] }, state);
    const dry = await spoilt.db.maintenance.repair({ dryRun: true });
    t.ok(dry.searchIndexes + dry.missingIndexRows > 0, `${state}: repair says what it would do`);
    t.match(await healthOf(spoilt.db), { issues: [issue] }, 'and changed nothing');
    if (state === 'in pieces') {
      await spoilt.db.close();
      const fixed = await cli(['doctor', '--fix', '--database', database]);
      t.match(fixed, { code: 0, stdout: /repaired: 1 search index is unreliable/ });
    } else {
      t.same(await spoilt.db.maintenance.repair(), dry, state);
      await spoilt.db.close();
    }
    const repaired = await open(t, { database });
    t.same(codes(await healthOf(repaired.db)), [], `${state}: repaired`);
    t.equal(await found(repaired.db), 40);
    t.equal(
      Object.values(await repaired.db.maintenance.repair()).reduce((sum, n) => sum + n, 0),
      0,
      'for good',
    );
    await repaired.db.close();
  }
});

t.test('an index that cannot be kept is told', async (t) => {
  const { db, database, clientId } = await filled(t);
  behindItsBack(database, (raw) => raw.exec('DROP TABLE search_index'));
  await save(db, clientId, 600, 'more');
  t.match(await healthOf(db), {
    issues: [{ message: /cannot be used/ }, { message: /keeping the search index failed 1 times/ }],
  });
});

t.test('a check of the whole file: steps, verdict, history; it survives a reopen', async (t) => {
  const { db, database } = await filled(t);
  const steps: string[] = [];
  const places: number[] = [];
  const routine = await db.maintenance.checkIntegrity({
    onProgress: ({ step, done, total }) => {
      steps.push(step);
      places.push(done, total);
    },
  });
  t.match(routine, { ok: true, problems: [], foreignKeyViolations: 0, full: false, durationMs: Number });
  t.equal(steps[0], 'pages');
  t.ok(steps.includes('index idx_files_filename') && steps.includes('index sqlite_autoindex_files_1'));
  t.equal(steps.at(-1), 'foreign keys');
  const total = steps.length - 1;
  t.same(
    places,
    steps.flatMap((_, done) => [done, total]),
    'every step is told once, and the end',
  );
  t.match(await healthOf(db), { status: 'pass', integrityCheck: true, foreignKeyCheck: true });
  await db.execute('UPDATE maintenance_history SET StartedAt = ?', [ago(9 * DAY_MS)]);
  await db.close();
  const again = await open(t, { database, thresholds: { integrityAgeMs: 8 * DAY_MS } });
  const late = await healthOf(again.db);
  t.match(late, { status: 'warn', integrityCheck: true, issues: [{ code: 'HEALTH_INTEGRITY_OVERDUE' }] });
  t.ok(Number(late.checks.integrity.observedValue) >= 9 * DAY_MS);
  const full: string[] = [];
  const complete = { full: true, onProgress: ({ step }: { step: string }) => void full.push(step) };
  t.match(await again.db.maintenance.checkIntegrity(complete), { ok: true, full: true });
  t.same(full, ['integrity', 'foreign keys', 'foreign keys']);
  t.same(codes(await healthOf(again.db)), []);
});

t.test('a check that is given up, late, or asked wrongly leaves no verdict', async (t) => {
  const { db, database } = await filled(t);
  const aborted = new AbortController();
  const onProgress = () => aborted.abort(new RangeError('enough'));
  await t.rejects(db.maintenance.checkIntegrity({ signal: aborted.signal, onProgress }), { message: 'enough' });
  const thrown = () => {
    throw new RangeError('the listener');
  };
  await t.rejects(db.maintenance.checkIntegrity({ onProgress: thrown }), { message: 'the listener' });
  await t.rejects(db.maintenance.checkIntegrity({ ful: true } as never), {
    code: 'CATALOG_VALIDATION',
    field: 'ful',
  });
  await t.rejects(db.maintenance.checkIntegrity({ onProgress: 5 } as never), {
    code: 'CATALOG_VALIDATION',
    field: 'onProgress',
  });
  await t.rejects(db.maintenance.checkIntegrity({ signal: AbortSignal.abort() }), { name: 'AbortError' });
  t.match(await healthOf(db), { status: 'pass', integrityCheck: null, foreignKeyCheck: null });
  await db.close();
  await t.rejects(db.maintenance.checkIntegrity(), { code: 'CATALOG_CLOSED' });
  const hasty = await open(t, { database, thresholds: { checkMs: 1 } });
  await t.rejects(hasty.db.maintenance.checkIntegrity(), { code: 'CATALOG_TIMEOUT', hint: /thresholds\.checkMs/ });
  t.match(await healthOf(hasty.db, { full: true }), {
    status: 'warn',
    integrityCheck: null,
    issues: [{ code: 'CATALOG_TIMEOUT', message: /within 1 ms/ }],
  });
  const gone = join(t.testdir(), 'gone.db');
  const lost = await open(t, { database: gone });
  rmSync(gone);
  await t.rejects(lost.db.maintenance.checkIntegrity(), { code: 'CATALOG_NOT_FOUND' });
});

t.test('rows that name nothing are told until they are repaired', async (t) => {
  const { db, database } = await filled(t);
  behindItsBack(database, (raw) => raw.exec('DELETE FROM clients'));
  t.match(await healthOf(db), { status: 'pass', foreignKeyCheck: null });
  const { ok, foreignKeyViolations } = await db.maintenance.checkIntegrity();
  t.ok(ok && Number(foreignKeyViolations) >= 20);
  t.match(await healthOf(db), {
    status: 'warn',
    integrityCheck: true,
    foreignKeyCheck: false,
    issues: [{ code: 'HEALTH_FOREIGN_KEYS', message: `${foreignKeyViolations} rows reference a missing row` }],
  });
  await db.maintenance.repair();
  await db.maintenance.checkIntegrity();
  t.match(await healthOf(db), { status: 'pass', foreignKeyCheck: true, issues: [] });
});

t.test('an index that lacks rows is found by the routine check; what the complete one found stays', async (t) => {
  const { db, database } = await filled(t);
  const { path } = await db.backups.create();
  await db.close();
  behindItsBack(database, (raw) => {
    raw.unsafeMode(true);
    raw.pragma('writable_schema = ON');
    raw.exec(`CREATE TEMP TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'idx_files_size';
      DELETE FROM sqlite_schema WHERE name = 'idx_files_size'`);
    raw.pragma('writable_schema = RESET');
    raw.exec(
      "UPDATE files SET FileSize = FileSize; INSERT INTO files (ID, FileName, PathName, ClientID, FileSize) SELECT randomblob(16), 'x', '/x', ID, 1 FROM clients",
    );
    raw.pragma('writable_schema = ON');
    raw.exec('INSERT INTO sqlite_schema SELECT * FROM kept');
    raw.pragma('writable_schema = RESET');
  });
  const damaged = await open(t, { database });
  t.match(await damaged.db.maintenance.checkIntegrity(), {
    ok: false,
    problems: ['wrong # of entries in index idx_files_size', 'the index idx_files_size leads to 20 rows, files has 21'],
  });
  const found = { code: 'CATALOG_CORRUPT', severity: 'fail' } as const;
  t.match(await healthOf(damaged.db), { status: 'fail', integrityCheck: false, issues: [found] });
  t.match(await healthOf(damaged.db, { full: true }), { status: 'fail', integrityCheck: false, issues: [found] });
  await damaged.db.execute('REINDEX');
  t.match(await damaged.db.maintenance.checkIntegrity(), { ok: true });
  t.match(await healthOf(damaged.db), { status: 'fail' }, 'a routine check takes back nothing of a complete one');
  await damaged.db.close();
  const again = await open(t, { database });
  t.match(await healthOf(again.db), { status: 'fail', integrityCheck: false, issues: [found] }, 'it survives a reopen');
  await again.db.backups.restore(path);
  t.match(await healthOf(again.db), { status: 'pass', integrityCheck: true }, 'a restore is checked completely');
});

t.test('a locked file', async (t) => {
  const { db, database } = await filled(t);
  const { child, said, ended } = peer(t, 'lock', database);
  t.equal(await said, 'locked');
  t.match(await healthOf(db), {
    status: 'warn',
    issues: [{ code: 'CATALOG_BUSY', message: /the writer did not become free/ }],
    checks: { writer: { status: 'warn', observedValue: 'held' }, database: { status: 'pass' } },
  });
  t.match(await healthCheck(db), { status: 'warn', databaseHealthy: true, totalClients: 1, totalFiles: 20 });
  child.stdin?.end();
  await ended;
  t.same(codes(await healthOf(db)), []);
});

t.test('a file that does not answer: the examination is cut at its deadline', async (t) => {
  const { db } = await filled(t, { poolSize: 2 });
  await db.query('SELECT 1');
  const gate = newGate();
  // What is asked in one turn travels together: the reader has the questions in hand, and does not come to them.
  const held = db.run(holdReader, gate);
  const [report, short] = await Promise.all([db.health(), healthCheck(db)]);
  isWhole(report);
  t.equal(Atomics.load(gate, 0), 0, 'it is held still');
  t.match(report, {
    status: 'fail',
    tableCount: null,
    databaseBytes: null,
    issues: [{ code: 'CATALOG_TIMEOUT', message: `the database did not answer within ${HEALTH_DEADLINE_MS} ms` }],
    checks: { database: { status: 'fail' }, backup: { status: 'unknown' }, writer: { status: 'pass' } },
  });
  t.same(short.totalFiles, null);
  openGate(gate);
  await held;
  t.same(codes(await healthOf(db)), []);
});

t.test('an exhausted pool, and a writer that is held', async (t) => {
  const { db } = await filled(t, { poolSize: 2 });
  const [gate, other] = [newGate(), newGate()];
  const held = await holding(db, gate);
  t.match(await healthOf(db), {
    status: 'warn',
    connectionPoolHealthy: false,
    issues: [
      { code: 'CATALOG_POOL_EXHAUSTED', message: /no reading connection became free within 900 ms: all 1 are in use/ },
    ],
    checks: { pool: { status: 'warn' }, database: { status: 'unknown' }, writer: { status: 'pass' } },
  });
  t.match(await healthCheck(db), { status: 'warn', connectionPoolOk: false, databaseSizeMb: null, totalClients: null });
  openGate(gate);
  await held.ended;
  const writing = await holding(db, other, holdWriter);
  t.match(await healthOf(db), { status: 'warn', issues: [{ code: 'CATALOG_BUSY' }], databaseBytes: Number });
  openGate(other);
  await writing.ended;
  t.same(codes(await healthOf(db)), []);
});

t.test('a writer that does not come back fails, until it does', async (t) => {
  const { db } = await filled(t, { thresholds: { writerRequestMs: 500 } });
  const gate = newGate();
  const writing = await holding(db, gate, holdWriter);
  t.match(await healthOf(db), { status: 'warn', issues: [{ code: 'CATALOG_BUSY' }] }, 'not for long yet');
  // The look itself has taken longer than that: its whole deadline.
  const stuck = {
    code: 'CATALOG_TIMEOUT',
    severity: 'fail',
    message: /has spent 0 seconds in one request/,
    hint: /restart/,
  };
  t.match(await healthOf(db), { status: 'fail', issues: [stuck], checks: { writer: { observedValue: 'stuck' } } });
  openGate(gate);
  await writing.ended;
  t.same(codes(await healthOf(db)), []);
});

t.test('calls that were refused are told, and not for ever', async (t) => {
  const { db } = await filled(t, { queueLimit: 12 });
  const asked = await Promise.allSettled(Array.from({ length: 40 }, () => db.query('SELECT 1')));
  const refused = asked.filter(({ status }) => status === 'rejected').length;
  t.ok(refused > 0);
  const report = await healthOf(db);
  t.match(report, { status: 'warn', connectionPoolHealthy: false, issues: [{ code: 'CATALOG_POOL_EXHAUSTED' }] });
  t.match(report.issues, [{ message: `${refused} calls were refused because too many were waiting` }]);
  t.intercept(Date, 'now', { value: () => performance.timeOrigin + performance.now() + 301_000 });
  t.same(codes(await healthOf(db)), [], 'five minutes later');
});

t.test('a dead writer, and dead readers', async (t) => {
  const { db, clientId } = await filled(t);
  await t.rejects(db.run(killWriter, null), { code: 'CATALOG_IO' });
  t.match(await healthOf(db), {
    status: 'fail',
    issues: [
      { code: 'CATALOG_IO', severity: 'fail', message: /the thread of the writer had died/ },
      { code: 'HEALTH_CONNECTION_LOST', severity: 'warn' },
    ],
    checks: { writer: { status: 'fail', observedValue: 'dead' } },
  });
  await save(db, clientId, 1, 'after');
  t.match(await healthOf(db), { status: 'warn', issues: [{ code: 'HEALTH_CONNECTION_LOST' }] }, 'it was replaced');
  await t.rejects(db.run(killReader, null), { code: 'CATALOG_IO' });
  await db.query('SELECT 1');
  t.match(await healthOf(db), { issues: [{ message: '2 connections died in the last minutes' }] });
});

t.test('a removed file, one that was exchanged, and a closed catalogue', async (t) => {
  const { db, database } = await filled(t);
  renameSync(database, `${database}.moved`);
  const gone = { code: 'CATALOG_NOT_FOUND', severity: 'fail' } as const;
  t.match(await healthOf(db), { status: 'fail', issues: [{ ...gone, message: /removed or moved/ }] });
  t.match(await healthOf(db, { full: true }), { status: 'fail', issues: [gone] });
  writeFileSync(database, 'another');
  t.match(await healthOf(db), {
    status: 'fail',
    issues: [{ ...gone, message: /another file has replaced the open one/ }],
  });
  t.match(await healthCheck(db), { status: 'fail', databaseHealthy: false, totalFiles: 20 });
  renameSync(`${database}.moved`, database);
  t.same(codes(await healthOf(db)), []);
  await db.close();
  const closed = { code: 'CATALOG_CLOSED', severity: 'fail' } as const;
  for (const full of [false, true]) {
    const report = await healthOf(db, { full });
    t.match(report, { status: 'fail', connectionPoolHealthy: false, databaseBytes: null, issues: [closed] });
    t.equal(report.issues.length, 1, 'one cause, one issue');
  }
  t.same(await healthCheck(db), {
    status: 'fail',
    databaseHealthy: false,
    connectionPoolOk: false,
    databaseSizeMb: null,
    totalClients: null,
    totalFiles: null,
    issues: (await db.health()).issues,
  });
});

t.test('a damaged file: at once where health reads, by the check of the whole file elsewhere', async (t) => {
  const { database, db } = await filled(t);
  const rows = await db.query("SELECT rootpage AS page FROM sqlite_schema WHERE name = 'idx_files_filename'");
  await db.close();
  const page = Number(rows[0]?.['page']);
  behindItsBack(database, (raw) => raw.pragma('journal_mode'));
  const copy = join(t.testdir({ folder: {} }), 'folder', 'index.db');
  const healthy = await open(t, { database });
  await healthy.db.backups.create({ path: copy });
  await healthy.db.close();
  const pages = Number((await runToEnd('stat', ['-c', '%s', copy], { cwd: '.' })).stdout) / 4096;
  const others = Array.from({ length: pages }, (_, n) => String(n + 1)).filter((n) => n !== String(page));
  const { ended } = peer(t, 'damage', copy, ...others);
  await ended;
  const quiet = await open(t, { database: copy });
  t.match(await healthOf(quiet.db), { status: 'pass' }, 'nothing that is read every day is damaged');
  const corrupt = { code: 'CATALOG_CORRUPT', severity: 'fail' } as const;
  t.match(await healthOf(quiet.db, { full: true }), { status: 'fail', integrityCheck: false, issues: [corrupt] });
  t.match(await healthOf(quiet.db), { status: 'fail', integrityCheck: false, issues: [corrupt] });
  await quiet.db.close();

  const live = await open(t, { database });
  await peer(t, 'damage', database).ended;
  const report = await healthOf(live.db);
  t.match(report, { status: 'fail', issues: [corrupt] });
  t.equal(new Set(report.issues.map(({ message }) => message)).size, report.issues.length, 'each cause once');
  t.match(await healthOf(live.db, { full: true }), { status: 'fail', integrityCheck: false });
  t.match(await healthCheck(live.db), { status: 'fail', databaseHealthy: false });
});

t.test('a full disk', async (t) => {
  const folder = t.testdir();
  const command = 'ulimit -f 700; unset NODE_OPTIONS; exec "$0" "$@"';
  const args = ['-c', command, process.execPath, '--no-warnings', PEER, 'fill', join(folder, 'full.db')];
  const { stdout, signal } = await runToEnd('bash', args, { cwd: folder });
  const [code, report = 'null'] = stdout.trim().split('\n');
  t.match({ code, signal }, { code: /^CATALOG_(?:FULL|IO|INDETERMINATE)$/, signal: null });
  isWhole(JSON.parse(report));
});

t.test('a signal ends the examination with what is known by then', async (t) => {
  const { db } = await filled(t);
  const given = { code: 'CATALOG_TIMEOUT', message: /was stopped before it finished/ } as const;
  for (const full of [false, true]) {
    const report = await healthOf(db, { full, signal: AbortSignal.abort() });
    t.match(report, { status: 'warn', issues: [given] });
  }
  t.match(await healthOf(db, { signal: 5 } as never), { status: 'warn', issues: [{ code: 'CATALOG_VALIDATION' }] });
  t.match(await healthOf(db, { full: true, signal: new AbortController().signal }), { status: 'pass' });
});

t.test('read-only, and with one connection in all', async (t) => {
  const { db, database } = await filled(t);
  await db.close();
  const reading = await open(t, { database, readOnly: true });
  t.match(await healthOf(reading.db), { status: 'pass', checks: { writer: { observedValue: 'read-only' } } });
  t.match(
    await healthOf(reading.db, { full: true }),
    { status: 'pass', integrityCheck: true },
    'known to this process',
  );
  await reading.db.quotas.audit();
  await reading.db.close();
  const single = await open(t, { database, poolSize: 1 });
  t.match(await healthOf(single.db), { status: 'pass', integrityCheck: null }, 'and to no other');
  const inside = await single.db.transaction(async () => db.health().then(() => healthOf(single.db)));
  t.match(inside, { status: 'warn', issues: [{ code: 'CATALOG_POOL_EXHAUSTED' }] }, 'the caller has the connection');
  t.match(await healthOf(single.db), { status: 'pass' });
});

const NOW = Date.parse('2026-03-01T12:00:00.000Z');

const count = fc.nat({ max: 2_000_000_000 });
const dateBetween = (min: number, max: number) =>
  fc.date({ min: new Date(min), max: new Date(max), noInvalidDate: true }).map((at) => at.toISOString());
const DAY = 86_400_000;
// Some by a clock that was ahead.
const recently = dateBetween(NOW - 3 * DAY, NOW);
const date = fc.oneof({ weight: 9, arbitrary: dateBetween(0, NOW) }, dateBetween(NOW, NOW + DAY));
const record = fc.record({
  kind: fc.constantFrom(...MAINTENANCE_KINDS),
  startedAt: date,
  durationMs: count,
  ok: fc.boolean(),
  detail: fc.constantFrom(null, '3', 'words'),
});
const lastOfEach = fc.record(
  Object.fromEntries(MAINTENANCE_KINDS.map((kind) => [kind, fc.option(record)])) as Record<
    (typeof MAINTENANCE_KINDS)[number],
    fc.Arbitrary<MaintenanceRecord | null>
  >,
);
const connections = fc.record({
  size: count,
  open: fc.nat({ max: 4 }),
  busy: count,
  idle: count,
  created: count,
  lost: count,
  longestMs: count,
  requestMs: count,
});
const work = fc.record({
  calls: count,
  rounds: count,
  largestRound: count,
  waiting: count,
  maxWaiting: count,
  expired: count,
  refused: count,
  totalWaitMs: count,
  maxWaitMs: count,
});

/** Answers, errors and silences of every question there is; a question more does not compile without its answers here. */
function arbitraryFacts(): fc.Arbitrary<Case['facts']> {
  const error = fc.oneof(
    fc.constantFrom(...(Object.keys(ERROR_CODES) as ErrorCode[])).map((code) => new DatabaseError(code, `met ${code}`)),
    fc.constant(new RangeError('of no kind')),
  );
  const answer = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Answer<Value>> =>
    fc.oneof(
      value.map((found) => ({ value: found })),
      error.map((thrown) => ({ error: thrown })),
      fc.constantFrom(
        { unanswered: 'waiting' as const },
        { unanswered: 'running' as const },
        { unanswered: 'given up' as const },
      ),
    );
  const answers: { readonly [Name in QuestionName]: fc.Arbitrary<Answers[Name]> } = {
    schema: answer(fc.record({ tables: count, indexes: count, bytes: count, pages: count, freePages: count })),
    writer: answer(fc.constant(null)),
    history: answer(fc.option(fc.record({ succeeded: lastOfEach, latest: lastOfEach, createdAt: fc.option(date) }))),
    standing: answer(
      fc.record({
        pending: count,
        problem: fc.constantFrom(undefined, new DatabaseError('CATALOG_MIGRATION_PENDING', 'words')),
        isReadable: fc.boolean(),
      }),
    ),
    quotas: answer(fc.option(count)),
    transfers: answer(fc.option(fc.record({ attempts: count, failed: count }))),
    sizes: answer(
      fc.option(
        fc.record({ hasToday: fc.boolean(), before: fc.option(fc.record({ bytes: count, measuredAt: recently })) }),
      ),
    ),
    foreignTriggers: answer(fc.constantFrom([], ['mine on files'], Array(7).fill('x on y'))),
    search: answer(fc.option(fc.record({ waiting: count, problem: fc.constantFrom(null, 'words') }))),
    files: answer(
      fc.record({
        identity: fc.constantFrom(null, '1:1', '1:2'),
        databaseBytes: count,
        walBytes: count,
        open: fc.constantFrom([], ['x (644)']),
        secondName: fc.constantFrom(null, { message: 'x is a mount point', hint: 'x' }),
      }),
    ),
    freeBytes: answer(count),
  };
  const stats = fc.record({
    state: fc.constantFrom('open' as const, 'open' as const, 'closing' as const, 'closed' as const),
    readers: connections,
    writers: connections,
    reads: work,
    writes: work,
    transactions: fc.constant({ active: 0, granted: 0, expired: 0 }),
    statements: fc.constant({ found: 0, prepared: 0 }),
    beforeCommit: fc.record({ failures: fc.nat({ max: 1 }), lastError: fc.constantFrom(null, 'words') }),
  });
  return fc.record({ ...answers, at: fc.constant(NOW), stats });
}

const anyMemory: fc.Arbitrary<Memory> = fc.record({
  opened: fc.constantFrom(null, '1:1'),
  refused: count,
  lost: count,
  unrecorded: fc.array(record, { maxLength: 3 }).map((records) => new Map(records.map((one) => [one.kind, one]))),
  readOnly: fc.boolean(),
  deadlineMs: fc.constant(900),
});

const anyThresholds = fc
  .record(
    Object.fromEntries(
      THRESHOLDS.map(({ threshold, nullable }) => [threshold, nullable ? fc.option(count) : count.map((n) => n + 1)]),
    ),
    { requiredKeys: [] },
  )
  .map(resolveThresholds);

const anyCase = fc.record({ facts: arbitraryFacts(), thresholds: anyThresholds, memory: anyMemory });

t.test('every key is there in every state, and only what the contract names fails', async (t) => {
  const failing = new Set<string>([
    ...['CATALOG_CORRUPT', 'CATALOG_IO', 'CATALOG_NOT_FOUND', 'CATALOG_CLOSED', 'CATALOG_FOREIGN_DATABASE'],
  ]);
  const property = fc.property(anyCase, (state) => {
    const report = reportOf(state);
    isWhole(report);
    deepStrictEqual(report.connectionPoolHealthy, report.checks.pool.status === 'pass');
    for (const { code, severity } of report.issues) {
      if (code.startsWith('HEALTH_')) deepStrictEqual(severity, 'warn');
      if (failing.has(code)) deepStrictEqual(severity, 'fail');
    }
    if (state.facts.stats.state !== 'open') deepStrictEqual(report.status, 'fail');
    const json = toHealthJson(report);
    deepStrictEqual(JSON.parse(JSON.stringify(json)), json);
    const unknown = Object.values(report.checks).filter(({ status }) => status === 'unknown').length;
    deepStrictEqual(Object.keys(json.checks).length + unknown, CHECK_NAMES.length);
  });
  await holds(t, property, { numRuns: 1_000 });
});

t.test('a check judges what its row asks alone, and raises the codes its row names, each of them', async (t) => {
  const raised = new Set<string>();
  const property = fc.property(anyCase, ({ facts, thresholds, memory }) => {
    for (const { name, ask, codes, judge } of CHECKS) {
      const seen = [...ask, 'at', 'stats'];
      const asked = Object.fromEntries(Object.entries(facts).filter(([key]) => seen.includes(key)));
      const verdict = judge({ facts: asked as Case['facts'], thresholds, memory });
      deepStrictEqual(verdict, judge({ facts, thresholds, memory }), name);
      for (const { code } of verdict.issues) {
        isTrue(code in codes || code in ERROR_CODES, `${name} raises ${code}`);
        raised.add(code);
      }
    }
  });
  await holds(t, property, { numRuns: 3_000 });
  t.same(
    Object.keys(HEALTH_CODES).filter((code) => !raised.has(code)),
    [],
    'every code was raised',
  );
});

t.test(
  'the table of checks: each name, code and name in JSON once, and every question is asked by a row',
  async (t) => {
    const named = (pick: (row: (typeof CHECKS)[number]) => readonly string[]) => CHECKS.flatMap((row) => pick(row));
    for (const names of [
      named(({ name }) => [name]),
      named(({ json }) => [json]),
      named(({ codes }) => Object.keys(codes)),
    ]) {
      t.same(names, [...new Set(names)]);
    }
    t.same([...new Set(named(({ ask }) => ask))].sort(), Object.keys(QUESTIONS).sort());
    t.same(
      named(({ name }) => [name]),
      Object.keys(HEALTH_CHECKS),
    );
    t.same(
      named(({ codes }) => Object.keys(codes)),
      Object.keys(HEALTH_CODES),
    );
  },
);

t.test('application/health+json', async (t) => {
  const { db } = await filled(t, { thresholds: { freeDisk: 1e12 } });
  const report = await healthOf(db);
  const { disk, writer } = report.checks;
  const json = toHealthJson(report);
  t.match(json, { status: 'warn', version: LIBRARY_VERSION, output: report.issues[0]?.message });
  t.same(json.notes, [`HEALTH_DISK_LOW: ${report.issues[0]?.hint}`]);
  t.same(json.checks['disk:free'], [
    {
      componentType: 'system',
      status: 'warn',
      observedValue: disk.observedValue,
      observedUnit: 'bytes',
      time: disk.time,
      output: report.issues[0]?.message,
    },
  ]);
  t.same(json.checks['writer:alive'], [
    { componentType: 'component', status: 'pass', observedValue: 'alive', time: writer.time },
  ]);
  t.notOk('foreignKeys:violations' in json.checks, 'what is not known is left out');
  await db.close();
  t.match(toHealthJson(await db.health()), { status: 'fail', output: 'the database is closed' });
});

t.test('the look costs the same whatever is stored: no table is walked through', async (t) => {
  const { db } = await filled(t);
  const plan = async (text: string) =>
    (await db.query(`EXPLAIN QUERY PLAN ${text}`)).map(({ detail }) => String(detail));
  const { QUOTA_WARNED } = await import('../lib/core/quota-warnings.ts');
  t.match(await plan(`SELECT count(*) FROM client_quotas WHERE ${QUOTA_WARNED}`), [
    /USING INDEX idx_client_quotas_warned/,
  ]);
  t.match(
    await plan("SELECT ID FROM maintenance_history WHERE Kind = 'backup' AND Succeeded = 1 ORDER BY ID DESC LIMIT 1"),
    [/SEARCH maintenance_history USING INDEX idx_maintenance_history_kind \(Kind=\?\)/],
  );
  t.match(await db.run(schemaFigures, null), { tables: Number, freePages: Number });
});

t.test('check, health and doctor on the command line', async (t) => {
  const { db, database } = await filled(t);
  await db.close();
  const ask = (...args: string[]) => cli([...args, '--database', database]);
  const logged = await ask('check', '--log-level', 'debug');
  t.match(logged, { code: 0, stdout: /^File +sound\n/ });
  t.match(logged.stderr, /"step":"index idx_files_filename","done":\d+,"total":\d+/, 'no bar without a terminal');
  const json = await ask('check', '--full', '--json');
  t.match(JSON.parse(json.stdout), { ok: true, full: true, foreignKeyViolations: 0 });
  chmodSync(database, 0o644);
  const health = await ask('health', '--full');
  t.match(health, { code: 0, stdout: /^Status +warn\n[\s\S]*\nintegrity +pass +\d+ s\n[\s\S]*\nfileModes +warn / });
  t.match(health.stdout, /\nwarn: other users may read or write .*catalogue\.db \(644\).*chmod 600/);
  behindItsBack(database, (raw) => raw.exec('DELETE FROM clients'));
  t.match(await ask('check'), { code: 0, stdout: /missing row +[1-9]/, stderr: /doctor --fix/ });
  await peer(t, 'damage', database, '2', '3', '4').ended;
  t.match(await ask('check'), { code: 1 });
});

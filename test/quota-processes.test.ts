/** Four processes on the same clients, one of them killed again and again: no limit is ever passed, nothing drifts. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { DatabaseManager } from '../lib/index.ts';
import { byTier, seedOf } from './fixtures/tier.ts';

const LIMIT = 4_000;
const KILLS = byTier(3, 5);
t.setTimeout(300_000); // on a machine that is busy otherwise

const WORKER = new URL('./fixtures/quota-process.ts', import.meta.url);

interface Done {
  readonly kind: 'done';
  readonly saved: number;
  readonly refused: number;
  readonly pruned: number;
  readonly reserved: number;
}

/** Resolves once the process has told of so many steps. */
function steps(child: ChildProcess, count: number): Promise<void> {
  let seen = 0;
  return new Promise((resolve, reject) => {
    child.on('message', () => {
      seen += 1;
      if (seen === count) resolve();
    });
    child.once('exit', () => reject(new Error('ended by itself')));
  });
}

/** Stops a process in its own time and returns what it did. */
async function stop(t: Test, child: ChildProcess): Promise<Done> {
  const exited = once(child, 'exit');
  const told = new Promise<Done>((resolve, reject) => {
    child.on('message', (message: Done | { kind: 'step' }) => message.kind === 'done' && resolve(message));
    child.once('exit', (code, signal) => reject(new Error(`ended early: ${code ?? signal}`)));
  });
  child.send('stop');
  const done = await told;
  t.same(await exited, [0, null]);
  return done;
}

/** Looks at every client again and again until the work is over; returns how often. */
async function watch(t: Test, db: DatabaseManager, work: Promise<unknown>): Promise<number> {
  let over = false;
  let looks = 0;
  void work.finally(() => {
    over = true;
  });
  while (!over) {
    const { quotas } = await db.quotas.list();
    const past = quotas.filter(({ usedBytes, reservedBytes }) => usedBytes + reservedBytes > LIMIT);
    if (past.length > 0) t.fail('a limit was passed', { past });
    looks += 1;
  }
  return looks;
}

t.test('use and reservations stay within the limit, whatever is killed, and the audit finds no drift', async (t) => {
  const database = `${t.testdir()}/catalog.db`;
  const db = await DatabaseManager.open({ database, poolSize: 2, defaultQuotaBytes: LIMIT });
  t.teardown(() => db.close());
  const ids: string[] = [];
  for (const name of ['alpha', 'beta']) ids.push((await db.clients.save({ name })).id);
  const seed = seedOf(t);
  let started = 0;
  const start = () => fork(WORKER, [database, String(seed + 100 * started++), ...ids], { execArgv: [] });
  const others = [start(), start(), start()];

  const kill = async () => {
    for (let round = 0; round < KILLS; round += 1) {
      const victim = start();
      await steps(victim, 1 + ((seed >> round) & 31));
      const exited = once(victim, 'exit');
      victim.kill('SIGKILL');
      t.same(await exited, [null, 'SIGKILL']);
    }
    return Promise.all([...others, start()].map((child) => stop(t, child)));
  };
  const work = kill();
  t.ok((await watch(t, db, work)) > KILLS);
  const done = await work;

  const total = (key: 'saved' | 'refused' | 'pruned') => done.reduce((sum, one) => sum + one[key], 0);
  t.comment(`${total('saved')} saved, ${total('refused')} refused, ${total('pruned')} pruned`);
  t.ok(total('saved') > 0 && total('refused') > 0 && total('pruned') > 0, 'the limit was met, and room made');
  t.same(await db.quotas.audit(), { checked: 2, repaired: 0, driftBytes: 0, clients: [] });
  t.same(await db.query('PRAGMA foreign_key_check'), []);
  t.same(await db.query('PRAGMA quick_check'), [{ quick_check: 'ok' }]);
  while ((await db.quotas.list()).quotas.some(({ reservedBytes }) => reservedBytes > 0));
  await db.quotas.reserve(ids[0] ?? '', 0, { ttlMs: 1 });
  t.same(await db.query('SELECT count(*) AS n FROM quota_reservations'), [{ n: 1 }], 'what the dead held is gone');
});

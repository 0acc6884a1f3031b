/**
 * What every engine promises, as one suite over the contract of lib/sql/engine.ts: an engine for another database passes
 * by opening itself with the procedures of test/fixtures/procedures.ts. What an engine says that it supports is tested as
 * well. How often a procedure runs before its call is answered is not: the SQLite engine may run a group again with
 * savepoints, others use savepoints from the start.
 */
import t, { type Test } from 'tap';
import { beyond } from './fixtures/conformance/beyond.ts';
import { closing } from './fixtures/conformance/closing.ts';
import { running, sharing } from './fixtures/conformance/running.ts';
import type { EngineFactory, EngineLimits } from './fixtures/conformance/setting.ts';
import { transactions } from './fixtures/conformance/transactions.ts';
import { waiting } from './fixtures/conformance/waiting.ts';
import { clearTables, createTables } from './fixtures/procedures.ts';

/** Runs the suite against the engines a factory opens. */
export function engineConformance(name: string, { open, readsBesideTransactions }: EngineFactory): void {
  const openWithTables = async (t: Test, limits: EngineLimits = {}) => {
    const engine = await open(t, limits);
    await engine.run(createTables, null);
    return engine;
  };
  // Opening threads takes most of the time: one engine serves a whole part, empty again for each test.
  const sharedBy = async (t: Test, limits?: EngineLimits) => {
    const engine = await openWithTables(t, limits);
    return async () => {
      await engine.run(clearTables, null);
      return engine;
    };
  };
  t.test(name, async (t) => {
    t.test('running', async (t) => running(t, await sharedBy(t)));
    t.test('sharing a commit', async (t) => sharing(t, await sharedBy(t)));
    t.test('transactions', async (t) => transactions(t, await sharedBy(t), readsBesideTransactions));
    t.test('waiting', async (t) => waiting(t, openWithTables, await sharedBy(t, { poolSize: 1, queueLimit: 2 })));
    t.test('closing', async (t) => closing(t, openWithTables));
    t.test('beyond the contract', async (t) => beyond(t, openWithTables, readsBesideTransactions));
  });
}

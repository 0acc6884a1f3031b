/**
 * The plain drivers: better-sqlite3 and libsql, whose calls are synchronous, and node-sqlite3, which calls back.
 * Statements are prepared once, as their users do; each save is one transaction.
 */
import BetterSqlite3 from 'better-sqlite3';
import { PRAGMAS } from '../settings.ts';
import { fileOfRow, load, Mutex, type Peer, type PeerSession, type PlainSave } from './peer.ts';
import { type InsertName, insertsOf, LAST_SEEN, LOOKUP, QUOTA, STORED, valuesOf } from './statements.ts';

type Synchronous = Pick<BetterSqlite3.Database, 'close' | 'pragma' | 'prepare' | 'transaction'>;

function synchronousSession(database: Synchronous): PeerSession {
  for (const pragma of PRAGMAS) database.pragma(pragma);
  const prepared = new Map<string, BetterSqlite3.Statement<unknown[]>>();
  const statement = (text: string) => {
    const found = prepared.get(text) ?? database.prepare<unknown[]>(text);
    prepared.set(text, found);
    return found;
  };
  let inserts: Readonly<Record<InsertName, string>> | undefined;
  const save = database.transaction((plain: PlainSave) => {
    inserts ??= insertsOf(plain);
    // Values in arrays: libsql would take a lone Buffer for named parameters.
    statement(QUOTA).get([plain.clientId]);
    statement(STORED).get([plain.clientId, plain.fileName, plain.originalPath]);
    statement(inserts.file).run(valuesOf(plain.file));
    statement(inserts.version).run(valuesOf(plain.version));
    statement(LAST_SEEN).run([plain.seen, plain.clientId]);
    statement(inserts.activity).run(valuesOf(plain.activity));
    statement(inserts.day).run(valuesOf(plain.day));
  });
  return {
    save: (plain) => save.immediate(plain),
    get: (id) => fileOfRow(statement(LOOKUP).get([Buffer.from(id, 'hex')]) as never),
    close: () => database.close(),
  };
}

export const betterSqlite3: Peer = {
  name: 'better-sqlite3',
  packages: [],
  open: async (path) => synchronousSession(new BetterSqlite3(path)),
};

export const libsql: Peer = {
  name: 'libsql',
  packages: ['libsql'],
  open: async (path) => {
    const { default: Database } = await load('libsql');
    return synchronousSession(new Database(path));
  },
};

export const nodeSqlite3: Peer = {
  name: 'node-sqlite3',
  packages: ['sqlite3'],
  open: async (path) => {
    const { default: sqlite3 } = await load('sqlite3');
    const database = await new Promise<CallbackDatabase>((resolve, reject) => {
      const opened = new sqlite3.Database(path, (error: Error | null) =>
        error === null ? resolve(opened) : reject(error),
      );
    });
    return callbackSession(database);
  },
};

type Callback = (error?: Error | null, row?: unknown) => void;

interface CallbackStatement {
  run(values: readonly unknown[], callback: Callback): void;
  all(values: readonly unknown[], callback: Callback): void;
  finalize(callback: Callback): void;
}

interface CallbackDatabase {
  prepare(text: string): CallbackStatement;
  exec(text: string, callback: Callback): void;
  close(callback: Callback): void;
}

const called = (work: (callback: Callback) => void): Promise<unknown> =>
  new Promise((resolve, reject) => work((error, row) => (error ? reject(error) : resolve(row))));

async function callbackSession(database: CallbackDatabase): Promise<PeerSession> {
  for (const pragma of PRAGMAS) await called((done) => database.exec(`PRAGMA ${pragma}`, done));
  const prepared = new Map<string, CallbackStatement>();
  const statement = (text: string) => {
    const found = prepared.get(text) ?? database.prepare(text);
    prepared.set(text, found);
    return found;
  };
  const run = (text: string, ...values: unknown[]) => called((done) => statement(text).run(values, done));
  // `get` would leave the statement on its row, and with it a read transaction open.
  const get = async (text: string, ...values: unknown[]) => {
    const rows = await called((done) => statement(text).all(values, done));
    return (rows as unknown[])[0];
  };
  const mutex = new Mutex();
  let inserts: Readonly<Record<InsertName, string>> | undefined;
  const save = async (plain: PlainSave) => {
    inserts ??= insertsOf(plain);
    await run('BEGIN IMMEDIATE');
    await get(QUOTA, plain.clientId);
    await get(STORED, plain.clientId, plain.fileName, plain.originalPath);
    await run(inserts.file, ...valuesOf(plain.file));
    await run(inserts.version, ...valuesOf(plain.version));
    await run(LAST_SEEN, plain.seen, plain.clientId);
    await run(inserts.activity, ...valuesOf(plain.activity));
    await run(inserts.day, ...valuesOf(plain.day));
    await run('COMMIT');
  };
  return {
    save: (plain) => mutex.run(() => save(plain)),
    get: async (id) => fileOfRow((await get(LOOKUP, Buffer.from(id, 'hex'))) as never),
    close: async () => {
      await Promise.all([...prepared.values()].map((each) => called((done) => each.finalize(done))));
      await called((done) => database.close(done));
    },
  };
}

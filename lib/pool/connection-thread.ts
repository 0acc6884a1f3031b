/**
 * The thread or process of one connection: opens it, answers one request at a time, and ends itself when asked to
 * close, so that nothing it holds is cut off.
 */
import { ConflictError, DatabaseError, InvariantError, toWireError, ValidationError } from '../errors.ts';
import { invariant } from '../runtime/invariant.ts';
import { reasonOf } from '../runtime/thrown.ts';
import { createRegistry, type Registry } from '../sql/procedure.ts';
import { BeforeCommit } from './before-commit.ts';
import { runGroup } from './commit-group.ts';
import { Connection } from './connection.ts';
import { openPort } from './connection-port.ts';
import { LateRegistry } from './late-registry.ts';
import { failed } from './outcome.ts';
import { runPreflight } from './preflight.ts';
import type { Opened, Outcome, Request, Response } from './protocol.ts';
import { runBatch } from './read-batch.ts';
import { classify } from './sqlite-errors.ts';
import { Transaction } from './transaction.ts';

const { port, settings, phase, counts } = await openPort();

const beforeCommit = new BeforeCommit(settings.beforeCommit);
let connection: Connection | undefined;
let transaction: Transaction | undefined;

const one = (work: () => unknown): Outcome[] => {
  try {
    return [{ ok: true, value: work() }];
  } catch (error) {
    return [{ ok: false, error: toWireError(classify(error)) }];
  }
};

function requireTransaction(): Transaction {
  if (transaction === undefined) throw new ConflictError('the connection has no open transaction');
  return transaction;
}

/** A request with an answer. */
type Work = Exclude<Request, { kind: 'close' }>;

function perform(open: Connection, request: Work): Outcome[] {
  switch (request.kind) {
    case 'batch':
      return runBatch(open, request.calls);
    case 'group':
      return runGroup(open, request.calls, beforeCommit);
    case 'begin':
      return one(() => {
        transaction = new Transaction(open, request.intent, request.suspendForeignKeys, beforeCommit);
      });
    case 'call':
      return one(() => requireTransaction().run(request.call));
    case 'end':
      return one(() => {
        const ending = requireTransaction();
        transaction = undefined;
        ending.end(request.commit);
      });
  }
}

const isIdle = (open: Connection) => transaction !== undefined || open.broken || !open.inTransaction;

/**
 * Answers a request. A connection that leaves a transaction open, which nobody would commit, is discarded with its
 * calls.
 */
function answer(open: Connection, request: Work): Outcome[] {
  try {
    const outcomes = perform(open, request);
    invariant(isIdle(open), 'a returned connection is in no transaction', 'one is still open');
    return outcomes;
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    open.broken = true;
    const calls = 'calls' in request ? request.calls : [request];
    return calls.map(() => failed(error));
  }
}

/** Outcomes that are valid: rows of an immutable file are not once somebody has written it. */
function trusted(open: Connection, outcomes: Outcome[]): Outcome[] {
  const { overtaken } = open;
  if (overtaken === undefined) return outcomes;
  open.broken = true;
  return outcomes.map(() => ({ ok: false, error: toWireError(overtaken) }));
}

/** A result that cannot be cloned must not spoil the outcomes of its neighbours. */
function sendable(outcome: Outcome): Outcome {
  try {
    return structuredClone(outcome);
  } catch (error) {
    const message = 'the procedure ran, but its result cannot cross a thread';
    return { ok: false, error: toWireError(new DatabaseError('CATALOG_INDETERMINATE', message, { cause: error })) };
  }
}

function send(response: Response): void {
  try {
    port.postMessage(response);
  } catch {
    port.postMessage({ ...response, outcomes: response.outcomes.map(sendable) });
  }
}

function closeThread(): void {
  connection?.close();
  port.close();
}

function refuseModules(received: string, accepted: string, cause: unknown): never {
  throw new ValidationError({ field: 'procedureModules', received, accepted }, { cause });
}

const MAX_SHOWN = 200; // characters: a data: URL holds the whole module

/** @throws {ValidationError} for a module that cannot be imported */
async function load(url: string): Promise<object> {
  try {
    return (await import(url)) as object;
  } catch (error) {
    const received = `the module ${url.slice(0, MAX_SHOWN)}, which failed to import: ${reasonOf(error)}`;
    return refuseModules(received, 'URLs of modules that can be imported', error);
  }
}

/** @throws {ValidationError} for a module that cannot be imported, or two procedures with one name */
async function loadProcedures(): Promise<Registry> {
  const modules = await Promise.all(settings.procedureModules.map(load));
  try {
    return createRegistry(modules);
  } catch (error) {
    return refuseModules(reasonOf(error), 'procedures with different names', error);
  }
}

async function openThread(): Promise<Opened> {
  try {
    const registry = new LateRegistry(await loadProcedures(), settings.lateProcedureModules);
    const { database, preflight } = settings;
    if (preflight !== undefined) runPreflight(database, preflight, registry, settings);
    connection = new Connection(settings, registry, new Int32Array(phase), new Float64Array(counts));
    return { error: null };
  } catch (error) {
    return { error: toWireError(classify(error)) };
  }
}

port.on('message', (request: Request) => {
  if (request.kind === 'close' || connection === undefined) {
    closeThread();
    return;
  }
  const outcomes = trusted(connection, answer(connection, request));
  send({ outcomes, broken: connection.broken, beforeCommitFailure: beforeCommit.takeFailure() });
});

port.postMessage(await openThread());

/**
 * The process that runs one reading procedure on its own connection, like a reader's thread, but it can be killed
 * inside a statement.
 */
import { toWireError } from '../errors.ts';
import { isClosed, wouldLeaveLog } from '../runtime/closed-file.ts';
import { answerOrder } from '../runtime/process-answer.ts';
import { takeUris } from '../runtime/sqlite-uris.ts';
import { createRegistry, type Registry } from '../sql/procedure.ts';
import { Connection } from './connection.ts';
import { isUnplaced } from './database-file.ts';
import type { ProcessOrder } from './process-pool.ts';
import type { ConnectionSettings, Outcome } from './protocol.ts';
import { runBatch } from './read-batch.ts';
import { classify } from './sqlite-errors.ts';

/** Opens a closed file as immutable if its place is not writable. */
function open(settings: ConnectionSettings, registry: Registry, phase: Int32Array): Connection {
  try {
    return new Connection({ ...settings, immutable: wouldLeaveLog(settings.database) }, registry, phase);
  } catch (error) {
    if (!isUnplaced(classify(error)) || !isClosed(settings.database)) throw error;
    return new Connection({ ...settings, immutable: true }, registry, phase);
  }
}

async function read({ settings, call }: ProcessOrder): Promise<Outcome | undefined> {
  const modules = await Promise.all(settings.procedureModules.map((url) => import(url) as Promise<object>));
  const phase = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const connection = open(settings, createRegistry(modules), phase);
  try {
    const [outcome] = runBatch(connection, [call]);
    if (connection.overtaken !== undefined) throw connection.overtaken;
    return outcome;
  } finally {
    connection.close();
  }
}

takeUris();

answerOrder(async (order) => {
  try {
    // Like between threads: a Buffer arrives as a Uint8Array.
    return structuredClone(await read(order as ProcessOrder));
  } catch (error) {
    return { ok: false, error: toWireError(classify(error)) };
  }
});

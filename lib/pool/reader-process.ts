/**
 * The process that runs one reading procedure on a connection of its own: as a reader's thread does, but it can be ended
 * inside a statement.
 */
import { toWireError } from '../errors.ts';
import { answerOrder } from '../runtime/process-answer.ts';
import { createRegistry } from '../sql/procedure.ts';
import type { ApartOrder } from './apart.ts';
import { Connection } from './connection.ts';
import type { Outcome } from './protocol.ts';
import { classify } from './sqlite-errors.ts';
import { runBatch } from './transactions.ts';

async function read({ settings, call }: ApartOrder): Promise<Outcome | undefined> {
  const modules = await Promise.all(settings.procedureModules.map((url) => import(url) as Promise<object>));
  const phase = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const connection = new Connection(settings, createRegistry(modules), phase);
  try {
    return runBatch(connection, [call])[0];
  } finally {
    connection.close();
  }
}

answerOrder(async (order) => {
  try {
    // As between threads: a Buffer arrives as the Uint8Array that it is.
    return structuredClone(await read(order as ApartOrder));
  } catch (error) {
    return { ok: false, error: toWireError(classify(error)) };
  }
});

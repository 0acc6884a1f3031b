/**
 * The audit of quota use: recounts every stored version on a reader, client by client. A repair holds the writer for
 * one row, or for one client's count if somebody else repaired the record meanwhile.
 */
import type { Executor } from '../sql/engine.ts';
import { isSameTotal } from '../values/counted-bytes.ts';
import { adjustUse, type MeasuredUse, measureUse, repairUse } from './audit-procedures.ts';

/** A client whose recorded use differs from its versions. Sizes in bytes. */
export interface QuotaDrift {
  readonly clientId: string;
  readonly recordedBytes: number;
  readonly actualBytes: number;
  /** Recorded minus actual: negative if bytes were not counted. */
  readonly driftBytes: number;
}

/** The result of an audit. */
export interface QuotaAudit {
  /** Clients counted. */
  readonly checked: number;
  /** Clients whose record was repaired. */
  readonly repaired: number;
  /** The sum of the absolute drift of all clients. */
  readonly driftBytes: number;
  /** The clients with drift, as they were before the repair. */
  readonly clients: QuotaDrift[];
}

export interface QuotaAuditWork {
  readonly clientIds: AsyncIterable<string>;
  readonly repair: boolean;
  readonly signal: AbortSignal | undefined;
}

const hasDrifted = ({ recordedBytes, actualBytes }: MeasuredUse) => !isSameTotal(recordedBytes, actualBytes);

// Counting the versions of a client with a million files takes a second, in which nobody else could write.
async function correct(
  executor: Executor,
  clientId: string,
  { recordedBytes, actualBytes }: MeasuredUse,
): Promise<void> {
  const isAdjusted = await executor.run(adjustUse, { clientId, bytes: actualBytes - recordedBytes });
  const after = isAdjusted ? await executor.run(measureUse, clientId) : null;
  if (!isAdjusted || (after !== null && hasDrifted(after))) await executor.run(repairUse, clientId);
}

/** @throws the signal's reason, between two clients; earlier repairs stay */
export async function auditUse(executor: Executor, { clientIds, repair, signal }: QuotaAuditWork): Promise<QuotaAudit> {
  const clients: QuotaDrift[] = [];
  let checked = 0;
  for await (const clientId of clientIds) {
    signal?.throwIfAborted();
    const found = await executor.run(measureUse, clientId, { signal });
    if (found === null) continue; // deleted meanwhile
    checked += 1;
    if (!hasDrifted(found)) continue;
    if (repair) await correct(executor, clientId, found);
    clients.push({ clientId, ...found, driftBytes: found.recordedBytes - found.actualBytes });
  }
  const driftBytes = clients.reduce((sum, drift) => sum + Math.abs(drift.driftBytes), 0);
  return { checked, repaired: repair ? clients.length : 0, driftBytes, clients };
}

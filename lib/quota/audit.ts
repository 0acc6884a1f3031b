/**
 * The audit of quota use: counts every stored version again, a client at a time, on a reader. The writer is only needed
 * to mend, and then for one client's count at a time.
 */
import type { Executor } from '../sql/engine.ts';
import { measureUse, repairUse } from './audit-procedures.ts';

/** A client whose recorded use is not what its versions come to. Sizes in bytes. */
export interface QuotaDrift {
  readonly clientId: string;
  readonly recordedBytes: number;
  readonly actualBytes: number;
  /** Recorded less actual: negative where bytes went uncounted. */
  readonly driftBytes: number;
}

/** What an audit found. */
export interface QuotaAudit {
  /** Clients counted. */
  readonly checked: number;
  /** Clients whose record was mended. */
  readonly repaired: number;
  /** The drift of every client, without regard to sign. */
  readonly driftBytes: number;
  /** The clients with drift, as they were before they were mended. */
  readonly clients: QuotaDrift[];
}

export interface QuotaAuditWork {
  readonly clientIds: AsyncIterable<string>;
  readonly repair: boolean;
  readonly signal: AbortSignal | undefined;
}

/** @throws the signal's reason, between two clients; what was mended stays mended */
export async function auditUse(executor: Executor, { clientIds, repair, signal }: QuotaAuditWork): Promise<QuotaAudit> {
  const clients: QuotaDrift[] = [];
  let checked = 0;
  for await (const clientId of clientIds) {
    signal?.throwIfAborted();
    const seen = await executor.run(measureUse, clientId, { signal });
    if (seen === null) continue; // deleted meanwhile
    checked += 1;
    if (seen.recordedBytes === seen.actualBytes) continue;
    const found = repair ? await executor.run(repairUse, clientId, { signal }) : seen;
    // Someone else may have mended it since.
    if (found === null || found.recordedBytes === found.actualBytes) continue;
    clients.push({ clientId, ...found, driftBytes: found.recordedBytes - found.actualBytes });
  }
  const driftBytes = clients.reduce((sum, drift) => sum + Math.abs(drift.driftBytes), 0);
  return { checked, repaired: repair ? clients.length : 0, driftBytes, clients };
}

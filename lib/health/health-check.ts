/** `healthCheck(db)`: the short report that monitoring asks for, with every key in every state. */
import type { CallOptions } from '../sql/engine.ts';
import { askWithin } from './facts.ts';
import { HEALTH_DEADLINE_MS } from './health.ts';
import type { HealthIssue, HealthOptions, HealthReport, HealthStatus } from './report.ts';

/** What {@link healthCheck} needs of a catalogue. */
export interface Examinable {
  health(options?: HealthOptions): Promise<HealthReport>;
  readonly clients: { count(options?: CallOptions): Promise<number> };
  readonly files: { count(options?: CallOptions): Promise<number> };
}

/** The short report; null is "not known". */
export interface HealthCheck {
  readonly status: HealthStatus;
  readonly databaseHealthy: boolean;
  readonly connectionPoolOk: boolean;
  readonly databaseSizeMb: number | null;
  readonly totalClients: number | null;
  readonly totalFiles: number | null;
  readonly issues: HealthIssue[];
}

const BYTES_PER_MB = 1024 * 1024;

/** Never throws, and answers as soon as `health` does; what cannot be found out is null. */
export async function healthCheck(db: Examinable, options?: HealthOptions): Promise<HealthCheck> {
  const [report, totalClients, totalFiles] = await Promise.all([
    db.health(options),
    askWithin(HEALTH_DEADLINE_MS, (call) => db.clients.count(call)),
    askWithin(HEALTH_DEADLINE_MS, (call) => db.files.count(call)),
  ]);
  return {
    status: report.status,
    databaseHealthy: report.status !== 'fail',
    connectionPoolOk: report.connectionPoolHealthy,
    databaseSizeMb: report.databaseBytes === null ? null : report.databaseBytes / BYTES_PER_MB,
    totalClients,
    totalFiles,
    issues: report.issues,
  };
}

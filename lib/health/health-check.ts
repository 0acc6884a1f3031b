/** `healthCheck(db)`: the short report that monitoring asks for, with every key in every state. */
import type { HealthIssue, HealthOptions, HealthReport, HealthStatus } from './health.ts';

/** What {@link healthCheck} needs of a catalogue. */
export interface Examinable {
  health(options?: HealthOptions): Promise<HealthReport>;
  readonly clients: { count(): Promise<number> };
  readonly files: { count(): Promise<number> };
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

const orNull = <Value>(value: Promise<Value>): Promise<Value | null> => value.catch(() => null);

/** Never throws; what cannot be found out is null. */
export async function healthCheck(db: Examinable, options?: HealthOptions): Promise<HealthCheck> {
  const report = await db.health(options);
  return {
    status: report.status,
    databaseHealthy: report.status !== 'fail',
    connectionPoolOk: report.connectionPoolHealthy,
    databaseSizeMb: report.databaseBytes === null ? null : report.databaseBytes / BYTES_PER_MB,
    totalClients: await orNull(db.clients.count()),
    totalFiles: await orNull(db.files.count()),
    issues: report.issues,
  };
}

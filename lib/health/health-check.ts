/** `healthCheck(db)`: the short report for monitoring, with every key in every state. */

import type { CallOptions } from '../sql/engine.ts';
import { MIB } from '../values/byte-units.ts';
import { type Answer, answerWithin } from './deadline.ts';
import { HEALTH_DEADLINE_MS } from './health.ts';
import { type HealthStatus, issueOf, worst } from './issue.ts';
import type { HealthIssue, HealthOptions, HealthReport } from './report.ts';

/** The part of a catalogue that {@link healthCheck} uses. */
export interface Examinable {
  health(options?: HealthOptions): Promise<HealthReport>;
  readonly clients: { count(options?: CallOptions): Promise<number> };
  readonly files: { count(options?: CallOptions): Promise<number> };
}

/** The short report; null means unknown. */
export interface HealthCheck {
  readonly status: HealthStatus;
  readonly databaseHealthy: boolean;
  readonly connectionPoolOk: boolean;
  readonly databaseSizeMb: number | null;
  readonly totalClients: number | null;
  readonly totalFiles: number | null;
  readonly issues: HealthIssue[];
}

const answerOf = (answer: Answer<number>): number | null => ('value' in answer ? answer.value : null);

/** Why a total is unknown; undefined if it is known. */
function issueOfTotal(what: string, answer: Answer<number>): HealthIssue | undefined {
  if ('value' in answer) return undefined;
  if ('error' in answer) {
    const issue = issueOf(answer.error);
    return { ...issue, message: `could not count the ${what}: ${issue.message}` };
  }
  const message = `could not count the ${what} within ${HEALTH_DEADLINE_MS} ms`;
  return { code: 'CATALOG_TIMEOUT', severity: 'warn', message, hint: 'Check again: the catalogue is very busy.' };
}

/** Codes of calls that never got a connection; one of them is enough. */
const BUSY: ReadonlySet<string> = new Set(['CATALOG_TIMEOUT', 'CATALOG_POOL_EXHAUSTED', 'CATALOG_BUSY']);

const tellsSame = (told: string, code: string) => told === code || (BUSY.has(told) && BUSY.has(code));

/** Never throws, and answers as fast as `health`; unknown values are null. */
export async function healthCheck(db: Examinable, options?: HealthOptions): Promise<HealthCheck> {
  const [report, clients, files] = await Promise.all([
    db.health(options),
    answerWithin(HEALTH_DEADLINE_MS, (call) => db.clients.count(call)),
    answerWithin(HEALTH_DEADLINE_MS, (call) => db.files.count(call)),
  ]);
  const issues = [...report.issues];
  for (const [what, total] of [
    ['clients', clients],
    ['files', files],
  ] as const) {
    const issue = issueOfTotal(what, total);
    // The report already explains why the total is unknown.
    if (issue !== undefined && !issues.some(({ code }) => tellsSame(code, issue.code))) issues.push(issue);
  }
  const status = worst(issues);
  return {
    status,
    databaseHealthy: status !== 'fail',
    connectionPoolOk: report.connectionPoolHealthy,
    databaseSizeMb: report.databaseBytes === null ? null : report.databaseBytes / MIB,
    totalClients: answerOf(clients),
    totalFiles: answerOf(files),
    issues,
  };
}

/**
 * The report as `application/health+json`, for load balancers and dashboards that know the format
 * (https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06).
 */
import { LIBRARY_VERSION } from '../runtime/version.ts';
import type { HealthStatus } from './issue.ts';
import { HEALTH_CHECKS, type HealthCheckName, type HealthReport } from './report.ts';

/** One measurement of one component. */
export interface HealthJsonCheck {
  readonly componentType: 'component' | 'datastore' | 'system';
  readonly status: HealthStatus;
  readonly observedValue?: number | string;
  readonly observedUnit?: string;
  /** When the report was made, in UTC. */
  readonly time: string;
  /** The problem, in words; omitted without one. */
  readonly output?: string;
}

/** The body of an answer of the media type `application/health+json`. */
export interface HealthJson {
  readonly status: HealthStatus;
  /** Of this library. */
  readonly version: string;
  readonly description: string;
  /** The first issue, in words; omitted without one. */
  readonly output?: string;
  readonly notes?: readonly string[];
  readonly checks: Readonly<Record<string, readonly HealthJsonCheck[]>>;
}

function checkOf(name: HealthCheckName, { checks }: HealthReport): [string, HealthJsonCheck[]] | undefined {
  const { status, observedValue, observedUnit, output, time } = checks[name];
  // The format has no status for "unknown".
  if (status === 'unknown') return undefined;
  const { json, type } = HEALTH_CHECKS[name];
  const check: HealthJsonCheck = {
    componentType: type,
    status,
    ...(observedValue === null ? {} : { observedValue }),
    ...(observedUnit === null ? {} : { observedUnit }),
    time,
    ...(output === null ? {} : { output }),
  };
  return [json, [check]];
}

/** The report in the format of load balancers; serve it as `application/health+json`, with status 503 if it fails. */
export function toHealthJson(report: HealthReport): HealthJson {
  const names = Object.keys(HEALTH_CHECKS) as HealthCheckName[];
  const [first] = report.issues;
  return {
    status: report.status,
    version: LIBRARY_VERSION,
    description: 'the catalogue of a backup server',
    ...(first === undefined ? {} : { output: first.message }),
    ...(first === undefined ? {} : { notes: report.issues.map(({ code, hint }) => `${code}: ${hint}`) }),
    checks: Object.fromEntries(names.flatMap((name) => [checkOf(name, report)].filter((check) => check !== undefined))),
  };
}

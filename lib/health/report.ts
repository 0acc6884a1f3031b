/** The health report, and the tables of checks and codes. */

import type { ErrorCode } from '../errors.ts';
import type { CallOptions } from '../sql/engine.ts';
import type { Case, CheckDescription } from './check.ts';
import { CHECKS } from './checks/table.ts';
import { type HealthStatus, type Issue, worst } from './issue.ts';
import { soundnessOf } from './soundness.ts';
import { statusOf, type Verdict } from './verdict.ts';

type Row = (typeof CHECKS)[number];
type CodesOf<Each> = Each extends { readonly codes: infer Codes } ? keyof Codes : never;

export type HealthCheckName = Row['name'];
type OwnCode = CodesOf<Row>;

/** Every check, by the name it has in the report. */
export const HEALTH_CHECKS = Object.fromEntries(
  CHECKS.map(({ name, json, type, unit, about }) => [name, { json, type, unit, about }]),
) as Readonly<Record<HealthCheckName, CheckDescription>>;

/** The health codes that are not errors of calls; an issue may also have any error code. */
export const HEALTH_CODES = Object.assign({}, ...CHECKS.map(({ codes }) => codes)) as Readonly<Record<OwnCode, string>>;

export type HealthCode = ErrorCode | OwnCode;

/** Something a person should know. */
export interface HealthIssue extends Issue<HealthCode> {}

/** The result of one check. */
export interface HealthCheckResult {
  /** `unknown`: not checked, because of another check's issue or an older schema. */
  readonly status: HealthStatus | 'unknown';
  readonly observedValue: number | string | null;
  readonly observedUnit: string | null;
  /** The problem, in words; null without one. */
  readonly output: string | null;
  /** Time of the check, in UTC. */
  readonly time: string;
}

/** The result of `health`. */
export interface HealthReport {
  readonly status: HealthStatus;
  /** The last verdict on the whole file, by any process; null if there never was one. */
  readonly integrityCheck: boolean | null;
  /** Whether the last check found no broken foreign key; null if there never was one. */
  readonly foreignKeyCheck: boolean | null;
  readonly tableCount: number | null;
  readonly indexCount: number | null;
  readonly databaseBytes: number | null;
  readonly connectionPoolHealthy: boolean;
  /** Failures first. */
  readonly issues: HealthIssue[];
  /** All checks, in every state. */
  readonly checks: Readonly<Record<HealthCheckName, HealthCheckResult>>;
}

export interface HealthOptions extends CallOptions {
  /** Let SQLite also check the whole file, which takes seconds to minutes if it is large. Default false. */
  readonly full?: boolean | undefined;
}

const isFailure = ({ severity }: HealthIssue) => severity === 'fail';

/** Without duplicates, failures first. */
function inOrder(issues: readonly HealthIssue[]): HealthIssue[] {
  const different = [...new Map(issues.map((issue) => [`${issue.code} ${issue.message}`, issue])).values()];
  return [...different.filter(isFailure), ...different.filter((issue) => !isFailure(issue))];
}

function resultOf(verdict: Verdict<HealthCode>, unit: string | null, at: number): HealthCheckResult {
  const { observed, issues } = verdict;
  return {
    status: statusOf(verdict),
    observedValue: observed,
    observedUnit: observed === null ? null : unit,
    output: issues.map(({ message }) => message).join('; ') || null,
    time: new Date(at).toISOString(),
  };
}

/** The report of a case; `more` holds additional issues. */
export function reportOf(state: Case, more: readonly HealthIssue[] = []): HealthReport {
  const { at, schema } = state.facts;
  const judged = CHECKS.map(({ name, unit, judge }) => ({ name, unit, verdict: judge(state) }));
  const issues = inOrder([...judged.flatMap(({ verdict }): readonly HealthIssue[] => verdict.issues), ...more]);
  const checks = Object.fromEntries(
    judged.map(({ name, unit, verdict }) => [name, resultOf(verdict, unit, at)]),
  ) as HealthReport['checks'];
  const figures = 'value' in schema ? schema.value : null;
  const { integrity, foreignKeys } = soundnessOf(state);
  return {
    status: worst(issues),
    integrityCheck: integrity?.ok ?? null,
    foreignKeyCheck: foreignKeys?.ok ?? null,
    tableCount: figures?.tables ?? null,
    indexCount: figures?.indexes ?? null,
    databaseBytes: figures?.bytes ?? null,
    connectionPoolHealthy: checks.pool.status === 'pass',
    issues,
    checks,
  };
}

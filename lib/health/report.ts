/** What health tells: the report, and the tables of checks and codes that others read. */

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

/** The codes of what is no error of a call; an issue may have any code of an error as well. */
export const HEALTH_CODES = Object.assign({}, ...CHECKS.map(({ codes }) => codes)) as Readonly<Record<OwnCode, string>>;

export type HealthCode = ErrorCode | OwnCode;

/** Something a person should know. */
export interface HealthIssue extends Issue<HealthCode> {}

/** How one check ended. */
export interface HealthCheckResult {
  /** `unknown`: it could not be looked at, because of another check's issue or in a schema that lacks it. */
  readonly status: HealthStatus | 'unknown';
  readonly observedValue: number | string | null;
  readonly observedUnit: string | null;
  /** What is wrong, in words; null where nothing is. */
  readonly output: string | null;
  /** When it was looked at, in UTC. */
  readonly time: string;
}

/** What `health` reports. */
export interface HealthReport {
  readonly status: HealthStatus;
  /** The last verdict on the whole file, of this process or another; null when there never was one. */
  readonly integrityCheck: boolean | null;
  /** Whether the last check found every foreign key kept; null when there never was one. */
  readonly foreignKeyCheck: boolean | null;
  readonly tableCount: number | null;
  readonly indexCount: number | null;
  readonly databaseBytes: number | null;
  readonly connectionPoolHealthy: boolean;
  /** Those that fail first. */
  readonly issues: HealthIssue[];
  /** Every check there is, in every state. */
  readonly checks: Readonly<Record<HealthCheckName, HealthCheckResult>>;
}

export interface HealthOptions extends CallOptions {
  /** Have SQLite check the whole file as well: seconds to minutes on a large one. Default false. */
  readonly full?: boolean | undefined;
}

const isFailure = ({ severity }: HealthIssue) => severity === 'fail';

/** Each once, those that fail first. */
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

/** The report of a case; `more` are issues that no check has. */
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

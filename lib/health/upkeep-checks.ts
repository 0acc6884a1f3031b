/** What was done for the catalogue as a whole, and how long ago: checks, audits, backups, and the proof that they help. */
import type { MaintenanceKind, MaintenanceRecord, MaintenanceState } from '../maintenance/history.ts';
import type { Case } from './case.ts';
import type { HealthIssue } from './report.ts';
import { exceeds, failure, found, inWords, judge, pass, UNKNOWN, type Verdict, warning } from './verdict.ts';

/** Milliseconds since a piece of work began. */
const ageOf = (startedAt: string, at: number) => Math.max(0, at - Date.parse(startedAt));

const newest = (...records: readonly (MaintenanceRecord | null)[]): MaintenanceRecord | null =>
  records.reduce(
    (best, next) => (next !== null && (best === null || next.startedAt > best.startedAt) ? next : best),
    null,
  );

/** The age of the last good one; of a catalogue that has had none, the time there was for it. */
const ageOrSince = (record: MaintenanceRecord | null, { createdAt }: MaintenanceState, at: number): number =>
  ageOf(record?.startedAt ?? createdAt ?? new Date(at).toISOString(), at);

const CLOCK_SLACK_MS = 60_000; // by which the clocks of two machines may differ

/** What was recorded later than now: some clock is, or was, wrong. */
function aheadOfClock(record: MaintenanceRecord | null, at: number): HealthIssue[] {
  const ahead = record === null ? 0 : Date.parse(record.startedAt) - at;
  if (!(ahead > CLOCK_SLACK_MS)) return [];
  const message = `the last ${record?.kind} is dated ${inWords(ahead)} ahead of the clock`;
  const hint =
    'Check the clock of the machine. Backups are ordered by their numbers, but ages and names follow the clock.';
  return [warning('HEALTH_CLOCK', message, hint)];
}

/** The last verified backup. */
export function checkBackup({ facts: { at, history }, thresholds }: Case): Verdict {
  return judge(history, (state) => {
    const last = state.succeeded.backup;
    const age = ageOrSince(last, state, at);
    const observed = last === null ? null : age;
    const ahead = aheadOfClock(last, at);
    if (!exceeds(age, thresholds.backupAgeMs)) return found(observed, ...ahead);
    const message =
      last === null
        ? `there has been no verified backup in the ${inWords(age)} of this catalogue`
        : `the last verified backup is ${inWords(age)} old`;
    return found(observed, warning('HEALTH_BACKUP_OVERDUE', message, 'Make one (`backups.create`, CLI: `backup`).'));
  });
}

/** The last backup that was restored, as a drill or in earnest. */
export function checkRestore({ facts: { at, history }, thresholds }: Case): Verdict {
  return judge(history, (state) => {
    const last = newest(state.succeeded.drill, state.succeeded.restore);
    const age = ageOrSince(last, state, at);
    const observed = last === null ? null : age;
    if (!exceeds(age, thresholds.restoreAgeMs)) return pass(observed);
    const message =
      last === null
        ? `no backup has been restored in the ${inWords(age)} of this catalogue`
        : `a backup was last proven by restoring it ${inWords(age)} ago`;
    const hint = 'Prove one (`backups.drill`, CLI: `backups --drill`): a backup that was never restored is a hope.';
    return found(observed, warning('HEALTH_RESTORE_UNPROVEN', message, hint));
  });
}

/** The last audit of quotas and of totals. */
export function checkAudit({ facts: { at, history }, thresholds }: Case): Verdict {
  return judge(history, (state) => {
    const audits = [state.latest['quota-audit'], state.latest['totals-audit']];
    const last = newest(...audits);
    const age = ageOrSince(last, state, at);
    const issues: HealthIssue[] = audits
      .filter((audit) => audit?.ok === false)
      .map((audit) => {
        const hint = 'Mend them (`maintenance.repair`, CLI: `doctor --fix`), and find who wrote past the triggers.';
        return warning('HEALTH_AUDIT_DRIFT', `the last audit found ${audit?.detail}`, hint);
      });
    if (exceeds(age, thresholds.auditAgeMs)) {
      const hint = 'Count anew (`quotas.audit`, `analytics.audit`).';
      issues.push(warning('HEALTH_AUDIT_OVERDUE', `the last audit is ${inWords(age)} old`, hint));
    }
    return found(last === null ? null : age, ...issues);
  });
}

/** The verdicts on the whole file: of the history, or newer ones that could not be kept there. */
export interface Soundness {
  /** The verdict that counts; null when there is none. */
  readonly integrity: MaintenanceRecord | null;
  readonly foreignKeys: MaintenanceRecord | null;
}

/** The complete check knows all that the routine one does; a routine one that passes takes back nothing it found. */
function verdictOf(routine: MaintenanceRecord | null, full: MaintenanceRecord | null): MaintenanceRecord | null {
  if (full?.ok === false && routine?.ok === true) return full;
  return newest(full, routine);
}

/** Which verdicts count: those on what is there now. What a restore put in its place was checked completely before. */
export function soundnessOf({ facts: { history }, memory: { unrecorded } }: Case): Soundness {
  const known = 'value' in history ? history.value : null;
  const restored = known?.succeeded.restore ?? null;
  const last = (kind: MaintenanceKind) => {
    const verdict = newest(known?.latest[kind] ?? null, unrecorded.get(kind) ?? null);
    return verdict !== null && restored !== null && verdict.startedAt < restored.startedAt ? null : verdict;
  };
  return { integrity: verdictOf(last('check'), last('integrity')) ?? restored, foreignKeys: last('foreign-keys') };
}

/** The last verdict on every page and index. */
export function checkIntegrity(state: Case): Verdict {
  const { facts, thresholds } = state;
  const { integrity } = soundnessOf(state);
  const observed = integrity === null ? null : ageOf(integrity.startedAt, facts.at);
  if (integrity?.ok === false) {
    const hint = 'Stop writing, keep the file as it is and restore the newest verified backup.';
    return found(observed, failure('CATALOG_CORRUPT', `the last check found: ${integrity.detail}`, hint));
  }
  const hint = 'Check the file (`maintenance.checkIntegrity`, CLI: `check`).';
  return judge(facts.history, (history) => {
    const age = ageOrSince(integrity, history, facts.at);
    if (!exceeds(age, thresholds.integrityAgeMs)) return pass(observed);
    return found(observed, warning('HEALTH_INTEGRITY_OVERDUE', `the last check is ${inWords(age)} old`, hint));
  });
}

/** The last verdict on what rows name. */
export function checkForeignKeys(state: Case): Verdict {
  const { foreignKeys } = soundnessOf(state);
  if (foreignKeys === null) return UNKNOWN;
  if (foreignKeys.ok) return pass(0);
  const message = `${foreignKeys.detail} rows name a row that does not exist`;
  const hint = 'Another program left them; `maintenance.repair` puts them aside (CLI: `doctor --fix`).';
  const rows = Number(foreignKeys.detail);
  return found(Number.isFinite(rows) ? rows : null, warning('HEALTH_FOREIGN_KEYS', message, hint));
}

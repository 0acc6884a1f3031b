/** Checks the age and outcome of audits, backups, restores and checks of the whole file. */
import type { MaintenanceRecord, MaintenanceState } from '../../maintenance/history.ts';
import { check } from '../check.ts';
import { failure, type Issue, warning } from '../issue.ts';
import { newest, soundnessOf } from '../soundness.ts';
import { exceeds, found, inWords, judged, pass, UNKNOWN } from '../verdict.ts';

/** Milliseconds since a piece of work began. */
const ageOf = (startedAt: string, at: number) => Math.max(0, at - Date.parse(startedAt));

/** The age of the last success, or of the catalogue if there was none. */
const ageOrSince = (record: MaintenanceRecord | null, { createdAt }: MaintenanceState, at: number): number =>
  ageOf(record?.startedAt ?? createdAt ?? new Date(at).toISOString(), at);

const audit = check({
  name: 'audit',
  json: 'audit:age',
  type: 'datastore',
  unit: 'ms',
  about: 'the age of the last audit, and what it found',
  ask: ['history'],
  codes: {
    HEALTH_AUDIT_DRIFT: 'the last audit found figures that differ from the rows',
    HEALTH_AUDIT_OVERDUE: 'the last audit is older than `auditAgeMs`',
  },
  judge: ({ facts: { at, history }, thresholds }) =>
    judged(history, (state) => {
      const audits = [state.latest['quota-audit'], state.latest['totals-audit']];
      const last = newest(...audits);
      const age = ageOrSince(last, state, at);
      const drifted = audits.filter((one) => one?.ok === false);
      const drift =
        'Repair them (`maintenance.repair`, CLI: `doctor --fix`), and find the program that bypassed the triggers.';
      const overdue = 'Run an audit (`quotas.audit`, `analytics.audit`).';
      return found(
        last === null ? null : age,
        ...drifted.map((one) => warning('HEALTH_AUDIT_DRIFT', `the last audit found ${one?.detail}`, drift)),
        ...(exceeds(age, thresholds.auditAgeMs)
          ? [warning('HEALTH_AUDIT_OVERDUE', `the last audit is ${inWords(age)} old`, overdue)]
          : []),
      );
    }),
});

const CLOCK_SLACK_MS = 60_000; // tolerance for the clocks of two machines

/** A record from the future: some clock is or was wrong. */
function aheadOfClock(record: MaintenanceRecord | null, at: number): Issue<'HEALTH_CLOCK'>[] {
  const ahead = record === null ? 0 : Date.parse(record.startedAt) - at;
  if (!(ahead > CLOCK_SLACK_MS)) return [];
  const message = `the last ${record?.kind} is dated ${inWords(ahead)} ahead of the clock`;
  const hint =
    'Check the clock of the machine. Backups are ordered by number, but their ages and names follow the clock.';
  return [warning('HEALTH_CLOCK', message, hint)];
}

const backup = check({
  name: 'backup',
  json: 'backup:age',
  type: 'datastore',
  unit: 'ms',
  about: 'the age of the last verified backup',
  ask: ['history'],
  codes: {
    HEALTH_CLOCK: 'the last backup is dated ahead of the clock',
    HEALTH_BACKUP_OVERDUE: 'the last verified backup is older than `backupAgeMs`',
  },
  judge: ({ facts: { at, history }, thresholds }) =>
    judged(history, (state) => {
      const last = state.succeeded.backup;
      const age = ageOrSince(last, state, at);
      const observed = last === null ? null : age;
      if (!exceeds(age, thresholds.backupAgeMs)) return found(observed, ...aheadOfClock(last, at));
      const message =
        last === null
          ? `this catalogue is ${inWords(age)} old and has no verified backup`
          : `the last verified backup is ${inWords(age)} old`;
      return found(
        observed,
        warning('HEALTH_BACKUP_OVERDUE', message, 'Make a backup (`backups.create`, CLI: `backup`).'),
      );
    }),
});

const restore = check({
  name: 'restore',
  json: 'restore:age',
  type: 'datastore',
  unit: 'ms',
  about: 'the age of the last restore or drill',
  ask: ['history'],
  codes: { HEALTH_RESTORE_UNPROVEN: 'the last restore or drill is older than `restoreAgeMs`' },
  judge: ({ facts: { at, history }, thresholds }) =>
    judged(history, (state) => {
      const last = newest(state.succeeded.drill, state.succeeded.restore);
      const age = ageOrSince(last, state, at);
      const observed = last === null ? null : age;
      if (!exceeds(age, thresholds.restoreAgeMs)) return pass(observed);
      const message =
        last === null
          ? `this catalogue is ${inWords(age)} old, and no backup of it was ever restored`
          : `a backup was last restored ${inWords(age)} ago`;
      const hint = 'Test that a backup can be restored (`backups.drill`, CLI: `backups --drill`).';
      return found(observed, warning('HEALTH_RESTORE_UNPROVEN', message, hint));
    }),
});

const integrity = check({
  name: 'integrity',
  json: 'integrity:age',
  type: 'datastore',
  unit: 'ms',
  about: 'the last check of the whole file, and its age',
  ask: ['history'],
  codes: { HEALTH_INTEGRITY_OVERDUE: 'the last check of the whole file is older than `integrityAgeMs`' },
  judge: (state) => {
    const { facts, thresholds } = state;
    const { integrity: last } = soundnessOf(state);
    const observed = last === null ? null : ageOf(last.startedAt, facts.at);
    if (last?.ok === false) {
      const hint = 'Stop writing, keep the file unchanged and restore the newest verified backup.';
      return found(observed, failure('CATALOG_CORRUPT', `the last check found: ${last.detail}`, hint));
    }
    return judged(facts.history, (history) => {
      const age = ageOrSince(last, history, facts.at);
      if (!exceeds(age, thresholds.integrityAgeMs)) return pass(observed);
      const hint = 'Check the file (`maintenance.checkIntegrity`, CLI: `check`).';
      return found(observed, warning('HEALTH_INTEGRITY_OVERDUE', `the last check is ${inWords(age)} old`, hint));
    });
  },
});

const foreignKeys = check({
  name: 'foreignKeys',
  json: 'foreignKeys:violations',
  type: 'datastore',
  unit: 'rows',
  about: 'what the last check found',
  ask: ['history'],
  codes: { HEALTH_FOREIGN_KEYS: 'rows reference a missing row' },
  judge: (state) => {
    const { foreignKeys: last } = soundnessOf(state);
    if (last === null) return UNKNOWN;
    if (last.ok) return pass(0);
    const message = `${last.detail} rows reference a missing row`;
    const hint = 'Another program left them; move them aside (`maintenance.repair`, CLI: `doctor --fix`).';
    const rows = Number(last.detail);
    return found(Number.isFinite(rows) ? rows : null, warning('HEALTH_FOREIGN_KEYS', message, hint));
  },
});

export const MAINTENANCE = [audit, backup, restore, integrity, foreignKeys] as const;

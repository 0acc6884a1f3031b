/** Decides which verdict on the whole file counts: the history has several, and this process may have one more. */
import type { MaintenanceKind, MaintenanceRecord } from '../maintenance/history.ts';
import type { Case } from './check.ts';

/** The verdicts that count; null without any. */
interface Soundness {
  readonly integrity: MaintenanceRecord | null;
  readonly foreignKeys: MaintenanceRecord | null;
}

/** The record that began last. */
export const newest = (...records: readonly (MaintenanceRecord | null)[]): MaintenanceRecord | null =>
  records.reduce(
    (best, next) => (next !== null && (best === null || next.startedAt > best.startedAt) ? next : best),
    null,
  );

/** The complete check includes the routine one, but a passing routine check does not clear its findings. */
function verdictOf(routine: MaintenanceRecord | null, full: MaintenanceRecord | null): MaintenanceRecord | null {
  if (full?.ok === false && routine?.ok === true) return full;
  return newest(full, routine);
}

/** A restore clears earlier findings and counts as a check, because the restored content was checked completely. */
export function soundnessOf({ facts: { history }, memory: { unrecorded } }: Case<'history'>): Soundness {
  const known = 'value' in history ? history.value : null;
  const restored = known?.succeeded.restore ?? null;
  const last = (kind: MaintenanceKind) => {
    const verdict = newest(known?.latest[kind] ?? null, unrecorded.get(kind) ?? null);
    return verdict !== null && restored !== null && verdict.startedAt < restored.startedAt ? null : verdict;
  };
  return { integrity: verdictOf(last('check'), last('integrity')) ?? restored, foreignKeys: last('foreign-keys') };
}

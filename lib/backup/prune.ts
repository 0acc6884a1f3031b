/**
 * Which backups a policy keeps, and why; pure. The rules that count go from the newest backup to the oldest and keep the
 * newest of each day, ISO week or month (UTC) that has one, as restic's `forget` does. Only sound backups of this
 * database are counted or removed, and the newest one that verifies stays whatever the policy says.
 */
import { ValidationError } from '../errors.ts';
import { checkInteger, checkNumber, checkObject, isAbsent } from '../validation.ts';
import type { BackupEntry } from './list.ts';

/** Which backups to keep; at least one rule must be given. */
export interface BackupPolicy {
  /** The newest backups, this many. */
  readonly keepLast?: number | null | undefined;
  readonly keepDaily?: number | null | undefined;
  readonly keepWeekly?: number | null | undefined;
  readonly keepMonthly?: number | null | undefined;
  /** Days; what is older goes, whatever the other rules say. */
  readonly maxAgeDays?: number | null | undefined;
}

/** A backup with what becomes of it. */
export interface PrunedBackup {
  readonly path: string;
  readonly bytes: number;
  readonly createdAt: string | null;
  /** Why it stays, or why it goes. */
  readonly reasons: string[];
}

/** What a policy would do, or did. */
export interface BackupPrune {
  readonly removed: PrunedBackup[];
  readonly kept: PrunedBackup[];
  /** Of what is removed. */
  readonly bytes: number;
}

const MS_PER_DAY = 86_400_000;
const DAYS_PER_WEEK = 7;
const MONDAY_OFFSET = 3; // 1 January 1970 was a Thursday
const MAX_COUNT = 2 ** 31 - 1;

type Rule = { readonly key: keyof BackupPolicy; readonly name: string; bucket(entry: BackupEntry): unknown };

const dayOf = ({ createdAt }: BackupEntry) => Math.floor(Date.parse(createdAt ?? '') / MS_PER_DAY);

const RULES: readonly Rule[] = [
  { key: 'keepLast', name: 'last', bucket: ({ path }) => path },
  { key: 'keepDaily', name: 'daily', bucket: dayOf },
  { key: 'keepWeekly', name: 'weekly', bucket: (entry) => Math.floor((dayOf(entry) + MONDAY_OFFSET) / DAYS_PER_WEEK) },
  { key: 'keepMonthly', name: 'monthly', bucket: ({ createdAt }) => createdAt?.slice(0, 7) },
];

const KEYS: ReadonlySet<string> = new Set([...RULES.map(({ key }) => key), 'maxAgeDays']);

/** A policy that was checked. */
export interface CheckedBackupPolicy {
  /** In the order of the rules. */
  readonly counts: readonly number[];
  readonly maxAgeDays: number | null;
}

/** @throws {ValidationError} for an unknown key, a value not accepted, or a policy without any rule */
export function checkBackupPolicy(policy: unknown): CheckedBackupPolicy {
  const given = checkObject(policy, 'policy', KEYS);
  const counts = RULES.map(({ key }) => (isAbsent(given[key]) ? 0 : checkInteger(given[key], key, 0, MAX_COUNT)));
  const age = given['maxAgeDays'];
  const maxAgeDays = isAbsent(age) ? null : checkNumber(age, 'maxAgeDays', 0, MAX_COUNT);
  if (maxAgeDays !== null || counts.some((count) => count > 0)) return { counts, maxAgeDays };
  const accepted = `at least one of ${[...KEYS].join(', ')}`;
  throw new ValidationError({ field: 'policy', received: 'an empty policy', accepted });
}

function keptBy(rule: Rule, count: number, sound: readonly BackupEntry[]): BackupEntry[] {
  const buckets = new Map<unknown, BackupEntry>();
  for (const entry of sound) {
    const bucket = rule.bucket(entry);
    if (buckets.size < count && !buckets.has(bucket)) buckets.set(bucket, entry);
  }
  return [...buckets.values()];
}

/** Why a backup is no matter of the policy's; undefined for one that is. */
function untouchable({ own, databaseId, problems }: BackupEntry): string[] | undefined {
  if (databaseId !== null && !own) return ['of another database'];
  if (problems.length > 0) return problems.map((problem) => `not counted: ${problem}`);
  return own ? undefined : ['of no known database'];
}

/**
 * What a policy says of a folder's backups.
 * @param entries newest first
 * @param newestVerified the path of the newest backup of this database that verifies; null when none does
 * @param at milliseconds since 1970
 */
export function planBackupPrune(
  entries: readonly BackupEntry[],
  { counts, maxAgeDays }: CheckedBackupPolicy,
  newestVerified: string | null,
  at: number,
): BackupPrune {
  const sound = entries.filter((entry) => untouchable(entry) === undefined);
  const byRule = RULES.map((rule, place) => ({ rule, kept: new Set(keptBy(rule, counts[place] ?? 0, sound)) }));
  const hasRule = counts.some((count) => count > 0);
  const isTooOld = ({ createdAt }: BackupEntry) =>
    maxAgeDays !== null && at - Date.parse(createdAt ?? '') > maxAgeDays * MS_PER_DAY;
  const judge = (entry: BackupEntry): { readonly stays: boolean; readonly reasons: string[] } => {
    const apart = untouchable(entry);
    if (apart !== undefined) return { stays: true, reasons: apart };
    const newest = entry.path === newestVerified ? ['newest verified'] : [];
    if (isTooOld(entry)) return { stays: newest.length > 0, reasons: [...newest, `older than ${maxAgeDays} days`] };
    const rules = byRule.filter(({ kept }) => kept.has(entry)).map(({ rule }) => rule.name);
    const young = hasRule ? [] : [`at most ${maxAgeDays} days old`];
    const reasons = [...newest, ...rules, ...young];
    return reasons.length > 0 ? { stays: true, reasons } : { stays: false, reasons: ['no rule keeps it'] };
  };
  const judged = entries.map((entry) => {
    const { stays, reasons } = judge(entry);
    const { path, bytes, createdAt } = entry;
    return { stays, backup: { path, bytes, createdAt, reasons } };
  });
  const removed = judged.filter(({ stays }) => !stays).map(({ backup }) => backup);
  const kept = judged.filter(({ stays }) => stays).map(({ backup }) => backup);
  return { removed, kept, bytes: removed.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/**
 * Which backups a policy keeps, and why; pure. The rules that count are those of lib/values/retention.ts. Only sound backups
 * of this database are counted or removed, and the newest one that verifies stays whatever the policy says.
 */
import { checkNumber, checkObject, isAbsent } from '../validation.ts';
import { DAY_MS } from '../values/intervals.ts';
import { applyRules, countsIn, hasCount, MAX_COUNT, reasonsIn, refuseEmpty } from '../values/retention.ts';
import type { BackupEntry } from './list.ts';

/**
 * Which backups to keep; at least one rule must be given. The rules that count go from the newest backup to the oldest and
 * keep the newest of each day, ISO week (from Monday) or month that has any, so many times, in UTC; where fewer are found, the
 * oldest backup is kept as well. 0 is no rule, -1 keeps all. Backups dated in the future stay and count for no rule.
 */
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

const KEYS: ReadonlySet<string> = new Set<keyof BackupPolicy>([
  'keepLast',
  'keepDaily',
  'keepWeekly',
  'keepMonthly',
  'maxAgeDays',
]);

/** A policy that was checked. */
export interface CheckedBackupPolicy {
  /** Of the rules that count. */
  readonly counts: readonly number[];
  readonly maxAgeDays: number | null;
}

/** @throws {ValidationError} for an unknown key, a value not accepted, or a policy without any rule */
export function checkBackupPolicy(policy: unknown): CheckedBackupPolicy {
  const given = checkObject(policy, 'policy', KEYS);
  const counts = countsIn(given);
  const age = given['maxAgeDays'];
  const maxAgeDays = isAbsent(age) ? null : checkNumber(age, 'maxAgeDays', 0, MAX_COUNT);
  return maxAgeDays !== null || hasCount(counts) ? { counts, maxAgeDays } : refuseEmpty(KEYS);
}

/** Why a backup is no matter of the policy's; undefined for one that is. */
function untouchable({ own, databaseId, problems }: BackupEntry): string[] | undefined {
  if (databaseId !== null && !own) return ['of another database'];
  if (problems.length > 0) return problems.map((problem) => `not counted: ${problem}`);
  return own ? undefined : ['of no known database'];
}

/**
 * When each backup was made, in milliseconds since 1970; newest first. A number shows that one which is dated in the future was
 * made before another: it counts as made with that one, since the clock was ahead.
 */
function instantsOf(entries: readonly BackupEntry[], at: number): (number | null)[] {
  let after: number | null = null;
  return entries.map(({ createdAt }) => {
    const told = createdAt === null ? null : Date.parse(createdAt);
    const instant = told !== null && told > at ? (after ?? told) : told;
    if (instant !== null && instant <= at) after = instant;
    return instant;
  });
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
  const instants = instantsOf(sound, at);
  const items = sound.map(({ path }, place) => ({
    instant: instants[place] ?? null,
    rank: -place,
    pinned: path === newestVerified,
  }));
  const masks = applyRules(items, { counts, within: null }, at);
  const maskOf = new Map(sound.map((entry, place) => [entry, masks[place] ?? 0]));
  const isOld = ({ createdAt }: BackupEntry) =>
    maxAgeDays !== null && at - Date.parse(createdAt ?? '') > maxAgeDays * DAY_MS;
  const judge = (entry: BackupEntry): { readonly stays: boolean; readonly reasons: string[] } => {
    const apart = untouchable(entry);
    if (apart !== undefined) return { stays: true, reasons: apart };
    const isNewest = entry.path === newestVerified;
    const words = { pinned: 'newest verified' };
    if (isOld(entry)) {
      return { stays: isNewest, reasons: [...(isNewest ? [words.pinned] : []), `older than ${maxAgeDays} days`] };
    }
    const reasons = reasonsIn(maskOf.get(entry) ?? 0, words);
    if (!hasCount(counts)) reasons.push(`at most ${maxAgeDays} days old`);
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

/**
 * Decides which backups a policy keeps, and why; pure. lib/values/retention.ts has the counting rules. Only sound
 * backups of this database are counted or removed, and the newest verified backup always stays.
 */
import { checkNumber, checkObject, isAbsent } from '../validation.ts';
import { DAY_MS } from '../values/intervals.ts';
import { applyRules, countsIn, hasCount, MAX_COUNT, reasonsIn, refuseEmpty } from '../values/retention.ts';
import type { BackupEntry } from './list.ts';

/**
 * Which backups to keep; at least one rule is required. The counting rules go from the newest backup to the oldest and
 * keep the newest one of each day, ISO week (from Monday) or month that has any, up to the given number, in UTC. If
 * there are fewer periods than that, the oldest backup is kept as well. 0 is no rule, -1 keeps all. Backups dated in
 * the future stay and count for no rule.
 */
export interface BackupPolicy {
  /** The number of newest backups. */
  readonly keepLast?: number | null | undefined;
  readonly keepDaily?: number | null | undefined;
  readonly keepWeekly?: number | null | undefined;
  readonly keepMonthly?: number | null | undefined;
  /** Days; older backups are removed, whatever the other rules say. */
  readonly maxAgeDays?: number | null | undefined;
}

/** A backup and its fate. */
export interface PrunedBackup {
  readonly path: string;
  readonly bytes: number;
  readonly createdAt: string | null;
  /** Why it stays or goes. */
  readonly reasons: string[];
}

/** What a policy does or would do. */
export interface BackupPrune {
  readonly removed: PrunedBackup[];
  readonly kept: PrunedBackup[];
  /** The total size of the removed backups. */
  readonly bytes: number;
}

const KEYS: ReadonlySet<string> = new Set<keyof BackupPolicy>([
  'keepLast',
  'keepDaily',
  'keepWeekly',
  'keepMonthly',
  'maxAgeDays',
]);

/** A checked policy. */
export interface CheckedBackupPolicy {
  /** The counting rules. */
  readonly counts: readonly number[];
  readonly maxAgeDays: number | null;
}

/** @throws {ValidationError} for an unknown key, an invalid value, or a policy without a rule */
export function checkBackupPolicy(policy: unknown): CheckedBackupPolicy {
  const given = checkObject(policy, 'policy', KEYS);
  const counts = countsIn(given);
  const age = given['maxAgeDays'];
  const maxAgeDays = isAbsent(age) ? null : checkNumber(age, 'maxAgeDays', 0, MAX_COUNT);
  return maxAgeDays !== null || hasCount(counts) ? { counts, maxAgeDays } : refuseEmpty(KEYS);
}

/** Why the policy does not apply to a backup; undefined if it applies. */
function untouchable({ own, databaseId, problems }: BackupEntry): string[] | undefined {
  if (databaseId !== null && !own) return ['from another database'];
  if (problems.length > 0) return problems.map((problem) => `not counted: ${problem}`);
  return own ? undefined : ['from an unknown database'];
}

/**
 * The time of each backup in milliseconds since 1970, newest first. If the numbers show that a backup dated in the
 * future was made before another one, the clock was wrong, and it gets the other one's time.
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
 * Applies a policy to the backups of a folder.
 * @param entries newest first
 * @param newestVerified the path of the newest verified backup of this database; null if none verifies
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

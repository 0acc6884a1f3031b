/**
 * What is made of the facts: for each check what was observed, and what is wrong with it. Pure, so that every state can be
 * tried. Only a catalogue that is closed, unreadable or damaged, or whose writer is dead, fails; everything else warns.
 */
import type { Case } from './case.ts';
import { dayAt } from './facts.ts';
import { checkDatabase, checkPool, checkWriter } from './liveness.ts';
import type { HealthCheckName } from './report.ts';
import { checkAudit, checkBackup, checkForeignKeys, checkIntegrity, checkRestore } from './upkeep-checks.ts';
import { exceeds, failure, found, inWords, judge, pass, percent, UNKNOWN, type Verdict, warning } from './verdict.ts';

function checkQueue({ facts: { stats }, thresholds }: Case): Verdict {
  const longest = Math.max(stats.reads.waiting, stats.writes.waiting);
  if (!exceeds(longest, thresholds.waitingCalls)) return pass(longest);
  const { reads, writes } = stats;
  const message = `${reads.waiting} reads and ${writes.waiting} writes wait for a connection`;
  return found(longest, warning('HEALTH_QUEUE_LONG', message, 'Slow the callers down, or look what holds the writer.'));
}

function checkWal({ facts, thresholds }: Case): Verdict {
  return judge(facts.files, ({ walBytes }) => {
    if (!exceeds(walBytes, thresholds.walBytes)) return pass(walBytes);
    const hint =
      'Something reads for long, in this process or another, and keeps the log from being reused: let it end.';
    return found(walBytes, warning('HEALTH_WAL_LARGE', `the write-ahead log has ${walBytes} bytes`, hint));
  });
}

function checkReaders({ facts: { stats }, thresholds }: Case): Verdict {
  const oldest = Math.round(stats.readers.longestMs);
  if (!exceeds(stats.readers.longestMs, thresholds.oldestReaderMs)) return pass(oldest);
  const message = `a reading connection has been in use for ${inWords(oldest)}`;
  return found(oldest, warning('HEALTH_READER_OLD', message, 'The log grows meanwhile: read in smaller portions.'));
}

function checkDisk({ facts, thresholds }: Case): Verdict {
  return judge(facts.freeBytes, (free) => {
    const bytes = 'value' in facts.files ? facts.files.value.databaseBytes : 0;
    if (thresholds.freeDisk === null || free >= bytes * thresholds.freeDisk) return pass(free);
    const message = `${free} bytes are free, less than ${thresholds.freeDisk} times the database (${bytes} bytes)`;
    return found(free, warning('HEALTH_DISK_LOW', message, 'Free some disk space: backups and migrations need it.'));
  });
}

function checkMigrations({ facts }: Case): Verdict {
  return judge(facts.standing, ({ pending, problem, isReadable }) => {
    if (!isReadable) {
      const hint = 'Another program took them away: restore the newest verified backup.';
      return found(pending, failure('CATALOG_CORRUPT', "the catalogue's own tables are not there", hint));
    }
    if (problem === undefined) return pass(pending);
    const { code, message, hint } = problem;
    return found(pending, warning(code, message, hint));
  });
}

function checkQuotas({ facts, thresholds }: Case): Verdict {
  return judge(facts.quotas, (clients) => {
    if (!exceeds(clients, thresholds.quotaWarnings)) return pass(clients);
    const message = `${clients} clients have reached the warning threshold of their quota`;
    return found(clients, warning('HEALTH_QUOTA_WARNING', message, 'Raise their quotas, or prune old versions.'));
  });
}

const DAY_MS = 86_400_000;
const rounded = (part: number) => Math.round(part * 10_000) / 10_000 + 0; // -0 is 0

function checkGrowth({ facts, thresholds }: Case): Verdict {
  return judge(facts.sizes, ({ before }) => {
    if (before === null || before.bytes === 0 || !('value' in facts.files)) return UNKNOWN;
    const { databaseBytes } = facts.files.value;
    // Measurements of two days may be minutes apart, which is no rate of growth.
    const days = Math.max(1, (facts.at - Date.parse(before.measuredAt)) / DAY_MS);
    const growth = rounded((databaseBytes - before.bytes) / before.bytes / days);
    const isJudged = databaseBytes > thresholds.growthFromBytes;
    if (!isJudged || !exceeds(growth, thresholds.growth)) return pass(growth);
    const message = `the database grew by ${percent(growth)} a day, from ${before.bytes} to ${databaseBytes} bytes`;
    const hint = 'Look which client stores so much (`analytics.growth`, CLI: `stats`), and whether the disk suffices.';
    return found(growth, warning('HEALTH_GROWTH', message, hint));
  });
}

function checkFreePages({ facts, thresholds }: Case): Verdict {
  return judge(facts.schema, ({ pages, freePages }) => {
    const part = pages === 0 ? 0 : rounded(freePages / pages);
    if (!exceeds(part, thresholds.freePages)) return pass(part);
    const message = `${percent(part)} of the database holds nothing`;
    return found(part, warning('HEALTH_FREE_PAGES', message, 'New rows use it; VACUUM gives it back to the disk.'));
  });
}

function checkTransfers({ facts, thresholds }: Case): Verdict {
  return judge(facts.transfers, ({ attempts, failed }) => {
    const part = attempts === 0 ? 0 : rounded(failed / attempts);
    if (!exceeds(part, thresholds.failedTransfers)) return pass(part);
    const message = `${failed} of ${attempts} transfers since ${dayAt(facts.at - DAY_MS)} failed`;
    return found(part, warning('HEALTH_TRANSFERS_FAILING', message, '`analytics.activity` tells which, and why.'));
  });
}

function checkSearch({ facts, thresholds }: Case): Verdict {
  const { failures, lastError } = facts.stats.beforeCommit;
  return judge(facts.search, ({ waiting, problem }) => {
    const issue = (message: string, hint: string) => warning('HEALTH_SEARCH_INDEX', message, hint);
    const issues = [];
    const mend = 'Results are right, and slow. `maintenance.repair` makes it anew (CLI: `doctor --fix`).';
    if (problem !== null) issues.push(issue(`the search index is of no use: ${problem}`, mend));
    if (exceeds(waiting, thresholds.searchBacklog)) {
      const hint = 'Results are right, and slower; it is worked off while the catalogue is open.';
      issues.push(issue(`the search index has not taken in ${waiting} files or more`, hint));
    }
    if (failures > 0) issues.push(issue(`keeping the search index failed ${failures} times: ${lastError}`, mend));
    return found(waiting, ...issues);
  });
}

function checkFileModes({ facts }: Case): Verdict {
  return judge(facts.files, ({ open }) => {
    if (open.length === 0) return pass('0600');
    const message = `others may read or write ${open.join(', ')}`;
    return found(open.join(', '), warning('HEALTH_FILE_MODE', message, 'chmod 600: the catalogue holds keys.'));
  });
}

/** Every check, by the name it has in the report. */
export const CHECKS: Readonly<Record<HealthCheckName, (state: Case) => Verdict>> = {
  database: checkDatabase,
  pool: checkPool,
  writer: checkWriter,
  queue: checkQueue,
  wal: checkWal,
  readers: checkReaders,
  disk: checkDisk,
  migrations: checkMigrations,
  quotas: checkQuotas,
  audit: checkAudit,
  backup: checkBackup,
  restore: checkRestore,
  integrity: checkIntegrity,
  foreignKeys: checkForeignKeys,
  growth: checkGrowth,
  freePages: checkFreePages,
  transfers: checkTransfers,
  search: checkSearch,
  fileModes: checkFileModes,
};

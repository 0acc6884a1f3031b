/** `backups`: lists the backups, verifies them, proves the newest by restoring it, removes old ones by rules. */
import { type Command, Option } from 'commander';
import type { BackupEntry, BackupPolicy, DatabaseManager, PrunedBackup } from '../../lib/index.ts';
import type { Access, CommandSpec, ExitCode } from '../command.ts';
import { FAILED, UsageError } from '../errors.ts';
import { formatBytes, formatCount, formatDate, formatDuration, formatNumberOf, printable } from '../format.ts';
import { printJson, printLine, tell } from '../output.ts';
import { table } from '../table.ts';
import { parseCount, parseWhole } from './limit.ts';

interface BackupsSettings {
  readonly verify?: boolean;
  readonly drill?: boolean;
  readonly prune?: boolean;
  readonly dryRun?: boolean;
  readonly keepLast?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly maxAgeDays?: number;
}

const RULES = {
  'keep-last': 'the newest',
  'keep-daily': 'the newest of each day, in UTC',
  'keep-weekly': 'of each week, from Monday',
  'keep-monthly': 'of each month',
};

function configure(command: Command): Command {
  command
    .option('--verify', "verify each one in full; exit code 1 when one does not, another database's left aside")
    .option('--drill', 'restore the newest one into a temporary place and check it; exit code 1 when that fails')
    .option(
      '--prune',
      'remove what no rule keeps; the newest that verifies always stays. Without rules: show what usual ones would do',
    )
    .option('--dry-run', 'with --prune: show what would go and why the rest stays, change nothing');
  for (const [rule, what] of Object.entries(RULES)) {
    const text = `with --prune: keep ${what}: so many, or 'unlimited'`;
    command.addOption(new Option(`--${rule} <n>`, text).argParser(parseCount));
  }
  const age = 'with --prune: remove what is older, whatever the other rules say';
  return command.addOption(new Option('--max-age-days <n>', age).argParser(parseWhole));
}

/** What `--prune` would keep, where no rule is given: nothing is removed by rules that nobody gave. */
const USUAL: BackupPolicy = { keepDaily: 7, keepWeekly: 4, keepMonthly: 12 };

const policyOf = (settings: BackupsSettings): BackupPolicy => {
  const { keepLast, keepDaily, keepWeekly, keepMonthly, maxAgeDays } = settings;
  return { keepLast, keepDaily, keepWeekly, keepMonthly, maxAgeDays };
};

const hasRule = (policy: BackupPolicy) => Object.values(policy).some((value) => value !== undefined);

/** What the manifest says of it does not make it another database's. */
const isForeign = ({ own, databaseId }: BackupEntry) => !own && databaseId !== null;

const verdictOn = (entry: BackupEntry, isThorough: boolean) => {
  if (entry.problems.length > 0) return entry.problems.join('; ');
  const found = isThorough ? ['sound'] : [];
  return [...found, ...(isForeign(entry) ? ['of another database'] : [])].join(', ');
};

function show(entries: readonly BackupEntry[], isThorough: boolean): void {
  const rows = entries.map((entry) => [
    formatDate(entry.createdAt),
    formatBytes(entry.bytes),
    formatCount(entry.counts?.files ?? null),
    entry.schemaVersion === null ? '-' : String(entry.schemaVersion),
    entry.reason ?? '-',
    entry.path,
    verdictOn(entry, isThorough),
  ]);
  const columns = [
    { title: 'MADE' },
    { title: 'SIZE', align: 'right' },
    { title: 'FILES', align: 'right' },
    { title: 'SCHEMA', align: 'right' },
    { title: 'REASON' },
    { title: 'PATH' },
    { title: isThorough ? 'VERDICT' : '' },
  ] as const;
  if (entries.length > 0) printLine(table(columns, rows));
  tell(formatNumberOf(entries.length, 'backup'));
}

async function list(db: DatabaseManager, json: boolean, isThorough: boolean): Promise<ExitCode> {
  const entries = await db.backups.list();
  if (isThorough) {
    for (const [place, entry] of entries.entries()) {
      entries[place] = { ...entry, problems: (await db.backups.verify(entry.path)).problems };
    }
  }
  if (json) printJson(entries);
  else show(entries, isThorough);
  const isBad = isThorough && entries.some((entry) => entry.problems.length > 0 && !isForeign(entry));
  return isBad ? FAILED : 0;
}

async function drill(db: DatabaseManager, json: boolean): Promise<ExitCode> {
  const result = await db.backups.drill();
  if (json) printJson(result);
  else {
    const { ok, path, problems, durationMs } = result;
    const verdict = ok ? 'can be restored' : `cannot be restored: ${problems.join('; ')}`;
    printLine(printable(`${path} ${verdict}; it took ${formatDuration(durationMs)}`));
  }
  return result.ok ? 0 : FAILED;
}

async function prune(db: DatabaseManager, settings: BackupsSettings, json: boolean): Promise<ExitCode> {
  const given = policyOf(settings);
  const dryRun = settings.dryRun === true || !hasRule(given);
  const result = await db.backups.prune(hasRule(given) ? given : USUAL, { dryRun });
  if (json) {
    printJson(result);
    return 0;
  }
  const row = (what: string) => (backup: PrunedBackup) => [what, backup.path, backup.reasons.join(', ')];
  const rows = [...result.removed.map(row(dryRun ? 'would go' : 'removed')), ...result.kept.map(row('kept'))];
  printLine(table([{ title: '' }, { title: 'PATH' }, { title: 'WHY' }], rows));
  tell(
    `${formatNumberOf(result.removed.length, 'backup')}, ${formatBytes(result.bytes)}${dryRun ? '; nothing was changed' : ' removed'}`,
  );
  if (!hasRule(given)) tell('these were usual rules; give your own: --keep-daily 7 --keep-weekly 4 --keep-monthly 12');
  return 0;
}

function accessOf(options: BackupsSettings): Access {
  if (options.drill) return 'record';
  return options.prune && !options.dryRun && hasRule(policyOf(options)) ? 'write' : 'read';
}

export const backups: CommandSpec<BackupsSettings> = {
  name: 'backups',
  summary: 'List the backups; verify them, prove the newest by restoring it, remove old ones by rules',
  flags: { policy: 'rules' },
  words: {
    policy: {
      received: 'no rule that keeps anything',
      accepted: `at least one of ${Object.keys(RULES)
        .map((rule) => `--${rule}`)
        .join(', ')} above 0, or --max-age-days`,
    },
  },
  example: 'backups --prune --keep-last 3 --keep-daily 7 --keep-weekly 5 --dry-run',
  configure,
  run({ options, json, withCatalog }) {
    const modes = [options.verify, options.drill, options.prune].filter(Boolean).length;
    if (modes > 1) throw new UsageError('--verify, --drill and --prune are asked for one at a time');
    if ((hasRule(policyOf(options)) || options.dryRun) && !options.prune)
      throw new UsageError('rules and --dry-run go with --prune');
    return withCatalog((db) => {
      if (options.prune) return prune(db, options, json);
      return options.drill ? drill(db, json) : list(db, json, options.verify === true);
    }, accessOf(options));
  },
};

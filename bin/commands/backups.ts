/** `backups`: lists the backups, verifies them, tests restoring the newest, removes old ones by rules. */
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
    .option('--verify', 'verify each one in full; exit code 1 if one fails, except those of other databases')
    .option('--drill', 'test that the newest can be restored, in a temporary folder; exit code 1 if it cannot')
    .option(
      '--prune',
      'remove backups that no rule keeps; the newest verified one always stays. Without rules: show what common ones would remove',
    )
    .option('--dry-run', 'with --prune: only show what would go and why the rest stays');
  for (const [rule, what] of Object.entries(RULES)) {
    const text = `with --prune: keep ${what}: a number, or 'unlimited'`;
    command.addOption(new Option(`--${rule} <n>`, text).argParser(parseCount));
  }
  const age = 'with --prune: remove older backups regardless of the other rules';
  return command.addOption(new Option('--max-age-days <n>', age).argParser(parseWhole));
}

/** The example rules of `--prune` without rules, which removes nothing. */
const USUAL: BackupPolicy = { keepDaily: 7, keepWeekly: 4, keepMonthly: 12 };

const policyOf = (settings: BackupsSettings): BackupPolicy => {
  const { keepLast, keepDaily, keepWeekly, keepMonthly, maxAgeDays } = settings;
  return { keepLast, keepDaily, keepWeekly, keepMonthly, maxAgeDays };
};

const hasRule = (policy: BackupPolicy) => Object.values(policy).some((value) => value !== undefined);

/** A backup without an identity does not count as another database's. */
const isForeign = ({ own, databaseId }: BackupEntry) => !own && databaseId !== null;

const verdictOn = (entry: BackupEntry, isThorough: boolean) => {
  if (entry.problems.length > 0) return entry.problems.join('; ');
  const found = isThorough ? ['sound'] : [];
  return [...found, ...(isForeign(entry) ? ['from another database'] : [])].join(', ');
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
  if (!hasRule(given))
    tell('these were common rules; give your own, such as --keep-daily 7 --keep-weekly 4 --keep-monthly 12');
  return 0;
}

function accessOf(options: BackupsSettings): Access {
  if (options.drill) return 'record';
  return options.prune && !options.dryRun && hasRule(policyOf(options)) ? 'write' : 'read';
}

export const backups: CommandSpec<BackupsSettings> = {
  name: 'backups',
  summary: 'List the backups; verify them, test restoring the newest, remove old ones by rules',
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
    if (modes > 1) throw new UsageError('give only one of --verify, --drill and --prune');
    if ((hasRule(policyOf(options)) || options.dryRun) && !options.prune)
      throw new UsageError('rules and --dry-run need --prune');
    return withCatalog((db) => {
      if (options.prune) return prune(db, options, json);
      return options.drill ? drill(db, json) : list(db, json, options.verify === true);
    }, accessOf(options));
  },
};

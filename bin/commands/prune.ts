/**
 * `prune`: removes the versions that a retention policy does not keep, and prints the contents that no version names
 * any more.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { DatabaseManager, PrunePlan, PruneProgress, PruneResult, RetentionPolicy } from '../../lib/index.ts';
import type { CommandSpec, ExitCode } from '../command.ts';
import { formatBytes, formatCount, formatNumberOf, printable } from '../format.ts';
import { interruptible } from '../interrupt.ts';
import { printJson, printLine, tell } from '../output.ts';
import { fields, table } from '../table.ts';
import { requireClient } from './client-by-name.ts';
import { parseCount } from './limit.ts';

interface PruneSettings {
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  readonly keepWithin?: string;
  readonly client?: string;
  readonly dryRun?: boolean;
}

const SPAN = /^(?:\d+[ymdh])+$/; // the library also accepts milliseconds, which nobody types

function parseSpan(text: string): string {
  if (SPAN.test(text)) return text;
  throw new InvalidArgumentError('Accepted: a span such as 30d or 1y5m7d2h (years, months, days, hours).');
}

const RULES = {
  last: 'the newest versions of each file',
  hourly: 'the newest version of each hour that has any',
  daily: 'of each day, in UTC',
  weekly: 'of each week, from Monday',
  monthly: 'of each month',
  yearly: 'of each year',
};

const RULE_FLAGS = [...Object.keys(RULES).map((rule) => `--keep-${rule}`), '--keep-within'].join(', ');

function addRules(command: Command): Command {
  for (const [rule, what] of Object.entries(RULES)) {
    command.addOption(new Option(`--keep-${rule} <n>`, `keep ${what}: a number, or 'unlimited'`).argParser(parseCount));
  }
  const within = "keep versions at most this much older than the file's newest, such as 30d or 1y5m7d2h";
  return command.addOption(new Option('--keep-within <span>', within).argParser(parseSpan));
}

const policyOf = (settings: PruneSettings): RetentionPolicy => {
  const { keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, keepYearly, keepWithin } = settings;
  return { keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, keepYearly, keepWithin };
};

/** What was pruned, even if it ended early. */
interface Done {
  readonly result: PruneResult;
  readonly failure: unknown;
}

// Only its own batch reports a freed content, so a later failure must not lose it.
async function pruneNow(
  db: DatabaseManager,
  policy: RetentionPolicy,
  scope: { clientId: string | undefined; signal: AbortSignal },
): Promise<Done> {
  const freed: string[] = [];
  let soFar = { versions: 0, bytes: 0 };
  try {
    const onProgress = ({ versions, bytes, paths }: PruneProgress) => {
      soFar = { versions, bytes };
      for (const path of paths) freed.push(path);
    };
    return { result: await db.versions.prune(policy, { ...scope, onProgress }), failure: undefined };
  } catch (failure) {
    return { result: { ...soFar, paths: freed.sort() }, failure };
  }
}

function showPlan({ versions, bytes, paths, kept, quotas }: PrunePlan): void {
  const reasons = new Map<string, number>();
  for (const reason of kept.flatMap((version) => version.reasons)) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const used = quotas.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  printLine(
    fields([
      ['Would go', `${formatNumberOf(versions, 'version')}, ${formatBytes(bytes)}`],
      ['Would free', formatNumberOf(paths.length, 'content')],
      ['Would stay', `${formatNumberOf(kept.length, 'version')}, ${formatBytes(used)}`],
    ]),
  );
  const rows = [...reasons].sort(([, a], [, b]) => b - a).map(([reason, count]) => [reason, formatCount(count)]);
  if (rows.length > 0) printLine(`\n${table([{ title: 'KEPT AS' }, { title: 'VERSIONS', align: 'right' }], rows)}`);
  tell('nothing was changed; --json lists every version and content');
}

function showResult({ versions, bytes, paths }: PruneResult): void {
  for (const path of paths) printLine(printable(path));
  const freed = formatNumberOf(paths.length, 'content');
  tell(`${formatNumberOf(versions, 'version')} removed, ${formatBytes(bytes)}; no version names ${freed} any more`);
}

interface Wanted {
  readonly clientId: string | undefined;
  readonly json: boolean;
}

async function planned(db: DatabaseManager, policy: RetentionPolicy, { clientId, json }: Wanted): Promise<ExitCode> {
  const plan = await db.versions.planPrune(policy, { clientId });
  if (json) printJson(plan);
  else showPlan(plan);
  return 0;
}

async function pruned(db: DatabaseManager, policy: RetentionPolicy, { clientId, json }: Wanted): Promise<ExitCode> {
  const { result: done, stoppedBy } = await interruptible((signal) => pruneNow(db, policy, { clientId, signal }));
  const { result, failure } = done;
  // A failure before the first removal, such as a refused policy, has no result.
  if (failure === undefined || stoppedBy !== undefined || result.versions > 0) (json ? printJson : showResult)(result);
  if (stoppedBy !== undefined) tell('stopped early: the counted versions were removed');
  else if (failure !== undefined) throw failure;
  return stoppedBy ?? 0;
}

export const prune: CommandSpec<PruneSettings> = {
  name: 'prune',
  summary:
    'Remove old versions by rules like those of restic forget; prints the contents that no version names any more',
  flags: { policy: 'rules', name: '--client' },
  words: {
    policy: {
      received: 'no rule that keeps anything',
      accepted: `at least one of ${RULE_FLAGS}, with a value above 0`,
    },
  },
  example: 'prune --keep-last 3 --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run',
  configure: (command) =>
    addRules(command)
      .option('--client <name>', 'only files of this client')
      .option('--dry-run', 'only show what would go and why the rest stays'),
  run: ({ options, json, withCatalog }) =>
    withCatalog(
      async (db) => {
        const policy = policyOf(options);
        const clientId = options.client === undefined ? undefined : (await requireClient(db, options.client)).id;
        const work = options.dryRun ? planned : pruned;
        return work(db, policy, { clientId, json });
      },
      options.dryRun ? 'read' : 'write',
    ),
};

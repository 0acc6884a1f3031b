/** `migrate`: brings the schema up to date, shows what that would do, or tries it on a copy. */
import type { Command } from 'commander';
import type { MigrationOutcome, MigrationPlan, MigrationProgress, OpenMigrations, Rehearsal } from '../../lib/index.ts';
import type { Call, CommandSpec } from '../command.ts';
import { UsageError } from '../errors.ts';
import { formatBytes, formatCount, formatDuration, formatNumberOf } from '../format.ts';
import { printJson, printLine, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { fields, table } from '../table.ts';

interface MigrateSettings {
  readonly to?: string;
  readonly plan?: boolean;
  readonly rehearse?: boolean;
}

/** Parses a version. @throws {UsageError} for anything else */
export function parseVersion(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`--to: got ${JSON.stringify(text)}; accepted: the number of a version, as \`status\` shows it.`);
}

/** The steps and the cost of a change, for people. */
export function describePlan(plan: MigrationPlan): string {
  if (plan.migrations.length === 0) return `The schema is at version ${plan.from}; there is nothing to do.`;
  const rows = plan.migrations.map(({ version, name, rows: touched, estimatedMs, loses }) => [
    String(version),
    name,
    formatCount(touched),
    formatDuration(estimatedMs),
    loses ?? '',
  ]);
  const steps = table(
    [
      { title: 'Version', align: 'right' },
      { title: 'Name' },
      { title: 'Rows', align: 'right' },
      { title: 'Time', align: 'right' },
      { title: plan.direction === 'down' ? 'Is lost' : '' },
    ],
    rows,
  );
  const costs = fields([
    ['From', String(plan.from)],
    ['To', String(plan.to)],
    ['Time, about', formatDuration(plan.estimatedMs)],
    ['Database', formatBytes(plan.databaseBytes)],
    ['Copy before', plan.backupBytes === 0 ? 'none' : formatBytes(plan.backupBytes)],
    ['Needed in addition', formatBytes(plan.growthBytes)],
    ['Free', formatBytes(plan.freeBytes)],
  ]);
  return `${steps}\n\n${costs}`;
}

const describeCounts = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts).map(([kind, rows]) => [kind, formatCount(rows)] as const);

function describeRehearsal(rehearsal: Rehearsal): string {
  return fields([
    ['From', String(rehearsal.from)],
    ['To', String(rehearsal.to)],
    ['Copying', formatDuration(rehearsal.copyMs)],
    ['Migrating', formatDuration(rehearsal.migrationMs)],
    ['Size before', formatBytes(rehearsal.bytesBefore)],
    ['Size after', formatBytes(rehearsal.bytesAfter)],
    ['Log at most', formatBytes(rehearsal.peakWalBytes)],
    ['Problems', rehearsal.problems.length === 0 ? 'none' : rehearsal.problems.join('; ')],
    ...describeCounts(rehearsal.counts),
  ]);
}

/** The result of a change, for people. */
export function describeOutcome(outcome: MigrationOutcome): string {
  if (outcome.migrations.length === 0) return `The schema is at version ${outcome.from}; there was nothing to do.`;
  const took = outcome.migrations.reduce((sum, { durationMs }) => sum + durationMs, 0);
  return fields([
    ['From', String(outcome.from)],
    ['To', String(outcome.to)],
    ['Ran', `${formatNumberOf(outcome.migrations.length, 'migration')} in ${formatDuration(took)}`],
    ['Old state in', outcome.backup ?? 'none: the file was new'],
    ...describeCounts(outcome.counts),
  ]);
}

const labelOf = ({ version, name, step }: MigrationProgress) =>
  step === 'statements' ? `${version} ${name}` : `${version} ${name}: ${step.replace(/^.*\./, '')}`;

/** Changes the schema and shows the progress. */
export function changeSchema<Result>(
  { logger }: Call,
  change: (onProgress: (progress: MigrationProgress) => void) => Promise<Result>,
): Promise<Result> {
  let last = '';
  return withProgress(
    {
      shown: (progress) => {
        const { done, total } = progress;
        return { done, total, words: `${labelOf(progress)}  ${formatCount(done)} of ${formatCount(total)}` };
      },
      // Log one line for each step, not for each batch of rows.
      logged: (progress) => {
        const label = labelOf(progress);
        if (label !== last) logger.info({ ...progress }, 'migrating');
        last = label;
      },
    },
    change,
  );
}

/** @throws {UsageError} for a version above this release's newest or below the present one */
async function checkVersion(migrations: OpenMigrations, to: number): Promise<void> {
  const { current, latest } = await migrations.status();
  if (to > latest) throw new UsageError(`--to: got ${to}, but the newest version of this release is ${latest}`);
  if (to < current) {
    throw new UsageError(`--to: got ${to}, but the schema is at version ${current}; \`rollback --to ${to}\` goes down`);
  }
}

async function run(call: Call<MigrateSettings>, migrations: OpenMigrations, to: number | undefined): Promise<void> {
  const { json, options } = call;
  if (to !== undefined) await checkVersion(migrations, to);
  if (options.plan) {
    const plan = await migrations.plan({ to });
    if (json) printJson(plan);
    else printLine(describePlan(plan));
    return;
  }
  if (options.rehearse) {
    const rehearsal = await changeSchema(call, (onProgress) => migrations.rehearse({ to, onProgress }));
    if (json) printJson(rehearsal);
    else printLine(describeRehearsal(rehearsal));
    return;
  }
  const outcome = await changeSchema(call, (onProgress) => migrations.up({ to, onProgress }));
  if (json) printJson(outcome);
  else printLine(describeOutcome(outcome));
  if (outcome.backup !== null) tell('You can remove the copy once everything works.');
}

export const migrate: CommandSpec<MigrateSettings> = {
  name: 'migrate',
  summary: 'Bring the schema of the database up to date, after making a verified copy',
  example: 'migrate --rehearse',
  configure: (command: Command) =>
    command
      .option('--to <version>', 'the target version (default: the newest)')
      .option('--plan', 'only show the steps, how long they take and the disk space they need')
      .option('--rehearse', 'run and measure it on a copy, without changing the database'),
  async run(call) {
    const { to, plan, rehearse } = call.options;
    if (plan && rehearse) throw new UsageError('give either --plan or --rehearse, not both');
    const version = to === undefined ? undefined : parseVersion(to);
    const access = plan || rehearse ? 'read' : 'create';
    await call.withMigrations((migrations) => run(call, migrations, version), access);
    return 0;
  },
};

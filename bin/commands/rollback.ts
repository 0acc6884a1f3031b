/** `rollback`: undoes migrations after making a verified copy, and first says what the older schema cannot hold. */
import type { MigrationPlan, OpenMigrations } from '../../lib/index.ts';
import type { Call, CommandSpec } from '../command.ts';
import { mayGoOn } from '../confirm.ts';
import { UsageError } from '../errors.ts';
import { printable } from '../format.ts';
import { printJson, printLine, tell } from '../output.ts';
import { changeSchema, describeOutcome, describePlan, parseVersion } from './migrate.ts';

interface RollbackSettings {
  readonly to?: string;
  readonly plan?: boolean;
  readonly yes?: boolean;
}

function tellLosses({ migrations }: MigrationPlan): void {
  for (const { version, name, loses } of migrations) {
    if (loses !== null) tell(`Without version ${version} (${name}) the schema cannot hold: ${loses}.`);
  }
}

const question = (database: string, { from, to }: MigrationPlan) =>
  `All servers must be stopped. Roll back the schema of ${printable(database)} from version ${from} to ${to}?`;

/** @throws {UsageError} for a version above the present one */
async function checkVersion(migrations: OpenMigrations, to: number): Promise<void> {
  const { current, latest } = await migrations.status();
  if (to <= current) return;
  const received = `--to: got ${to}, but the schema is at version ${current}`;
  if (to <= latest) throw new UsageError(`${received}; \`migrate --to ${to}\` goes up`);
  throw new UsageError(`${received}; accepted: a version below that`);
}

async function run(call: Call<RollbackSettings>, migrations: OpenMigrations, to: number): Promise<void> {
  const { options, json, database } = call;
  await checkVersion(migrations, to);
  const plan = await migrations.plan({ to });
  if (options.plan) {
    if (json) printJson(plan);
    else printLine(describePlan(plan));
    return;
  }
  tellLosses(plan);
  const asked = { command: 'rollback', text: question(database, plan) };
  if (plan.migrations.length > 0 && !(await mayGoOn(options.yes, asked))) return;
  const outcome = await changeSchema(call, (onProgress) => migrations.down({ to, onProgress }));
  if (json) printJson(outcome);
  else printLine(describeOutcome(outcome));
}

export const rollback: CommandSpec<RollbackSettings> = {
  name: 'rollback',
  summary:
    'Take the schema back to an older version, after a verified copy. Stop every server first. Asks on a terminal; elsewhere it needs --yes',
  example: 'rollback --to 5 --plan',
  configure: (command) =>
    command
      .option('--to <version>', 'the target version')
      .option('--plan', 'only show what would happen, and what the older schema cannot hold')
      .option('--yes', 'do not ask; needed where there is no terminal'),
  async run(call) {
    const { to, plan } = call.options;
    if (to === undefined)
      throw new UsageError('--to VERSION is required: the version to go back to, as `status` shows them');
    const version = parseVersion(to);
    const access = plan ? 'read' : 'write';
    await call.withMigrations((migrations) => run(call, migrations, version), access);
    return 0;
  },
};

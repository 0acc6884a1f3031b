/** `rollback`: takes migrations back, after a verified copy was made, and says first what the older schema cannot hold. */
import type { MigrationPlan, OpenMigrations } from '../../lib/index.ts';
import type { Call, CommandSpec } from '../command.ts';
import { canAsk, confirmed } from '../confirm.ts';
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
    if (loses !== null) tell(`Version ${version} (${name}) had a place for this, the older schema has none: ${loses}.`);
  }
}

const question = (database: string, { from, to }: MigrationPlan) =>
  `Every server must be stopped. Take the schema of ${printable(database)} from version ${from} back to ${to}?`;

/** Whether it may begin: where nobody can be asked, the command itself is the answer. */
async function mayBegin({ options, database }: Call<RollbackSettings>, plan: MigrationPlan): Promise<boolean> {
  const isDue = plan.migrations.length > 0;
  return options.yes || !isDue || !canAsk() || (await confirmed(question(database, plan)));
}

async function run(call: Call<RollbackSettings>, migrations: OpenMigrations, to: number): Promise<void> {
  const { options, json } = call;
  const { current } = await migrations.status();
  if (to > current) throw new UsageError(`version ${to} is newer than ${current}: use \`migrate --to ${to}\``);
  const plan = await migrations.plan({ to });
  if (options.plan) {
    if (json) printJson(plan);
    else printLine(describePlan(plan));
    return;
  }
  tellLosses(plan);
  if (!(await mayBegin(call, plan))) {
    tell('nothing was changed');
    return;
  }
  const outcome = await changeSchema(call, (onProgress) => migrations.down({ to, onProgress }));
  if (json) printJson(outcome);
  else printLine(describeOutcome(outcome));
}

export const rollback: CommandSpec<RollbackSettings> = {
  name: 'rollback',
  summary:
    'Take the schema back to an older version. Stop every server first. A verified copy is made before; on a terminal it asks, elsewhere it goes on',
  example: 'rollback --to 5 --plan',
  configure: (command) =>
    command
      .option('--to <version>', 'the version to end at')
      .option('--plan', 'only tell what would be done, and what the older schema cannot hold')
      .option('--yes', 'do not ask, also on a terminal'),
  async run(call) {
    const { to, plan } = call.options;
    if (to === undefined) throw new UsageError('--to: the version to go back to is needed.');
    const version = parseVersion(to);
    const access = plan ? 'read' : 'write';
    await call.withMigrations((migrations) => run(call, migrations, version), access);
    return 0;
  },
};

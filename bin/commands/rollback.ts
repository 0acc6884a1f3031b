/** `rollback`: takes migrations back, after a verified copy was made, and says what the older schema cannot hold. */
import type { CommandSpec } from '../command.ts';
import { UsageError } from '../errors.ts';
import { printJson, printLine, tell } from '../output.ts';
import { describeOutcome, describePlan, parseVersion, withProgress } from './migrate.ts';

interface RollbackSettings {
  readonly to?: string;
  readonly plan?: boolean;
}

export const rollback: CommandSpec<RollbackSettings> = {
  name: 'rollback',
  summary: 'Take the schema back to an older version; a verified copy is made first',
  example: 'rollback --to 5 --plan',
  configure: (command) =>
    command
      .option('--to <version>', 'the version to end at')
      .option('--plan', 'only tell what would be done, and what the older schema cannot hold'),
  async run(call) {
    const { options, json } = call;
    if (options.to === undefined) throw new UsageError('--to: the version to go back to is needed.');
    const to = parseVersion(options.to);
    return call.withMigrations(async (migrations) => {
      const plan = await migrations.plan({ to });
      if (options.plan) {
        if (json) printJson(plan);
        else printLine(describePlan(plan));
        return 0;
      }
      for (const { version, name, loses } of plan.migrations) {
        if (loses !== null)
          tell(`Version ${version} (${name}) had a place for this, the older schema has none: ${loses}.`);
      }
      const outcome = await withProgress(call, (onProgress) => migrations.down({ to, onProgress }));
      if (json) printJson(outcome);
      else printLine(describeOutcome(outcome));
      return 0;
    });
  },
};

/** `check`: checks the whole file while it is in use; the exit code says whether it is sound. */
import type { DatabaseManager, IntegrityProgress, IntegrityReport } from '../../lib/index.ts';
import type { Call, CommandSpec } from '../command.ts';
import { FAILED } from '../errors.ts';
import { formatCount, formatDuration } from '../format.ts';
import { type Interruptible, unlessStopped } from '../interrupt.ts';
import { printJson, printLine, styled, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { fields } from '../table.ts';

interface CheckSettings {
  readonly full?: boolean;
}

function describe({ ok, problems, foreignKeyViolations, full, durationMs }: IntegrityReport): string {
  const facts = fields([
    ['File', ok ? 'sound' : 'damaged'],
    ['Checked', full ? 'completely' : 'every page, every index against its table, every foreign key'],
    ['Took', formatDuration(durationMs)],
    ['Rows that reference a missing row', formatCount(foreignKeyViolations)],
  ]);
  return [facts, ...problems.map((problem) => `${styled('red', 'fail:')} ${problem}`)].join('\n');
}

function advise({ ok, foreignKeyViolations }: IntegrityReport): void {
  if (!ok)
    tell('Stop writing, keep the file unchanged and restore the newest verified backup (`backup-catalog restore`).');
  if (foreignKeyViolations) tell('`backup-catalog doctor --fix` moves rows aside that reference a missing row.');
}

/** Runs the check; undefined if a signal stopped it. */
const check = (db: DatabaseManager, { options, logger }: Call<CheckSettings>) =>
  withProgress<IntegrityProgress, Interruptible<IntegrityReport | undefined>>(
    {
      shown: ({ step, done, total }) => ({ done, total, words: `${done} of ${total}  ${step}` }),
      logged: (progress) => logger.debug({ ...progress }, 'checking'),
    },
    (onProgress) =>
      unlessStopped((signal) => db.maintenance.checkIntegrity({ full: options.full === true, onProgress, signal })),
  );

export const checkCommand: CommandSpec<CheckSettings> = {
  name: 'check',
  summary: 'Check the whole file, even while it is in use; exit code 1 if it is damaged',
  example: 'check',
  configure: (command) => command.option('--full', "run SQLite's complete check, which takes about ten times as long"),
  run: (call) =>
    call.withCatalog(async (db) => {
      const { result: report, stoppedBy } = await check(db, call);
      if (report === undefined) {
        tell('stopped before the check had a result');
        return stoppedBy ?? FAILED;
      }
      if (call.json) printJson(report);
      else printLine(describe(report));
      if (!call.json) advise(report);
      return report.ok ? 0 : FAILED;
    }, 'record'),
};

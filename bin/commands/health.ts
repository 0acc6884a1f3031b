/** `health`: whether the catalogue is well; the exit code says it to monitoring. */
import { DatabaseError, type HealthCheck, healthCheck } from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { FAILED } from '../errors.ts';
import { formatCount } from '../format.ts';
import { printJson, printLine, styled } from '../output.ts';
import { fields } from '../table.ts';

interface HealthSettings {
  readonly full?: boolean;
}

const COLOURS = { pass: 'green', warn: 'yellow', fail: 'red' } as const;

const yesOrNo = (value: boolean) => (value ? 'yes' : 'no');

function describe(report: HealthCheck): string {
  const size = report.databaseSizeMb;
  const facts = fields([
    ['Status', report.status],
    ['Database healthy', yesOrNo(report.databaseHealthy)],
    ['Connections healthy', yesOrNo(report.connectionPoolOk)],
    ['Size', size === null ? '-' : `${formatCount(size)} MiB`],
    ['Clients', formatCount(report.totalClients)],
    ['Files', formatCount(report.totalFiles)],
  ]);
  const issues = report.issues.map(
    ({ severity, message, hint }) => `${styled(COLOURS[severity], `${severity}:`)} ${message}. ${hint}`,
  );
  return [facts, ...issues].join('\n');
}

/** Monitoring gets its report also of a catalogue that cannot be opened. */
const unopened = ({ code, message, hint }: DatabaseError): HealthCheck => ({
  status: 'fail',
  databaseHealthy: false,
  connectionPoolOk: false,
  databaseSizeMb: null,
  totalClients: null,
  totalFiles: null,
  issues: [{ code, severity: 'fail', message, hint }],
});

export const health: CommandSpec<HealthSettings> = {
  name: 'health',
  summary: 'Check whether the catalogue is well; exit code 1 when it is not',
  example: 'health --full',
  configure: (command) => command.option('--full', 'check the whole file as well: seconds to minutes on a large one'),
  async run({ options, json, withCatalog }) {
    try {
      return await withCatalog(async (db) => {
        const report = await healthCheck(db, { full: options.full === true });
        if (json) printJson(report);
        else printLine(describe(report));
        return report.status === 'fail' ? FAILED : 0;
      });
    } catch (error) {
      if (json && error instanceof DatabaseError) printJson(unopened(error));
      throw error;
    }
  },
};

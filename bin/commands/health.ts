/** `health`: whether the catalogue is well; the exit code says it to monitoring. */
import {
  DatabaseError,
  type DatabaseManager,
  type HealthCheck,
  type HealthCheckResult,
  type HealthIssue,
  type HealthReport,
  healthCheck,
} from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { FAILED } from '../errors.ts';
import { formatBytes, formatCount, formatDuration, formatPart, withReadableSizes } from '../format.ts';
import { printJson, printLine, styled } from '../output.ts';
import { fields, table } from '../table.ts';
import { typedHint } from '../typed-names.ts';

interface HealthSettings {
  readonly full?: boolean;
}

const COLOURS = { warn: 'yellow', fail: 'red' } as const;

const yesOrNo = (value: boolean) => (value ? 'yes' : 'no');

/** An issue in words, with what to do about it here. */
export const adviceOn = ({ message, hint }: HealthIssue): string =>
  `${withReadableSizes(message)}. ${typedHint(hint, new Map())}`;

/** A figure as people read it. */
function observed({ observedValue: value, observedUnit: unit }: HealthCheckResult): string {
  if (typeof value !== 'number') return value ?? '-';
  if (unit === 'bytes') return formatBytes(value);
  if (unit === 'ms') return formatDuration(value);
  return unit === 'part' ? formatPart(value) : `${formatCount(value)} ${unit}`;
}

function describe(short: HealthCheck, { checks, issues }: HealthReport): string {
  const size = short.databaseSizeMb;
  const facts = fields([
    ['Status', short.status],
    ['Database healthy', yesOrNo(short.databaseHealthy)],
    ['Connections healthy', yesOrNo(short.connectionPoolOk)],
    ['Size', size === null ? '-' : `${formatCount(size)} MiB`],
    ['Clients', formatCount(short.totalClients)],
    ['Files', formatCount(short.totalFiles)],
  ]);
  const rows = Object.entries(checks).map(([name, check]) => [name, check.status, observed(check)]);
  const looked = table([{ title: 'CHECK' }, { title: 'STATUS' }, { title: 'OBSERVED' }], rows);
  const told = issues.map((issue) => `${styled(COLOURS[issue.severity], `${issue.severity}:`)} ${adviceOn(issue)}`);
  return [facts, '', looked, ...(told.length > 0 ? ['', ...told] : [])].join('\n');
}

/** One look, told at length and in short. */
async function examine(db: DatabaseManager, full: boolean) {
  const report = await db.health({ full });
  const short = await healthCheck({ health: async () => report, clients: db.clients, files: db.files });
  return { report, short };
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
        const { report, short } = await examine(db, options.full === true);
        if (json) printJson(short);
        else printLine(describe(short, report));
        return report.status === 'fail' ? FAILED : 0;
      }, 'record');
    } catch (error) {
      if (json && error instanceof DatabaseError) printJson(unopened(error));
      throw error;
    }
  },
};

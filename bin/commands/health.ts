/** `health`: reports whether the catalogue is healthy; monitoring can use the exit code. */
import {
  DatabaseError,
  type DatabaseManager,
  type HealthCheck,
  type HealthCheckResult,
  type HealthIssue,
  type HealthReport,
  healthCheck,
} from '../../lib/index.ts';
import type { Access, CommandSpec } from '../command.ts';
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

/** The message of an issue, with its hint for the command line. */
export const adviceOn = ({ message, hint }: HealthIssue): string =>
  `${withReadableSizes(message)}. ${typedHint(hint, new Map())}`;

/** A figure for people. */
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

const SECOND_NAME = 'HEALTH_SECOND_NAME';

/** An open catalogue only warns of a second name. Here it fails: no server can open the file for writing any more. */
function withFailure(report: HealthReport): HealthReport {
  if (!report.issues.some(({ code }) => code === SECOND_NAME)) return report;
  const issues = report.issues.map((issue) =>
    issue.code === SECOND_NAME ? { ...issue, severity: 'fail' as const } : issue,
  );
  const database = { ...report.checks.database, status: 'fail' as const };
  issues.sort((a, b) => Number(b.severity === 'fail') - Number(a.severity === 'fail'));
  return { ...report, status: 'fail', checks: { ...report.checks, database }, issues };
}

/** One examination: the full report, and the short one made of it. */
async function examine(db: DatabaseManager, full: boolean) {
  const report = withFailure(await db.health({ full }));
  const short = await healthCheck({ health: async () => report, clients: db.clients, files: db.files });
  return { report, short };
}

/** What `--json` prints: the short report with the single checks. */
interface PrintedHealth extends HealthCheck {
  readonly checks: Readonly<Partial<HealthReport['checks']>>;
}

/** The report for monitoring when the catalogue cannot be opened. */
const unopened = ({ code, message, hint }: DatabaseError): PrintedHealth => ({
  status: 'fail',
  databaseHealthy: false,
  connectionPoolOk: false,
  databaseSizeMb: null,
  totalClients: null,
  totalFiles: null,
  checks: {},
  issues: [{ code, severity: 'fail', message, hint: typedHint(hint, new Map()) }],
});

const isRefused = (error: unknown) => error instanceof DatabaseError && error.code === 'CATALOG_IO';

export const health: CommandSpec<HealthSettings> = {
  name: 'health',
  summary: 'Check whether the catalogue is healthy; exit code 1 if it is not',
  example: 'health --full',
  configure: (command) =>
    command.option('--full', 'also check the whole file, which takes seconds to minutes if it is large'),
  async run({ options, json, withCatalog }) {
    const examineAs = (access: Access) =>
      withCatalog(async (db) => {
        const { report, short } = await examine(db, options.full === true);
        if (json) printJson({ ...short, checks: report.checks } satisfies PrintedHealth);
        else printLine(describe(short, report));
        return report.status === 'fail' ? FAILED : 0;
      }, access);
    try {
      // A file with a second name cannot be opened for writing, but it can be read and reported on.
      return await examineAs('record').catch((error) => (isRefused(error) ? examineAs('read') : Promise.reject(error)));
    } catch (error) {
      if (json && error instanceof DatabaseError) printJson(unopened(error));
      throw error;
    }
  },
};

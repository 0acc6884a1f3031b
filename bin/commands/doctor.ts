/** `doctor`: finds and explains what is wrong with a catalogue, and repairs it on request. */
import type { AdoptionReport, DatabaseManager, HealthReport, RepairCounts, SchemaVerdict } from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { FAILED } from '../errors.ts';
import { formatDate, formatNumberOf } from '../format.ts';
import { printJson, printLine, styled, tell } from '../output.ts';
import { adviceOn } from './health.ts';

interface DoctorSettings {
  readonly fix?: boolean;
}

/** All findings about a catalogue. */
interface Findings {
  readonly schema: SchemaVerdict;
  readonly health: HealthReport;
  readonly repair: RepairCounts;
  readonly fixed: boolean;
}

/** The meaning of each count, singular and plural. */
const WORDS: Readonly<Record<keyof RepairCounts, readonly [one: string, many: string]>> = {
  orphanFiles: ['file belongs to a client that does not exist', 'files belong to clients that do not exist'],
  orphanVersions: ['version belongs to a file that does not exist', 'versions belong to files that do not exist'],
  orphanQuotas: ['quota belongs to a client that does not exist', 'quotas belong to clients that do not exist'],
  orphanActivity: ['activity of a client that does not exist', 'activities of clients that do not exist'],
  orphanTotals: ['total belongs to a missing client or file', 'totals belong to missing clients or files'],
  newIds: ['row has no id', 'rows have no id'],
  splitTransfers: ['row is the second part of a split transfer', 'rows are second parts of split transfers'],
  files: ['file was written by an old server', 'files were written by an old server'],
  versions: ['version is missing for such a file', 'versions are missing for such files'],
  datesToUtc: ['date is in local time or in another form', 'dates are in local time or in another form'],
  unreadableDates: ['date cannot be read', 'dates cannot be read'],
  oddValues: ['value is out of bounds', 'values are out of bounds'],
  missingVersions: ['file names a version that is gone', 'files name versions that are gone'],
  versionNumbers: ['file has a wrong version number', 'files have wrong version numbers'],
  activeVersions: ['version is wrongly marked as current or old', 'versions are wrongly marked as current or old'],
  changedFiles: ['file differs from its current version', 'files differ from their current versions'],
  quotasGiven: ['client has no quota', 'clients have no quota'],
  quotasCounted: [
    'quota records a use that differs from what is stored',
    'quotas record uses that differ from what is stored',
  ],
  totals: ['total differs from the files', 'totals differ from the files'],
  expiredReservations: ['reservation has expired', 'reservations have expired'],
  searchIndexes: ['search index is unreliable', 'search indexes are unreliable'],
  missingIndexRows: ['file is missing from the search index', 'files are missing from the search index'],
  staleIndexRows: ['entry of the search index belongs to no file', 'entries of the search index belong to no file'],
};

/** Normal conditions that end without a repair. */
const NOTES: Readonly<Partial<Record<string, string>>> = { expiredReservations: 'The next reservation removes them.' };

const isFault = ([kind, rows]: readonly [string, number]) => rows > 0 && NOTES[kind] === undefined;

const isSound = ({ schema, health, repair, fixed }: Findings) =>
  schema.ok && health.status !== 'fail' && (fixed || !Object.entries(repair).some(isFault));

function describeAdoption({ adoptedAt, timeZone, counts }: AdoptionReport): string[] {
  const kinds = Object.entries(counts).map(([kind, rows]) => `${kind} ${rows}`);
  return [`Adopted ${formatDate(adoptedAt)}, dates without a zone read as ${timeZone}: ${kinds.join(', ')}.`];
}

function describe(findings: Findings): string {
  const { schema, health, repair, fixed } = findings;
  const problems = schema.problems.map((problem) => `${styled('red', 'schema:')} ${problem}.`);
  const issues = health.issues.map((issue) => `${issue.severity}: ${adviceOn(issue)}`);
  const rows = Object.entries(repair)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => {
      const [one, many] = WORDS[kind as keyof RepairCounts] ?? [kind, kind];
      const text = `${formatNumberOf(count, one, many)}.`;
      if (fixed) return `${styled('green', 'repaired:')} ${text}`;
      const note = NOTES[kind];
      return note === undefined ? `${styled('yellow', 'found:')} ${text}` : `note: ${text} ${note}`;
    });
  const found = [...problems, ...issues, ...rows];
  return [...schema.adoptions.flatMap(describeAdoption), ...(found.length === 0 ? ['Nothing is wrong.'] : found)].join(
    '\n',
  );
}

async function examine(db: DatabaseManager, fix: boolean): Promise<Findings> {
  const repair = await db.maintenance.repair({ dryRun: !fix });
  // After the repair, so that repaired problems are not reported.
  const health = await db.health({ full: true });
  return { schema: await db.migrations.verify(), health, repair, fixed: fix };
}

export const doctor: CommandSpec<DoctorSettings> = {
  name: 'doctor',
  summary: 'Find what is wrong with the catalogue, and repair it with --fix; exit code 1 if problems remain',
  example: 'doctor --fix',
  configure: (command) => command.option('--fix', 'repair what can be repaired, after making a verified copy'),
  run: ({ options, json, withCatalog }) =>
    withCatalog(async (db) => {
      const findings = await examine(db, options.fix === true);
      if (json) printJson(findings);
      else printLine(describe(findings));
      if (isSound(findings)) return 0;
      if (!findings.fixed) tell('`backup-catalog doctor --fix` repairs rows; nothing was changed.');
      return FAILED;
    }, 'write'), // even without --fix: a dry run repairs and rolls back
};

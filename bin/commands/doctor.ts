/** `doctor`: finds what is wrong with a catalogue, says it in words, and repairs it on request. */
import type { AdoptionReport, DatabaseManager, HealthReport, RepairCounts, SchemaVerdict } from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { FAILED } from '../errors.ts';
import { formatDate, formatNumberOf } from '../format.ts';
import { printJson, printLine, styled, tell } from '../output.ts';
import { adviceOn } from './health.ts';

interface DoctorSettings {
  readonly fix?: boolean;
}

/** Everything a look at the catalogue found. */
interface Findings {
  readonly schema: SchemaVerdict;
  readonly health: HealthReport;
  readonly repair: RepairCounts;
  readonly fixed: boolean;
}

/** What each count means, for one and for many. */
const WORDS: Readonly<Record<keyof RepairCounts, readonly [one: string, many: string]>> = {
  orphanFiles: ['file belongs to a client that does not exist', 'files belong to clients that do not exist'],
  orphanVersions: ['version belongs to a file that does not exist', 'versions belong to files that do not exist'],
  orphanQuotas: ['quota belongs to a client that does not exist', 'quotas belong to clients that do not exist'],
  orphanActivity: ['activity of a client that does not exist', 'activities of clients that do not exist'],
  orphanTotals: ['total belongs to nothing that exists', 'totals belong to nothing that exists'],
  newIds: ['row has no id', 'rows have no id'],
  splitTransfers: ['row is the second part of a split transfer', 'rows are second parts of split transfers'],
  files: ['file was written by an old server', 'files were written by an old server'],
  versions: ['version has to be made for it', 'versions have to be made for them'],
  datesToUtc: ['date is in local time or in another form', 'dates are in local time or in another form'],
  unreadableDates: ['date cannot be read', 'dates cannot be read'],
  oddValues: ['value is out of bounds', 'values are out of bounds'],
  missingVersions: ['file names a version that is gone', 'files name versions that are gone'],
  versionNumbers: ['file has a wrong version number', 'files have wrong version numbers'],
  activeVersions: ['version is wrongly marked', 'versions are wrongly marked'],
  changedFiles: ['file was changed past its version', 'files were changed past their versions'],
  quotasGiven: ['client has no quota', 'clients have no quota'],
  quotasCounted: ['quota counts another use than is stored', 'quotas count another use than is stored'],
  totals: ['total differs from the files', 'totals differ from the files'],
  expiredReservations: ['reservation has expired', 'reservations have expired'],
  searchIndexes: ['search index cannot be relied on', 'search indexes cannot be relied on'],
  missingIndexRows: ['file is missing from the search index', 'files are missing from the search index'],
  staleIndexRows: ['entry of the search index names no file', 'entries of the search index name no file'],
};

/** What is nobody's fault, and goes by itself. */
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
  // Afterwards: what was repaired is no issue any more.
  const health = await db.health({ full: true });
  return { schema: await db.migrations.verify(), health, repair, fixed: fix };
}

export const doctor: CommandSpec<DoctorSettings> = {
  name: 'doctor',
  summary: 'Find what is wrong with the catalogue, and repair it with --fix; exit code 1 when something is left',
  example: 'doctor --fix',
  configure: (command) => command.option('--fix', 'repair what can be repaired; a verified copy is made first'),
  run: ({ options, json, withCatalog }) =>
    withCatalog(async (db) => {
      const findings = await examine(db, options.fix === true);
      if (json) printJson(findings);
      else printLine(describe(findings));
      if (isSound(findings)) return 0;
      if (!findings.fixed) tell('`backup-catalog doctor --fix` repairs rows; nothing was changed.');
      return FAILED;
    }, 'write'), // also without --fix: what would be repaired is found out by doing it, and rolled back
};

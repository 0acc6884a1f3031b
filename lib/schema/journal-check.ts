/**
 * Checks whether a file's journal fits a release. It knows the migrations by their checksums only, so that threads can
 * check a file without loading them.
 */
import { DatabaseError } from '../errors.ts';
import { LIBRARY_VERSION } from '../runtime/version.ts';

/** A row of the journal. */
export interface JournalRow {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  readonly appliedAt: string;
  readonly appliedBy: string;
  readonly safeVersion: string | null;
}

/** What kind of file it is, judged by its schema. */
export interface SchemaState {
  /** Tables, without SQLite's internal ones. */
  readonly tables: readonly string[];
  readonly journal: readonly JournalRow[];
}

/** The checksums of a release's migrations, indexed by version. */
export type KnownChecksums = readonly string[];

/** Whether the file has tables but no journal of this library. */
export const lacksJournal = ({ tables, journal }: SchemaState): boolean =>
  journal.length === 0 && tables.some((table) => table !== 'catalog_migrations');

const failed = (message: string, hint: string) => new DatabaseError('CATALOG_MIGRATION_FAILED', message, { hint });

const SCHEMA_VERSION = /^\d+$/;
const RELEASE = /^\d+\.\d+\.\d+$/;

const isAtLeast = (release: string, other: string) =>
  release.localeCompare(other, 'en', { numeric: true, sensitivity: 'base' }) >= 0;

/** Whether a newer migration still allows this release to use the file: by the oldest schema or release that may. */
function allowsUs(safeVersion: string | null, known: KnownChecksums): boolean {
  if (safeVersion === null) return false;
  if (SCHEMA_VERSION.test(safeVersion)) return Number(safeVersion) < known.length;
  return RELEASE.test(safeVersion) && isAtLeast(LIBRARY_VERSION, safeVersion);
}

function unknownVersion({ version, name, safeVersion }: JournalRow, known: KnownChecksums): DatabaseError | undefined {
  if (allowsUs(safeVersion, known)) return undefined;
  return new DatabaseError(
    'CATALOG_SCHEMA_NEWER',
    `the file has migration ${version} (${name}), which this release does not know`,
  );
}

function changedChecksum({ version, name, checksum }: JournalRow, known: KnownChecksums): DatabaseError | undefined {
  if (known[version] === undefined || known[version] === checksum) return undefined;
  return failed(
    `migration ${version} (${name}) was applied with different text`,
    'Use the release that applied it, or a later one.',
  );
}

/** Checks only this release's migrations; a newer release may number its own differently. */
function gap(journal: readonly JournalRow[], known: KnownChecksums): DatabaseError | undefined {
  const applied = new Set(journal.map(({ version }) => version));
  const newest = journal.at(-1)?.version ?? -1;
  const missing = known.findIndex((_, version) => version < newest && !applied.has(version));
  if (missing === -1) return undefined;
  return failed(
    `the journal lacks migration ${missing} but has later ones`,
    'Somebody changed its rows: restore an earlier backup, or put the row back.',
  );
}

/** All problems of a journal. */
export function journalProblems(journal: readonly JournalRow[], known: KnownChecksums): DatabaseError[] {
  const rows = journal.map((row) =>
    known[row.version] === undefined ? unknownVersion(row, known) : changedChecksum(row, known),
  );
  return [...rows, gap(journal, known)].filter((problem) => problem !== undefined);
}

/**
 * Refuses a file whose journal does not fit this release.
 * @throws {DatabaseError} CATALOG_SCHEMA_NEWER for unknown versions that do not allow this release,
 *   CATALOG_MIGRATION_FAILED if the text of an applied migration has changed, or one is missing
 */
export function assertFits(journal: readonly JournalRow[], known: KnownChecksums): void {
  const problems = journalProblems(journal, known);
  const newer = problems.find(({ code }) => code === 'CATALOG_SCHEMA_NEWER');
  const [worst] = newer === undefined ? problems : [newer];
  if (worst !== undefined) throw worst;
}

/**
 * Refuses to roll back a schema while it has migrations that only a newer release knows.
 * @throws {DatabaseError} CATALOG_SCHEMA_NEWER
 */
export function assertAllKnown(journal: readonly JournalRow[], known: KnownChecksums): void {
  const unknown = journal.find(({ version }) => known[version] === undefined);
  if (unknown === undefined) return;
  const message = `the file has migration ${unknown.version} (${unknown.name}), which this release does not know: roll it back first`;
  throw new DatabaseError('CATALOG_SCHEMA_NEWER', message, { hint: 'Use the release that applied it.' });
}

/**
 * Refuses files that are not evidently this library's: an empty file passes, a file of an old server does not.
 * @throws {DatabaseError} CATALOG_FOREIGN_DATABASE for tables without our journal; what {@link assertFits} throws
 */
export function assertOurs(state: SchemaState, known: KnownChecksums): void {
  if (lacksJournal(state)) {
    throw new DatabaseError('CATALOG_FOREIGN_DATABASE', 'the file has tables but no journal of this library');
  }
  assertFits(state.journal, known);
}

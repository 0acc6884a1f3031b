/**
 * Whether a file's journal fits a release. Knows the release's migrations only by their checksums, so that every thread can
 * check a file without loading what the migrations do.
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

/** What a file is, seen from its schema. */
export interface SchemaState {
  /** Tables that are not SQLite's own. */
  readonly tables: readonly string[];
  readonly journal: readonly JournalRow[];
}

/** The checksums of a release's migrations; their versions are their places. */
export type KnownChecksums = readonly string[];

/** Whether the file has tables that no journal of ours accounts for. */
export const lacksJournal = ({ tables, journal }: SchemaState): boolean =>
  journal.length === 0 && tables.some((table) => table !== 'catalog_migrations');

const failed = (message: string, hint: string) => new DatabaseError('CATALOG_MIGRATION_FAILED', message, { hint });

const SCHEMA_VERSION = /^\d+$/;
const RELEASE = /^\d+\.\d+\.\d+$/;

const isAtLeast = (release: string, other: string) =>
  release.localeCompare(other, 'en', { numeric: true, sensitivity: 'base' }) >= 0;

/** Whether a migration that this release does not know lets it go on: by the oldest schema, or release, that still may. */
function allowsUs(safeVersion: string | null, known: KnownChecksums): boolean {
  if (safeVersion === null) return false;
  if (SCHEMA_VERSION.test(safeVersion)) return Number(safeVersion) < known.length;
  return RELEASE.test(safeVersion) && isAtLeast(LIBRARY_VERSION, safeVersion);
}

function unknownVersion({ version, name, safeVersion }: JournalRow, known: KnownChecksums): DatabaseError | undefined {
  if (allowsUs(safeVersion, known)) return undefined;
  return new DatabaseError('CATALOG_SCHEMA_NEWER', `the file has migration ${version} (${name}), unknown here`);
}

function changedChecksum({ version, name, checksum }: JournalRow, known: KnownChecksums): DatabaseError | undefined {
  if (known[version] === undefined || known[version] === checksum) return undefined;
  return failed(
    `migration ${version} (${name}) was applied with other text`,
    'Use the release that applied it, or one that was published after.',
  );
}

/** Of this release's own migrations; how a newer one numbers its own is not for this one to judge. */
function gap(journal: readonly JournalRow[], known: KnownChecksums): DatabaseError | undefined {
  const applied = new Set(journal.map(({ version }) => version));
  const newest = journal.at(-1)?.version ?? -1;
  const missing = known.findIndex((_, version) => version < newest && !applied.has(version));
  if (missing === -1) return undefined;
  return failed(
    `the journal lacks migration ${missing}, though later ones are in it`,
    'Its rows were changed by hand: restore a backup made before that, or put the row back.',
  );
}

/** Everything that is wrong with a journal. */
export function journalProblems(journal: readonly JournalRow[], known: KnownChecksums): DatabaseError[] {
  const rows = journal.map((row) =>
    known[row.version] === undefined ? unknownVersion(row, known) : changedChecksum(row, known),
  );
  return [...rows, gap(journal, known)].filter((problem) => problem !== undefined);
}

/**
 * Refuses a file whose journal does not fit this release.
 * @throws {DatabaseError} CATALOG_SCHEMA_NEWER for versions this release does not know and that do not allow it,
 *   CATALOG_MIGRATION_FAILED when an applied migration's text has changed since, or one is missing
 */
export function assertFits(journal: readonly JournalRow[], known: KnownChecksums): void {
  const problems = journalProblems(journal, known);
  const newer = problems.find(({ code }) => code === 'CATALOG_SCHEMA_NEWER');
  const [worst] = newer === undefined ? problems : [newer];
  if (worst !== undefined) throw worst;
}

/**
 * Refuses to take a schema back from under migrations that only a newer release knows.
 * @throws {DatabaseError} CATALOG_SCHEMA_NEWER
 */
export function assertAllKnown(journal: readonly JournalRow[], known: KnownChecksums): void {
  const unknown = journal.find(({ version }) => known[version] === undefined);
  if (unknown === undefined) return;
  const message = `the file has migration ${unknown.version} (${unknown.name}), unknown here: it has to be taken back first`;
  throw new DatabaseError('CATALOG_SCHEMA_NEWER', message, { hint: 'Use the release that applied it.' });
}

/**
 * Refuses whatever is not evidently this library's: an empty file passes, one of an old server does not.
 * @throws {DatabaseError} CATALOG_FOREIGN_DATABASE for tables without our journal; what {@link assertFits} throws
 */
export function assertOurs(state: SchemaState, known: KnownChecksums): void {
  if (lacksJournal(state)) {
    throw new DatabaseError('CATALOG_FOREIGN_DATABASE', 'the file holds tables, but no journal of this library');
  }
  assertFits(state.journal, known);
}

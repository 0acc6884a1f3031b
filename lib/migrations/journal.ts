/** What a file's journal tells: how its schema stands to this release, and whether it may be touched at all. */
import { DatabaseError } from '../errors.ts';
import { checksumOf } from './migration.ts';
import { LATEST_VERSION, MIGRATIONS } from './migration-list.ts';

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

/** A version that waits to be applied. */
export interface PendingMigration {
  readonly version: number;
  readonly name: string;
}

/** A version that was applied, and when. */
export interface AppliedMigration extends PendingMigration {
  readonly appliedAt: string;
}

/** How a file's schema stands to this release. */
export interface MigrationStatus {
  /** The newest version applied; -1 for a file without a schema. */
  readonly current: number;
  /** The newest version this release knows. */
  readonly latest: number;
  readonly pending: PendingMigration[];
  readonly applied: AppliedMigration[];
}

/** The status that a journal tells. */
export function statusOf(journal: readonly JournalRow[]): MigrationStatus {
  const current = journal.at(-1)?.version ?? -1;
  return {
    current,
    latest: LATEST_VERSION,
    pending: MIGRATIONS.filter(({ version }) => version > current).map(({ version, name }) => ({ version, name })),
    applied: journal.map(({ version, name, appliedAt }) => ({ version, name, appliedAt })),
  };
}

/** Whether the file has tables that no journal of ours tells of. */
const lacksJournal = ({ tables, journal }: SchemaState): boolean =>
  journal.length === 0 && tables.some((table) => table !== 'catalog_migrations');

/** How the journal names whoever applied a base migration to a file that an old server had made. */
export const ADOPTED = 'adopted';

const ADOPTION = MIGRATIONS.findIndex(({ name }) => name === 'adoption');

/** Whether an old server made the file and its rows have not been adopted yet. */
export function isLegacy(state: SchemaState): boolean {
  const { journal } = state;
  if (journal.length === 0) return lacksJournal(state);
  return journal[0]?.appliedBy.startsWith(ADOPTED) === true && !journal.some(({ version }) => version >= ADOPTION);
}

const failed = (message: string, hint: string) => new DatabaseError('CATALOG_MIGRATION_FAILED', message, { hint });

function unknownVersion({ version, name, safeVersion }: JournalRow): DatabaseError | undefined {
  if (safeVersion !== null && Number(safeVersion) <= LATEST_VERSION) return undefined;
  return new DatabaseError('CATALOG_SCHEMA_NEWER', `the file has migration ${version} (${name}), unknown here`);
}

function changedChecksum({ version, name, checksum }: JournalRow): DatabaseError | undefined {
  const known = MIGRATIONS[version];
  if (known === undefined || checksumOf(known) === checksum) return undefined;
  return failed(
    `migration ${version} (${name}) was applied with other text`,
    'Use the release that applied it, or one that was published after.',
  );
}

function gap(journal: readonly JournalRow[]): DatabaseError | undefined {
  const position = journal.findIndex(({ version }, expected) => version !== expected);
  if (position === -1) return undefined;
  return failed(
    `the journal lacks migration ${position}, though later ones are in it`,
    'Its rows were changed by hand: restore a backup made before that, or put the row back.',
  );
}

/** Everything that is wrong with a journal. */
export function journalProblems(journal: readonly JournalRow[]): DatabaseError[] {
  const rows = journal.map((row) =>
    MIGRATIONS[row.version] === undefined ? unknownVersion(row) : changedChecksum(row),
  );
  return [...rows, gap(journal)].filter((problem) => problem !== undefined);
}

/**
 * Refuses a file whose journal does not fit this release.
 * @throws {DatabaseError} CATALOG_SCHEMA_NEWER for versions this release does not know and that do not allow it,
 *   CATALOG_MIGRATION_FAILED when an applied migration's text has changed since, or one is missing
 */
export function assertFits(journal: readonly JournalRow[]): void {
  const problems = journalProblems(journal);
  const newer = problems.find(({ code }) => code === 'CATALOG_SCHEMA_NEWER');
  const [worst] = newer === undefined ? problems : [newer];
  if (worst !== undefined) throw worst;
}

/**
 * Refuses whatever is not evidently this library's: an empty file passes, one of an old server does not.
 * @throws {DatabaseError} CATALOG_FOREIGN_DATABASE for tables without our journal; what {@link assertFits} throws
 */
export function assertOurs(state: SchemaState): void {
  if (lacksJournal(state)) {
    throw new DatabaseError('CATALOG_FOREIGN_DATABASE', 'the file holds tables, but no journal of this library');
  }
  assertFits(state.journal);
}

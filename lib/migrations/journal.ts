/** Compares a file's schema with this release, by its journal. */
import type { ReleaseSchema } from '../backup/checker.ts';
import { DatabaseError } from '../errors.ts';
import {
  type JournalRow,
  journalProblems,
  type KnownChecksums,
  lacksJournal,
  type SchemaState,
} from '../schema/journal-check.ts';
import { checksumOf } from '../schema/migration.ts';
import { ownTables } from '../schema/own-objects.ts';
import { objectsAfter } from '../schema/schema-objects.ts';
import { LATEST_VERSION, MIGRATIONS } from './migration-list.ts';
import { CREATE_JOURNAL } from './migration-procedures.ts';
import type { OwnSchema } from './schema-state.ts';

/** The checksums of this release's migrations. */
export const KNOWN: KnownChecksums = MIGRATIONS.map(checksumOf);

/** What this release knows about its own files. */
export const OWN_SCHEMA: OwnSchema = {
  checksums: KNOWN,
  tables: ownTables(['CREATE TABLE catalog_migrations', ...MIGRATIONS.flatMap(({ up }) => up)]),
};

/** The schema that this release creates in a new file. */
export const RELEASE_SCHEMA: ReleaseSchema = {
  statements: [CREATE_JOURNAL, ...MIGRATIONS.flatMap(({ up }) => up)],
  checksums: KNOWN,
};

/** The columns of each table of this release. */
export const ownColumns = (): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries([...objectsAfter(MIGRATIONS).tables].map(([table, columns]) => [table, [...columns]]));

/** The triggers of this release. */
export const ownTriggers = (): readonly string[] => [...objectsAfter(MIGRATIONS).triggers];

/** A version that is not applied yet. */
export interface PendingMigration {
  readonly version: number;
  readonly name: string;
}

/** An applied version, with its time. */
export interface AppliedMigration extends PendingMigration {
  readonly appliedAt: string;
}

/** The state of a file's schema, compared with this release. */
export interface MigrationStatus {
  /** The newest applied version; -1 for a file without a schema. */
  readonly current: number;
  /** The newest version that this release knows. */
  readonly latest: number;
  readonly pending: PendingMigration[];
  readonly applied: AppliedMigration[];
}

/** The status according to a journal. */
export function statusOf(journal: readonly JournalRow[]): MigrationStatus {
  const current = journal.at(-1)?.version ?? -1;
  return {
    current,
    latest: LATEST_VERSION,
    pending: MIGRATIONS.filter(({ version }) => version > current).map(({ version, name }) => ({ version, name })),
    applied: journal.map(({ version, name, appliedAt }) => ({ version, name, appliedAt })),
  };
}

/** The state of an open catalogue's schema. */
export interface Standing {
  /** Migrations of this release that are not applied. */
  readonly pending: number;
  /** Why statements of this release may fail on it; undefined if they cannot. */
  readonly problem: DatabaseError | undefined;
  /** Whether the tables exist without which nothing in the catalogue can be read. */
  readonly isReadable: boolean;
}

/** The schema was up to date when the catalogue was opened, so somebody has changed it since. */
function movedTo({ current, latest, pending }: MigrationStatus): DatabaseError {
  const message = `the schema is at version ${current} of ${latest} and ${pending.length} migrations were rolled back`;
  const hint = `It was rolled back to version ${current} while it was open: close the catalogue and open it again.`;
  return new DatabaseError('CATALOG_MIGRATION_PENDING', message, { hint });
}

/** The state of an open catalogue's schema. */
export function standingOf({ tables, journal }: SchemaState): Standing {
  const status = statusOf(journal);
  const newer = journalProblems(journal, KNOWN).find(({ code }) => code === 'CATALOG_SCHEMA_NEWER');
  return {
    pending: status.pending.length,
    problem: status.pending.length > 0 ? movedTo(status) : newer,
    isReadable: ['clients', 'files'].every((table) => tables.includes(table)),
  };
}

/** How the journal names whoever applied a base migration to a file of an old server. */
export const ADOPTED = 'adopted';

const ADOPTION = MIGRATIONS.findIndex(({ name }) => name === 'adoption');

/**
 * Whether the file is from an old server and not adopted yet. A file that was adopted and rolled back keeps the report
 * of its adoption, because what its clients got then is theirs.
 */
export function isLegacy(state: SchemaState): boolean {
  const { journal, tables } = state;
  if (journal.length === 0) return lacksJournal(state);
  const wasAdopted = tables.includes('catalog_reports') || journal.some(({ version }) => version >= ADOPTION);
  return journal[0]?.appliedBy.startsWith(ADOPTED) === true && !wasAdopted;
}

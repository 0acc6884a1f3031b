/**
 * Brings a file to the schema of this release. All pending migrations run in one write transaction, which is the lock
 * as well: of several starters one migrates, the others wait and find nothing to do, and a killed one leaves nothing.
 * umzug orders the steps; it is loaded only when there are any, because most opens have none.
 */
import { hostname, userInfo } from 'node:os';
import { DatabaseError } from '../errors.ts';
import type { Engine, Executor } from '../sql/engine.ts';
import { LIBRARY_VERSION } from '../version.ts';
import { checksumOf, orderedName } from './migration.ts';
import { LATEST_VERSION, MIGRATIONS } from './migration-list.ts';
import { applyMigration, isApplied, type JournalRow, type SchemaState, schemaState } from './migration-procedures.ts';

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

const appliedBy = () => {
  try {
    return `${userInfo().username}@${hostname()} (process ${process.pid})`;
  } catch {
    return `process ${process.pid}`; // the user id has no name, as in many containers
  }
};

/** The status that a journal tells. */
export function statusOf(journal: readonly JournalRow[]): MigrationStatus {
  const done = new Set(journal.map(({ version }) => version));
  return {
    current: journal.at(-1)?.version ?? -1,
    latest: LATEST_VERSION,
    pending: MIGRATIONS.filter(({ version }) => !done.has(version)).map(({ version, name }) => ({ version, name })),
    applied: journal.map(({ version, name, appliedAt }) => ({ version, name, appliedAt })),
  };
}

/**
 * Refuses what must not be touched.
 * @throws {DatabaseError} CATALOG_FOREIGN_DATABASE for tables without our journal, CATALOG_SCHEMA_NEWER for versions
 *   this release does not know, CATALOG_MIGRATION_FAILED when an applied migration's text has changed since
 */
export function assertOurs({ tables, journal }: SchemaState): void {
  if (journal.length === 0 && tables.length > 0) {
    throw new DatabaseError('CATALOG_FOREIGN_DATABASE', 'the file holds tables, but no journal of this library');
  }
  for (const { version, name, checksum, safeVersion } of journal) {
    const known = MIGRATIONS[version];
    if (known === undefined) {
      if (safeVersion !== null && Number(safeVersion) <= LATEST_VERSION) continue;
      throw new DatabaseError('CATALOG_SCHEMA_NEWER', `the file has migration ${version} (${name}), unknown here`);
    }
    if (checksumOf(known) !== checksum) {
      throw new DatabaseError(
        'CATALOG_MIGRATION_FAILED',
        `migration ${version} (${name}) was applied with other text`,
        {
          hint: 'Use the release that applied it, or one that was published after.',
        },
      );
    }
  }
}

/** What the schema of an open engine's file is. */
export const readSchema = (executor: Executor): Promise<SchemaState> => executor.run(schemaState, null);

/**
 * Applies every pending migration.
 * @throws {DatabaseError} CATALOG_MIGRATION_FAILED when one fails; the file is as it was before then
 */
export async function migrateUp(engine: Engine): Promise<AppliedMigration[]> {
  const { Umzug } = await import('umzug');
  return engine.lend(
    'write',
    async (connection) => {
      // Read again: another starter may have migrated while this one waited for the lock.
      const before = await readSchema(connection);
      assertOurs(before);
      const umzug = new Umzug<Executor>({
        migrations: MIGRATIONS.map((migration) => ({
          name: orderedName(migration),
          up: () => apply(connection, migration.version, 'up'),
          down: () => apply(connection, migration.version, 'down'),
        })),
        context: connection,
        storage: journalStorage(connection),
        logger: undefined,
      });
      await umzug.up().catch((error: unknown) => {
        throw migrationError(error);
      });
      const { journal } = await readSchema(connection);
      return statusOf(journal).applied.slice(before.journal.length);
    },
    { deadlineMs: Number.POSITIVE_INFINITY, foreignKeys: false },
  );
}

const apply = (connection: Executor, version: number, direction: 'up' | 'down') =>
  connection.run(applyMigration, { version, direction, appliedBy: appliedBy(), libraryVersion: LIBRARY_VERSION });

/** umzug's view of our journal: it reads there, and what it would write is written already and only verified. */
function journalStorage(connection: Executor) {
  const verify = async (name: string, wanted: boolean) => {
    const found = await connection.run(isApplied, Number.parseInt(name, 10));
    if (found !== wanted) throw new DatabaseError('CATALOG_MIGRATION_FAILED', `${name} left the journal as it was`);
  };
  return {
    executed: async () => (await readSchema(connection)).journal.map(orderedName),
    logMigration: ({ name }: { name: string }) => verify(name, true),
    unlogMigration: ({ name }: { name: string }) => verify(name, false),
  };
}

function migrationError(error: unknown): DatabaseError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const message = error instanceof Error ? error.message : String(error);
  return new DatabaseError('CATALOG_MIGRATION_FAILED', message, { cause });
}

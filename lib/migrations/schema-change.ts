/**
 * Migrates a file to another schema version, up or down: lock, order, copy and checks. All migrations run in one write
 * transaction, which is also the lock: if several processes start, one migrates and the others wait and then find
 * nothing to do, and a killed one leaves no changes. A verified copy is made first, and the checks compare the file
 * before and after.
 */

import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { backupPath } from '../backup/paths.ts';
import { databaseBytes, removeDeadPartials, takeSnapshot } from '../backup/snapshot.ts';
import { DatabaseError, ValidationError } from '../errors.ts';
import type { MigrationProgress } from '../options/types.ts';
import { assertRoom, type FreeBytes, freeBytes } from '../runtime/disk-space.ts';
import { reasonOf } from '../runtime/thrown.ts';
import { ZONE_ASSUMED } from '../runtime/time-zone.ts';
import { assertDeclared } from '../schema/dangerous-operations.ts';
import { assertAllKnown, assertFits, type SchemaState } from '../schema/journal-check.ts';
import { type Direction, type Migration, orderedName, type WorkContext } from '../schema/migration.ts';
import type { CallOptions, Engine, Executor } from '../sql/engine.ts';
import { describe } from '../validation.ts';
import { HOUR_MS } from '../values/intervals.ts';
import { type Estimate, estimate, REFERENCE_PROBE_MS, speedProbe } from './estimate.ts';
import { isLegacy, KNOWN, statusOf } from './journal.ts';
import { LATEST_VERSION, MIGRATIONS } from './migration-list.ts';
import { tableRows } from './migration-procedures.ts';
import { MigrationRun, type RanMigration, umzugOver } from './migration-run.ts';
import { schemaState } from './schema-state.ts';
import { assertNoneAdded, type Findings, findingsBefore } from './schema-validation.ts';

/** The rules for running migrations on a file. */
export interface MigrationRules {
  readonly backupDir: string;
  readonly migrationBackup: boolean;
  readonly migrationValidation: boolean;
  readonly blockDangerousOperations: boolean;
  readonly legacyTimeZone: string;
  /** Whether nobody named that zone: reading dates in it deserves a warning. */
  readonly assumesZone?: boolean;
  readonly defaultQuotaBytes: number | null;
}

/** The file and the tools of a migrator. */
export interface MigratorHost {
  readonly engine: Engine;
  readonly database: string;
  readonly rules: MigrationRules;
  readonly logger: Logger;
  /** Opens an engine on a copy, for rehearsals. */
  readonly openCopy: (path: string) => Promise<Engine>;
  readonly free?: FreeBytes | undefined;
}

/** The target version and the listeners. */
export interface ChangeOptions extends CallOptions {
  /** The target version. Default: the newest, going up. */
  readonly to?: number | undefined;
  readonly onProgress?: ((progress: MigrationProgress) => void) | undefined;
}

/** The result of a schema change. */
export interface MigrationOutcome {
  readonly from: number;
  readonly to: number;
  /** In the order they ran. */
  readonly migrations: readonly RanMigration[];
  /** The verified copy of the previous file; null if nothing was changed or the file was new. */
  readonly backup: string | null;
  /** Counts of affected rows, by kind. */
  readonly counts: Readonly<Record<string, number>>;
}

/** The plan of a schema change. */
export interface MigrationPlan extends Estimate {
  readonly from: number;
  readonly to: number;
  readonly direction: Direction;
  readonly databaseBytes: number;
  /** The size of the copy made first, in bytes; 0 if none is made. */
  readonly backupBytes: number;
  /** Free bytes on the disk of the database. */
  readonly freeBytes: number;
}

const LOCK_WAIT_MS = HOUR_MS; // another process may need this long to migrate a large file
const LOCK_PAUSE_MS = 50;
const TOLD_EVERY_MS = 5_000; // between lines in the log during a migration
const COST_TABLES = ['clients', 'files', 'file_versions', 'client_activity'];

/** Codes that are more specific than a failed migration. */
const TELLING = new Set(['CATALOG_DANGEROUS_OPERATION', 'CATALOG_FULL', 'CATALOG_FOREIGN_DATABASE', 'CATALOG_CORRUPT']);

function migrationError(error: unknown): unknown {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (cause instanceof DatabaseError && TELLING.has(cause.code)) return cause;
  if (cause instanceof Error && cause.name === 'AbortError') return cause;
  return new DatabaseError('CATALOG_MIGRATION_FAILED', reasonOf(error), { cause });
}

/** @throws {ValidationError} for a version out of bounds */
export function checkVersion(value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  const accepted = min > max ? 'nothing: there is no older version' : `a version from ${min} to ${max}`;
  throw new ValidationError({ field: 'to', received: describe(value), accepted });
}

/** The migrations between two versions, in the order they run. */
function chosen(direction: Direction, current: number, to: number): Migration[] {
  const between = MIGRATIONS.filter(
    ({ version }) => version > Math.min(current, to) && version <= Math.max(current, to),
  );
  return direction === 'up' ? between : between.reverse();
}

/** Changes the schema of one file. */
export class SchemaChange {
  readonly #host: MigratorHost;

  constructor(host: MigratorHost) {
    this.#host = host;
  }

  /** Plans a change to a version, for a file in this state; the duration is only right if it `probes` the machine. */
  async plan(
    executor: Executor,
    state: SchemaState,
    to: number,
    { probes = true, signal }: { readonly probes?: boolean } & CallOptions = {},
  ): Promise<MigrationPlan> {
    const { database, rules, free = freeBytes } = this.#host;
    const { current: from } = statusOf(state.journal);
    const direction = to < from ? 'down' : 'up';
    const bytes = await databaseBytes(database);
    const backup = rules.migrationBackup && state.tables.length > 0 && from !== to;
    const measured = {
      rows: await executor.run(tableRows, COST_TABLES, { signal }),
      databaseBytes: bytes,
      probeMs: probes ? await executor.run(speedProbe, null, { signal }) : REFERENCE_PROBE_MS,
      backup,
      validation: rules.migrationValidation && state.tables.length > 0 && from !== to,
    };
    return {
      from,
      to,
      direction,
      ...estimate(chosen(direction, from, to), direction, measured),
      databaseBytes: bytes,
      backupBytes: backup ? bytes : 0,
      freeBytes: await free(dirname(database)),
    };
  }

  /**
   * Migrates up or down to a version, under the lock.
   * @throws {DatabaseError} as `up` of the migrator; the file is unchanged then
   */
  async change(direction: Direction, to: number, options: ChangeOptions): Promise<MigrationOutcome> {
    const { engine } = this.#host;
    const deadline = Date.now() + LOCK_WAIT_MS;
    for (;;) {
      try {
        const suspendForeignKeys = engine.supports.suspendedForeignKeys;
        const use = { deadlineMs: Number.POSITIVE_INFINITY, suspendForeignKeys, signal: options.signal };
        return await engine.transaction('write', (connection) => this.#locked(connection, direction, to, options), use);
      } catch (error) {
        // Another process migrates; its lock ends when it succeeds, fails or dies.
        const isBusy = error instanceof DatabaseError && error.code === 'CATALOG_BUSY';
        if (!isBusy || Date.now() > deadline) throw error;
        await pause(LOCK_PAUSE_MS); // if a signal fires meanwhile, the next attempt throws its reason
      }
    }
  }

  async #locked(
    connection: Executor,
    direction: Direction,
    wanted: number,
    options: ChangeOptions,
  ): Promise<MigrationOutcome> {
    // Read again: another process may have migrated while this one waited for the lock.
    const state = await connection.run(schemaState, null);
    assertFits(state.journal, KNOWN);
    const { current: from } = statusOf(state.journal);
    const to = direction === 'up' ? checkVersion(wanted, 0, LATEST_VERSION) : checkVersion(wanted, 0, from);
    if (direction === 'down' && to < from) assertAllKnown(state.journal, KNOWN);
    const migrations = direction === 'up' && to <= from ? [] : chosen(direction, from, to);
    if (migrations.length === 0) return { from, to: from, migrations: [], backup: null, counts: {} };
    this.#assertHarmless(migrations, direction);
    const isNew = state.tables.length === 0;
    const before = isNew ? null : await this.#before(connection);
    const backup = isNew ? null : await this.#backup(connection, state, from, to);
    const run = await this.#run(connection, direction, migrations, isLegacy(state), options);
    if (before !== null) await assertNoneAdded(connection, before);
    return { from, to, migrations: run.ran, backup, counts: run.counts };
  }

  #assertHarmless(migrations: readonly Migration[], direction: Direction): void {
    if (!this.#host.rules.blockDangerousOperations) return;
    for (const migration of migrations) {
      const name = `${migration.version} (${migration.name})`;
      for (const text of migration[direction]) assertDeclared(name, text, migration.declares?.[direction]);
    }
  }

  async #before(connection: Executor): Promise<Findings | null> {
    if (!this.#host.rules.migrationValidation) return null;
    const found = await findingsBefore(connection);
    const rows = Object.fromEntries(found);
    if (found.size > 0) this.#host.logger.warn({ rows }, 'rows refer to missing rows, before the migration');
    return found;
  }

  /** Checks that everything fits on the disk, then copies the unchanged file. */
  async #backup(connection: Executor, state: SchemaState, from: number, to: number): Promise<string | null> {
    const { database, rules, logger, free = freeBytes } = this.#host;
    const { growthBytes, backupBytes } = await this.plan(connection, state, to, { probes: false });
    const isTogether = (await deviceOf(rules.backupDir)) === (await deviceOf(database));
    await assertRoom(dirname(database), growthBytes + (isTogether ? backupBytes : 0), 'the migration', free);
    await removeDeadPartials(rules.backupDir);
    if (!rules.migrationBackup) return null;
    const path = backupPath(database, rules.backupDir, `before-${from === -1 ? 'adoption' : `${from}-to-${to}`}`);
    const { bytes } = await takeSnapshot(database, path, { free, reason: `before migration ${from} to ${to}` });
    logger.info({ backup: path, bytes }, 'copied the database before migrating it');
    return path;
  }

  async #run(
    connection: Executor,
    direction: Direction,
    migrations: readonly Migration[],
    legacy: boolean,
    { onProgress, signal }: ChangeOptions,
  ): Promise<MigrationRun> {
    const { rules } = this.#host;
    const context: WorkContext = {
      timeZone: rules.legacyTimeZone,
      defaultQuotaBytes: rules.defaultQuotaBytes,
      legacy,
    };
    const tell = this.#logging(onProgress);
    const run = new MigrationRun(connection, {
      context,
      block: rules.blockDangerousOperations,
      onProgress: tell,
      signal,
    });
    const umzug = await umzugOver((migration, way) => run.apply(migration, way), connection);
    const last = migrations.at(-1);
    if (last === undefined) return run;
    await umzug[direction]({ to: orderedName(last) }).catch((error: unknown) => {
      throw migrationError(error);
    });
    this.#warnOfZone(run);
    return run;
  }

  #warnOfZone({ counts }: MigrationRun): void {
    const { rules, logger } = this.#host;
    const { datesToUtc = 0 } = counts;
    if (rules.assumesZone !== true || datesToUtc === 0) return;
    logger.warn({ dates: datesToUtc, TZ: process.env['TZ'] }, ZONE_ASSUMED);
  }

  #logging(onProgress: ChangeOptions['onProgress']): (progress: MigrationProgress) => void {
    let toldAt = 0;
    return (progress) => {
      onProgress?.(progress);
      if (progress.elapsedMs - toldAt < TOLD_EVERY_MS) return;
      toldAt = progress.elapsedMs;
      this.#host.logger.info({ ...progress }, 'migrating');
    };
  }
}

/** The file system of a path, or of its nearest existing parent folder. */
async function deviceOf(path: string): Promise<number> {
  try {
    return (await stat(path)).dev;
  } catch (error) {
    if (dirname(path) === path) throw error;
    return deviceOf(dirname(path));
  }
}

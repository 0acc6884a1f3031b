/** `db.migrations`: how the schema of a file stands, what a change of it would do, and the way there and back. */
import type { Umzug } from 'umzug';
import type { Direction, Migration } from '../schema/migration.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkCallOptions, checkObject, checkSignal, refuse } from '../validation.ts';
import { type MigrationStatus, statusOf } from './journal.ts';
import { LATEST_VERSION } from './migration-list.ts';
import { umzugOver } from './migration-run.ts';
import { type Rehearsal, rehearse } from './rehearsal.ts';
import {
  type ChangeOptions,
  checkVersion,
  type MigrationOutcome,
  type MigrationPlan,
  type MigratorHost,
  SchemaChange,
} from './schema-change.ts';
import { schemaState } from './schema-state.ts';
import { type SchemaVerdict, verifySchema } from './verification.ts';

const PLAN_KEYS = new Set(['to', 'signal']);
const CHANGE_KEYS = new Set(['to', 'onProgress', 'signal']);

function checkChange(options: ChangeOptions): ChangeOptions {
  const { to, onProgress, signal } = checkObject(options, 'options', CHANGE_KEYS) as ChangeOptions;
  if (onProgress !== undefined && typeof onProgress !== 'function') refuse('onProgress', onProgress, 'a function');
  return { to, onProgress, signal: checkSignal(signal) };
}

/** Runs migrations on one file. */
export class Migrator {
  readonly #host: MigratorHost;
  readonly #schema: SchemaChange;

  constructor(host: MigratorHost) {
    this.#host = host;
    this.#schema = new SchemaChange(host);
  }

  /** How the file's schema stands to this release. */
  async status(options?: CallOptions): Promise<MigrationStatus> {
    return statusOf((await this.#host.engine.run(schemaState, null, checkCallOptions(options))).journal);
  }

  /** Whether journal and schema are what this release made of them, and what adoption did. */
  async verify(options?: CallOptions): Promise<SchemaVerdict> {
    return verifySchema(this.#host.engine, checkCallOptions(options));
  }

  /**
   * What `up` would do, or `down` when `to` is older than the file.
   * @throws {ValidationError} for a version that there is not
   */
  async plan(options: { readonly to?: number | undefined } & CallOptions = {}): Promise<MigrationPlan> {
    const { to, signal: given } = checkObject(options, 'options', PLAN_KEYS);
    const { engine } = this.#host;
    const wanted = to === undefined ? undefined : checkVersion(to, 0, LATEST_VERSION);
    const signal = checkSignal(given);
    const state = await engine.run(schemaState, null, { signal });
    // `up` leaves a file with newer migrations as it is.
    const version = wanted ?? Math.max(LATEST_VERSION, statusOf(state.journal).current);
    return this.#schema.plan(engine, state, version, { signal });
  }

  /**
   * Runs what `up` would on a verified copy, and measures it; the file itself is only read.
   * @throws as {@link up}
   */
  async rehearse(options: ChangeOptions = {}): Promise<Rehearsal> {
    return rehearse(this.#host, checkChange(options));
  }

  /**
   * Applies pending migrations, to `to` or to the newest version.
   * @throws {DatabaseError} CATALOG_MIGRATION_FAILED when one fails, CATALOG_DANGEROUS_OPERATION, CATALOG_FULL,
   *   CATALOG_BUSY; the file is as it was before then
   */
  async up(options: ChangeOptions = {}): Promise<MigrationOutcome> {
    const checked = checkChange(options);
    return this.#schema.change('up', checkVersion(checked.to ?? LATEST_VERSION, 0, LATEST_VERSION), checked);
  }

  /** Takes migrations back, so that `to` is the newest. @throws as {@link up} */
  async down(options: ChangeOptions & { readonly to: number }): Promise<MigrationOutcome> {
    const checked = checkChange(options);
    return this.#schema.change('down', checkVersion(checked.to, 0, LATEST_VERSION), checked);
  }

  /**
   * The migrations as an instance of umzug, such as for its own command line: each runs in a transaction of its own, with
   * the same lock, copy and checks.
   */
  async umzug(): Promise<Umzug<Executor>> {
    const single = async ({ version }: Migration, direction: Direction): Promise<void> => {
      await this.#schema.change(direction, direction === 'up' ? version : version - 1, {});
    };
    return umzugOver(single, this.#host.engine);
  }
}

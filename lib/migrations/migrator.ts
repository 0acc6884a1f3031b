/** `db.migrations`: the state of a file's schema, plans for changing it, and migrations up and down. */
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

  /** The state of the file's schema, compared with this release. */
  async status(options?: CallOptions): Promise<MigrationStatus> {
    return statusOf((await this.#host.engine.run(schemaState, null, checkCallOptions(options))).journal);
  }

  /** Checks that journal and schema match this release, and reports what adoption did. */
  async verify(options?: CallOptions): Promise<SchemaVerdict> {
    return verifySchema(this.#host.engine, checkCallOptions(options));
  }

  /**
   * Plans `up`, or `down` if `to` is older than the file.
   * @throws {ValidationError} for an unknown version
   */
  async plan(options: { readonly to?: number | undefined } & CallOptions = {}): Promise<MigrationPlan> {
    const { to, signal: given } = checkObject(options, 'options', PLAN_KEYS);
    const { engine } = this.#host;
    const wanted = to === undefined ? undefined : checkVersion(to, 0, LATEST_VERSION);
    const signal = checkSignal(given);
    const state = await engine.run(schemaState, null, { signal });
    // `up` leaves a file with newer migrations unchanged.
    const version = wanted ?? Math.max(LATEST_VERSION, statusOf(state.journal).current);
    return this.#schema.plan(engine, state, version, { signal });
  }

  /**
   * Runs `up` on a verified copy and measures it; the file itself is only read.
   * @throws as {@link up}
   */
  async rehearse(options: ChangeOptions = {}): Promise<Rehearsal> {
    return rehearse(this.#host, checkChange(options));
  }

  /**
   * Applies pending migrations up to `to`, by default up to the newest version.
   * @throws {DatabaseError} CATALOG_MIGRATION_FAILED if one fails, CATALOG_DANGEROUS_OPERATION, CATALOG_FULL,
   *   CATALOG_BUSY; the file is unchanged then
   */
  async up(options: ChangeOptions = {}): Promise<MigrationOutcome> {
    const checked = checkChange(options);
    return this.#schema.change('up', checkVersion(checked.to ?? LATEST_VERSION, 0, LATEST_VERSION), checked);
  }

  /** Rolls migrations back until `to` is the newest. @throws as {@link up} */
  async down(options: ChangeOptions & { readonly to: number }): Promise<MigrationOutcome> {
    const checked = checkChange(options);
    return this.#schema.change('down', checkVersion(checked.to, 0, LATEST_VERSION), checked);
  }

  /**
   * The migrations as an instance of umzug, for example for its command line: each runs in its own transaction, with
   * the same lock, copy and checks.
   */
  async umzug(): Promise<Umzug<Executor>> {
    const single = async ({ version }: Migration, direction: Direction): Promise<void> => {
      await this.#schema.change(direction, direction === 'up' ? version : version - 1, {});
    };
    return umzugOver(single, this.#host.engine);
  }
}

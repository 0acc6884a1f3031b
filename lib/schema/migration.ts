/**
 * A migration: statements that take the schema one version up, and statements that take it down again; where these are
 * not enough, procedures that process the rows. A released migration is never edited: its checksum is in every journal.
 */
import { createHash } from 'node:crypto';
import type { Dialect } from '../sql/dialect.ts';
import { type Procedure, procedure, type Steps } from '../sql/procedure.ts';
import type { DangerousOperation } from './dangerous-operations.ts';
import { type Watch, watched } from './watched.ts';

export type Direction = 'up' | 'down';

/** The settings of a working procedure; plain data. */
export interface WorkContext {
  /** IANA name of the zone in which an old server wrote dates without one. */
  readonly timeZone: string;
  /** The quota of clients without their own; null for no limit. */
  readonly defaultQuotaBytes: number | null;
  /** Whether the file's tables are older than this library's journal. */
  readonly legacy: boolean;
}

/** One step of a working procedure, from where the previous one ended. */
export interface WorkInput {
  readonly context: WorkContext;
  readonly watch: Watch;
  /** The last result of the procedure; null at the beginning. */
  readonly state: unknown;
}

/** The result of one step. */
export interface WorkResult {
  readonly state: unknown;
  readonly finished: boolean;
  /** Rows processed so far, of `total`. */
  readonly done: number;
  readonly total: number;
  /** How many rows this step changed, by kind. */
  readonly counts: Readonly<Record<string, number>>;
}

/** A procedure that processes rows in steps, so that progress can be reported. */
export type Work = Procedure<WorkInput, WorkResult>;

/** Declares a working procedure: its statements pass the same gate as the statements of a migration. */
export const migrationWork = (name: string, steps: (input: WorkInput, dialect: Dialect) => Steps<WorkResult>): Work =>
  procedure(name, 'write', (input: WorkInput, dialect) => watched(steps(input, dialect), input.watch));

/** A step that did all the work. */
export const finished = (counts: WorkResult['counts'] = {}, total = 0): WorkResult => ({
  state: null,
  finished: true,
  done: total,
  total,
  counts,
});

/** One migration; its version is its index in the list. */
export interface MigrationStep {
  /** What it does, in a few hyphenated words. */
  readonly name: string;
  readonly up: readonly string[];
  readonly down: readonly string[];
  /** The oldest schema version whose library can still use the file after this step; null: none older. */
  readonly safeVersion: number | null;
  /** Intended losses. */
  readonly declares?: Readonly<Partial<Record<Direction, readonly DangerousOperation[]>>>;
  /** Work beyond statements: after those of `up`, before those of `down`. A change of it raises `revision`. */
  readonly work?: { readonly revision: number } & Readonly<Partial<Record<Direction, readonly Work[]>>>;
  /** What a rollback loses, for the plan. Required if `down` drops anything; null if the data can be rebuilt. */
  readonly loses?: string | null | undefined;
  /** The table whose rows it touches, and the microseconds a row takes on the reference machine. */
  readonly cost?: MigrationCost;
}

/** The cost of a migration, for estimates: docs/MIGRATIONS.md explains how it was measured. */
interface MigrationCost {
  readonly table: 'files' | 'file_versions' | 'clients' | 'client_activity';
  readonly upMicroseconds: number;
  readonly downMicroseconds: number;
  /** Bytes by which the file grows for each row on the way up. */
  readonly bytes: number;
}

/** A migration with its version. */
export interface Migration extends MigrationStep {
  readonly version: number;
}

/** The name umzug orders migrations by, which sorts like the version. */
export const orderedName = ({ version, name }: Pick<Migration, 'version' | 'name'>): string =>
  `${String(version).padStart(4, '0')}-${name}`;

/** SHA-256 over what a migration does, in hex. */
export function checksumOf({ up, down, work }: MigrationStep): string {
  const names = (direction: Direction) => work?.[direction]?.map(({ name }) => name) ?? [];
  const worked = work === undefined ? {} : { revision: work.revision, work: [names('up'), names('down')] };
  return createHash('sha256')
    .update(JSON.stringify({ up, down, ...worked }))
    .digest('hex');
}

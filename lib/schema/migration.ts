/**
 * What a migration is: statements that bring the schema one version up, and those that bring it down again; where
 * statements are not enough, procedures that work through the rows. Once released, a migration is never edited: its
 * checksum is in every journal.
 */
import { createHash } from 'node:crypto';
import type { Dialect } from '../sql/dialect.ts';
import { type Procedure, procedure, type Steps } from '../sql/procedure.ts';
import type { DangerousOperation } from './dangerous-operations.ts';
import { type Watch, watched } from './watched.ts';

export type Direction = 'up' | 'down';

/** What a working procedure is told beside the rows; plain data. */
export interface WorkContext {
  /** IANA name of the zone in which an old server wrote dates without one. */
  readonly timeZone: string;
  /** What a client may store that has no quota of its own; null for no limit. */
  readonly defaultQuotaBytes: number | null;
  /** Whether the file's tables were there before this library's journal. */
  readonly legacy: boolean;
}

/** One message to a working procedure: where the one before it ended. */
export interface WorkInput {
  readonly context: WorkContext;
  readonly watch: Watch;
  /** What the procedure returned last; null at the beginning. */
  readonly state: unknown;
}

/** What one message did. */
export interface WorkResult {
  readonly state: unknown;
  readonly finished: boolean;
  /** Rows looked at so far, of `total`. */
  readonly done: number;
  readonly total: number;
  /** What was done to how many rows in this message, by kind. */
  readonly counts: Readonly<Record<string, number>>;
}

/** A procedure that works through rows, some at each message, so that progress can be told between. */
export type Work = Procedure<WorkInput, WorkResult>;

/** Declares a working procedure: each of its statements passes the gate that those of a migration's lists pass. */
export const migrationWork = (name: string, steps: (input: WorkInput, dialect: Dialect) => Steps<WorkResult>): Work =>
  procedure(name, 'write', (input: WorkInput, dialect) => watched(steps(input, dialect), input.watch));

/** A message that did everything there was to do. */
export const finished = (counts: WorkResult['counts'] = {}, total = 0): WorkResult => ({
  state: null,
  finished: true,
  done: total,
  total,
  counts,
});

/** One step of the schema; its version is its place in the list of all. */
export interface MigrationStep {
  /** What it does, in a few words with dashes. */
  readonly name: string;
  readonly up: readonly string[];
  readonly down: readonly string[];
  /** The oldest schema version whose library can still use the file after this step; null: none older. */
  readonly safeVersion: number | null;
  /** Losses that are meant. */
  readonly declares?: Readonly<Partial<Record<Direction, readonly DangerousOperation[]>>>;
  /** Work beyond statements: after those of `up`, before those of `down`. A change of it raises `revision`. */
  readonly work?: { readonly revision: number } & Readonly<Partial<Record<Direction, readonly Work[]>>>;
  /** What going down cannot keep, for the plan. To be told wherever `down` drops anything: null where it is made again. */
  readonly loses?: string | null | undefined;
  /** The table whose rows it touches, and microseconds each takes on the machine of reference. */
  readonly cost?: MigrationCost;
}

/** What a migration costs, for estimates: see docs/MIGRATIONS.md for how the figures were taken. */
interface MigrationCost {
  readonly table: 'files' | 'file_versions' | 'clients' | 'client_activity';
  readonly upMicroseconds: number;
  readonly downMicroseconds: number;
  /** Bytes that the file grows by, for each row, on the way up. */
  readonly bytes: number;
}

/** A step with its place. */
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

/**
 * What a migration is: statements that bring the schema one version up, and those that bring it down again. Once
 * released, a migration is never edited: its checksum is in every journal.
 */
import { createHash } from 'node:crypto';

/** One step of the schema; its version is its place in the list of all. */
export interface MigrationStep {
  /** What it does, in a few words with dashes. */
  readonly name: string;
  readonly up: readonly string[];
  readonly down: readonly string[];
  /** The oldest schema version whose library can still use the file after this step; null: none older. */
  readonly safeVersion: number | null;
}

/** A step with its place. */
export interface Migration extends MigrationStep {
  readonly version: number;
}

/** The name umzug orders migrations by, which sorts like the version. */
export const orderedName = ({ version, name }: Pick<Migration, 'version' | 'name'>): string =>
  `${String(version).padStart(4, '0')}-${name}`;

/** SHA-256 over what a migration does, in hex. */
export const checksumOf = ({ up, down }: Migration): string =>
  createHash('sha256').update(JSON.stringify({ up, down })).digest('hex');

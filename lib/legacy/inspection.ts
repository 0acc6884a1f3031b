import { stat } from 'node:fs/promises';
import { DatabaseError, reviveError, type WireError } from '../errors.ts';
import { runChild } from '../runtime/child-process.ts';
import type { KnownChecksums } from '../schema/journal-check.ts';
import type { OwnTables } from '../schema/own-objects.ts';
import { MIB } from '../values/byte-units.ts';

/** `legacy`: an old server's; `empty`: it holds no tables at all. */
export type FileVerdict = 'ours' | 'legacy' | 'empty';

/** The order for the process. */
export interface InspectionOrder {
  readonly path: string;
  /** This release's migrations; newer ones are refused. */
  readonly known: KnownChecksums;
  /** The names of this release, and the columns of each table. */
  readonly own: OwnTables;
  readonly columns: Readonly<Record<string, readonly string[]>>;
}

/** The output of the process. */
export type Inspection = { readonly verdict: FileVerdict } | { readonly error: WireError };

const DEADLINE_MS = 60_000;
// A full check took 13 ms for each on an idle machine; a busy machine with a slow disk must not have its files refused.
const DEADLINE_MS_PER_MB = 2_000;

/**
 * The kind of a file.
 * @throws {DatabaseError} CATALOG_FOREIGN_DATABASE, CATALOG_SCHEMA_NEWER, CATALOG_MIGRATION_FAILED or CATALOG_CORRUPT:
 *   why it must not be touched
 */
export async function inspectFile(order: InspectionOrder, deadlineMs?: number): Promise<FileVerdict> {
  const { path } = order;
  const { size } = await stat(path);
  const inspection = (await runChild({
    script: 'legacy/inspect-file',
    order,
    deadlineMs: Math.ceil(deadlineMs ?? DEADLINE_MS + (size / MIB) * DEADLINE_MS_PER_MB),
    late: () => late(path),
    failed: `could not inspect ${path}`,
  })) as Inspection;
  if ('error' in inspection) throw reviveError(inspection.error);
  return inspection.verdict;
}

const late = (path: string) =>
  new DatabaseError('CATALOG_FOREIGN_DATABASE', `the inspection of ${path} took too long`, {
    hint: 'The file is damaged or hostile; check the path. It was not changed.',
  });

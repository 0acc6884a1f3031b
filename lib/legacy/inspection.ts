/**
 * Asks a process of its own what a file is that is not evidently a catalogue of this library. The file stays as it is to
 * the byte, and a file that keeps SQLite busy for ever costs no more than the deadline.
 */
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DatabaseError, reviveError, type WireError } from '../errors.ts';
import { scriptUrl } from '../runtime/scripts.ts';
import type { KnownChecksums } from '../schema/journal-check.ts';
import type { OwnTables } from '../schema/own-objects.ts';

/** `legacy`: an old server's; `empty`: it holds no tables at all. */
export type FileVerdict = 'ours' | 'legacy' | 'empty';

/** What the process is told. */
export interface InspectionOrder {
  readonly path: string;
  /** This release's migrations: what is newer is refused. */
  readonly known: KnownChecksums;
  /** The names that are this release's, and the columns of each table. */
  readonly own: OwnTables;
  readonly columns: Readonly<Record<string, readonly string[]>>;
}

/** What the process prints. */
export type Inspection = { readonly verdict: FileVerdict } | { readonly error: WireError };

const SCRIPT = fileURLToPath(scriptUrl('legacy/inspect-file'));
const DEADLINE_MS = 60_000;
// A full check took 13 ms for each on an idle machine; a busy one with a slow disk must not have its files refused.
const DEADLINE_MS_PER_MB = 2_000;
const BYTES_PER_MB = 1024 * 1024;
const run = promisify(execFile);

/**
 * What a file is.
 * @throws {DatabaseError} CATALOG_FOREIGN_DATABASE, CATALOG_SCHEMA_NEWER, CATALOG_MIGRATION_FAILED or CATALOG_CORRUPT:
 *   why it must not be touched
 */
export async function inspectFile(order: InspectionOrder, deadlineMs?: number): Promise<FileVerdict> {
  const { path } = order;
  const { size } = await stat(path);
  const timeout = deadlineMs ?? DEADLINE_MS + (size / BYTES_PER_MB) * DEADLINE_MS_PER_MB;
  const options = { timeout: Math.ceil(timeout), killSignal: 'SIGKILL', windowsHide: true } as const;
  const inspection = await run(process.execPath, ['--no-warnings', SCRIPT, JSON.stringify(order)], options).then(
    ({ stdout }) => JSON.parse(stdout) as Inspection,
    (cause: unknown) => {
      throw notAnswered(path, cause);
    },
  );
  if ('error' in inspection) throw reviveError(inspection.error);
  return inspection.verdict;
}

function notAnswered(path: string, cause: unknown): DatabaseError {
  const isLate = cause instanceof Error && 'killed' in cause && cause.killed === true;
  if (!isLate) return new DatabaseError('CATALOG_IO', `${path} could not be looked at`, { cause });
  return new DatabaseError('CATALOG_FOREIGN_DATABASE', `${path} could not be looked at in time`, {
    cause,
    hint: 'The file is damaged or hostile; check the path. It was not changed.',
  });
}

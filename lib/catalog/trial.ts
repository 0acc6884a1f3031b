/**
 * Tries the next steps of a catalogue on a copy, in a process that can be killed. Foreign triggers run with every
 * change, and an endless one would hang a thread of the server.
 */
import { stat } from 'node:fs/promises';
import { DatabaseError, reviveError, type WireError } from '../errors.ts';
import { callProcess } from '../runtime/process-call.ts';
import { scriptUrl } from '../runtime/scripts.ts';
import type { CatalogSettings } from './settings.ts';

/** The settings of a catalogue that can be sent to a process. */
type CopySettings = Omit<CatalogSettings, 'logger' | 'onMigrationProgress'>;

/** The order for the process. */
export interface TrialOrder {
  /** A file that nobody else has open. It is migrated to this release's schema and otherwise unchanged. */
  readonly path: string;
  readonly settings: CopySettings;
}

/** A message of the process: the migration is done, or a line for the log. */
export type TrialNote =
  | { readonly migrated: true }
  | { readonly level: 'info' | 'warn' | 'error'; readonly facts: object; readonly message: string };

/** The answer of the process: why the file cannot be used, or null. */
export type TrialAnswer = WireError | null;

/** Milliseconds allowed for each part. */
export interface TrialDeadlines {
  /** Writing a few rows takes a few milliseconds; the rest is for a busy machine. */
  readonly writesMs: number;
  readonly migrationMs: number;
  /** Per megabyte of the file: an adoption took 300 on the reference machine. */
  readonly migrationMsPerMb: number;
}

const DEADLINES: TrialDeadlines = { writesMs: 30_000, migrationMs: 60_000, migrationMsPerMb: 2_000 };
const BYTES_PER_MB = 1024 * 1024;
const SCRIPT = scriptUrl('catalog/trial-process');

const HINT = 'Choose another backup, or remove the trigger from a copy of this one, made with the sqlite3 shell.';

const invalid = (path: string, problem: string, cause?: unknown) =>
  new DatabaseError('CATALOG_BACKUP_INVALID', `${path}: ${problem}`, { hint: HINT, cause });

const endless = (path: string, what: string, ms: number) =>
  invalid(path, `${what} did not end within ${Math.round(ms)} ms: a trigger or view in it keeps SQLite busy`);

/** If its schema makes a file unusable, the backup is invalid. */
function explained(error: unknown, path: string): unknown {
  if (!(error instanceof DatabaseError) || error.code !== 'CATALOG_FOREIGN_DATABASE') return error;
  return invalid(path, error.message, error);
}

/**
 * Migrates a file that nobody has open to this release's schema, and tries the first writes on it.
 * @throws {DatabaseError} CATALOG_BACKUP_INVALID if something in it does not end or a table is not as expected; the
 *   errors of the migration
 */
export async function migrateApart(
  settings: CatalogSettings,
  path: string,
  deadlines: TrialDeadlines = DEADLINES,
): Promise<void> {
  const { size } = await stat(path);
  const migrationMs = deadlines.migrationMs + (size / BYTES_PER_MB) * deadlines.migrationMsPerMb;
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onNote = (note: TrialNote) => {
    if ('level' in note) settings.logger[note.level](note.facts, note.message);
    else timer = setTimeout(() => stop.abort(endless(path, 'a save', deadlines.writesMs)), deadlines.writesMs);
  };
  const { logger: _, onMigrationProgress: __, procedureModules, ...data } = settings;
  const order: TrialOrder = { path, settings: { ...data, procedureModules: procedureModules.map(String) } };
  try {
    const answer = await callProcess(SCRIPT, order, {
      deadlineMs: migrationMs + deadlines.writesMs,
      late: () => endless(path, 'migrating it', migrationMs),
      signal: stop.signal,
      onNote: (note) => onNote(note as TrialNote),
    });
    if (answer !== null) throw explained(reviveError(answer as WireError), path);
  } finally {
    clearTimeout(timer);
  }
}

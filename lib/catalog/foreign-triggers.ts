/** Triggers of others on tables of the catalogue: users, own procedures and other programs may have some. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { workName } from '../backup/paths.ts';
import { partialPath, removeDatabase } from '../backup/publish.ts';
import { takeSnapshot } from '../backup/snapshot.ts';
import { ConflictError, DatabaseError } from '../errors.ts';
import { OWN_SCHEMA, ownTriggers } from '../migrations/journal.ts';
import { triggersOfOthers } from '../migrations/schema-state.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';

/** An open file that changes are tried on a copy of. */
interface TriedFile {
  readonly engine: Executor;
  readonly settings: { readonly database: string; readonly backupDir: string };
}

let known: readonly string[] | undefined;

/** `name on table` of each trigger on a table of ours that this release did not make. */
export function foreignTriggersOf(engine: Executor, options: CallOptions): Promise<string[]> {
  known ??= ownTriggers(); // reading the migrations takes milliseconds
  return engine.run(triggersOfOthers, { ...OWN_SCHEMA, triggers: known }, options);
}

const MOST_NAMED = 5;

/** A list of triggers, in words. */
const named = (triggers: readonly string[]): string => {
  const more = triggers.length - MOST_NAMED;
  return `${triggers.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
};

/**
 * Tries on a copy, in a process that can be given up, that changes come to an end where others have triggers. Without any it
 * does nothing.
 * @throws {ConflictError} when they do not
 */
export async function assertTriggersEnd(
  { engine, settings }: TriedFile,
  migrateCopy: (path: string) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const triggers = await foreignTriggersOf(engine, { signal });
  if (triggers.length === 0) return;
  const folder = partialPath(join(settings.backupDir, workName('trial')));
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const copy = join(folder, 'catalogue.db');
    await takeSnapshot(settings.database, copy, { signal });
    await migrateCopy(copy);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== 'CATALOG_BACKUP_INVALID') throw error;
    throw new ConflictError(`changes do not come to an end with the triggers of others: ${named(triggers)}`, {
      cause: error,
      hint: 'Tried on a copy; nothing was changed. Drop the trigger that never ends: DROP TRIGGER "name".',
    });
  } finally {
    await removeDatabase(folder);
  }
}

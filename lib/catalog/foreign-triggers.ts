/** Foreign triggers on tables of the catalogue, made by users, their procedures or other programs. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { workName } from '../backup/paths.ts';
import { partialPath, removeDatabase } from '../backup/publish.ts';
import { takeSnapshot } from '../backup/snapshot.ts';
import { ConflictError, DatabaseError } from '../errors.ts';
import { OWN_SCHEMA, ownTriggers } from '../migrations/journal.ts';
import { triggersOfOthers } from '../migrations/schema-state.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';

/** An open file; the changes are tried on a copy of it. */
interface TriedFile {
  readonly engine: Executor;
  readonly settings: { readonly database: string; readonly backupDir: string };
}

let known: readonly string[] | undefined;

/** `name on table` for each foreign trigger. */
export function foreignTriggersOf(engine: Executor, options: CallOptions): Promise<string[]> {
  known ??= ownTriggers(); // reading the migrations takes milliseconds
  return engine.run(triggersOfOthers, { ...OWN_SCHEMA, triggers: known }, options);
}

const MOST_NAMED = 5;

/** Names the triggers in a message. */
const named = (triggers: readonly string[]): string => {
  const more = triggers.length - MOST_NAMED;
  return `${triggers.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
};

/**
 * If there are foreign triggers, tests on a copy, in a process that can be killed, that changes terminate.
 * @throws {ConflictError} if they do not
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
    throw new ConflictError(`changes do not terminate because of foreign triggers: ${named(triggers)}`, {
      cause: error,
      hint: 'This was tried on a copy; nothing was changed. Drop the endless trigger: DROP TRIGGER "name".',
    });
  } finally {
    await removeDatabase(folder);
  }
}

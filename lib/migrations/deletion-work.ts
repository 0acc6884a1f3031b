/** Finishes the deletions of clients that were begun, before the schema loses the table that knows of them. */
import { deleteSlice, pendingDeletions } from '../core/client-deletion-procedures.ts';
import { finished, migrationWork, type WorkInput, type WorkResult } from '../schema/migration.ts';
import type { Steps } from '../sql/procedure.ts';

/** One slice for each message, so that progress can be told between. */
export const finishDeletions = migrationWork(
  'deletions.finish',
  function* ({ state }: WorkInput, dialect): Steps<WorkResult> {
    const files = typeof state === 'number' ? state : 0;
    const [next] = yield* pendingDeletions(dialect);
    if (next === undefined) return finished({ deletedFiles: 0 });
    const slice = yield* deleteSlice(next.clientId, dialect);
    const done = files + slice.deleted;
    return { state: done, finished: false, done, total: done, counts: { deletedFiles: slice.deleted } };
  },
);

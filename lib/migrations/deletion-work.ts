/** Finishes the deletions of clients before a downgrade removes the table that records them. */
import { deleteSlice, pendingDeletions } from '../core/client-deletion-procedures.ts';
import { finished, migrationWork, type WorkInput, type WorkResult } from '../schema/migration.ts';
import type { Steps } from '../sql/procedure.ts';

/** The progress of the work. */
interface Progress {
  readonly files: number;
  /** Clients that need no further slice: a mark without a client's id would otherwise be found again and again. */
  readonly finished: readonly string[];
}

const START: Progress = { files: 0, finished: [] };

/** One slice per message, so that progress can be reported between them. */
export const finishDeletions = migrationWork(
  'deletions.finish',
  function* ({ state }: WorkInput, dialect): Steps<WorkResult> {
    const progress = (state as Progress | null) ?? START;
    const pending = yield* pendingDeletions(dialect);
    const next = pending.find(({ clientId }) => !progress.finished.includes(clientId));
    if (next === undefined) return finished({ deletedFiles: 0 });
    const slice = yield* deleteSlice(next.clientId, dialect);
    const files = progress.files + slice.deleted;
    const ended = slice.finished ? [...progress.finished, next.clientId] : progress.finished;
    const counts = { deletedFiles: slice.deleted };
    return { state: { files, finished: ended }, finished: false, done: files, total: files, counts };
  },
);

/** Runs one call that succeeds or fails alone inside a shared transaction. */
import type { Connection } from './connection.ts';
import type { Call } from './protocol.ts';

/** Runs a writing call; if it throws, its changes are undone. */
export function runInSavepoint(connection: Connection, call: Call): unknown {
  connection.control('SAVEPOINT one');
  try {
    const value = connection.run(call, 'write');
    connection.control('RELEASE one');
    return value;
  } catch (error) {
    undoCall(connection);
    throw error;
  }
}

/** Undoes one call; if that fails, rolls back the whole transaction, so that nothing half-done is committed. */
function undoCall(connection: Connection): void {
  if (!connection.inTransaction) return;
  try {
    connection.control('ROLLBACK TO one');
    connection.control('RELEASE one');
  } catch {
    connection.rollback();
  }
}

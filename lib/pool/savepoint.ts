/** One call that stands or falls alone inside a transaction it shares with others. */
import type { Connection } from './connection.ts';
import type { Call } from './protocol.ts';

/** Runs a writing call; when it throws, what it changed is undone. */
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

/** Undoes one call; where that fails the whole transaction goes, so that nothing half-done is ever committed. */
function undoCall(connection: Connection): void {
  if (!connection.inTransaction) return;
  try {
    connection.control('ROLLBACK TO one');
    connection.control('RELEASE one');
  } catch {
    connection.rollback();
  }
}

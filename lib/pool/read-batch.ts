/** Reads that share one snapshot; each fails alone. */
import type { Connection } from './connection.ts';
import { attempt } from './outcome.ts';
import type { Call, Outcome } from './protocol.ts';

/** Runs reads on one snapshot. */
export function runBatch(connection: Connection, calls: readonly Call[]): Outcome[] {
  connection.control('BEGIN');
  try {
    return calls.map((call) => attempt(() => connection.run(call, 'read')));
  } finally {
    // Nothing was written: ROLLBACK costs the same and cannot fail halfway.
    connection.rollback();
  }
}

/** The outcome of a call, as data for its caller. */
import { DatabaseError, toWireError } from '../errors.ts';
import type { Outcome } from './protocol.ts';

const succeeded = (value: unknown): Outcome => ({ ok: true, value });

/** The outcome of a call that threw. */
export const failed = (error: unknown): Outcome => ({ ok: false, error: toWireError(error) });

/** Runs one call; never throws. */
export function attempt(work: () => unknown): Outcome {
  try {
    return succeeded(work());
  } catch (error) {
    return failed(error);
  }
}

/** The error of a call whose commit may or may not be on the disk. */
export const indeterminate = (cause: unknown) =>
  new DatabaseError('CATALOG_INDETERMINATE', 'the commit was interrupted; it may be on the disk', { cause });

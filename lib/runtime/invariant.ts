/** Assertions that must hold whatever callers do: a failure is a defect of this library. */
import { InvariantError } from '../errors.ts';

/**
 * Asserts an invariant.
 * @param name the invariant, in a few words
 * @param problem the actual state
 * @throws {InvariantError} if the condition is false
 */
export function invariant(condition: boolean, name: string, problem: string): asserts condition {
  if (!condition) throw new InvariantError(name, problem);
}

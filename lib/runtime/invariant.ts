/** Assertions of what must be true whatever callers do: one that fails is a defect of this library. */
import { InvariantError } from '../errors.ts';

/**
 * Asserts an invariant.
 * @param name what must be true, in a few words
 * @param problem what is the case instead
 * @throws {InvariantError} when the condition is false
 */
export function invariant(condition: boolean, name: string, problem: string): asserts condition {
  if (!condition) throw new InvariantError(name, problem);
}

/**
 * Passes every statement of a migration through one gate, on the thread that runs it: a statement that can lose data
 * must be declared, even if a procedure composed it. Tests install a hook here to end the process between two
 * statements.
 */
import type { Steps } from '../sql/procedure.ts';
import { assertDeclared, type DangerousOperation } from './dangerous-operations.ts';

/** The settings of the gate for one migration. */
export interface Watch {
  readonly migration: string;
  /** Intended losses; null lets everything pass. */
  readonly declared: readonly DangerousOperation[] | null;
}

/** A hook for tests that receives each statement before it runs. */
export const STATEMENT_HOOK = Symbol.for('backup-catalog.migration-statement');

type Hook = (statement: string) => void;

const MAX_KNOWN = 2_000; // texts checked before; a migration has a few dozen

/** Runs a procedure's steps through the gate. */
export function* watched<Result>(steps: Steps<Result>, { migration, declared }: Watch): Steps<Result> {
  const hook = (globalThis as { [STATEMENT_HOOK]?: Hook })[STATEMENT_HOOK];
  const known = new Set<string>();
  let next = steps.next();
  while (!next.done) {
    const step = next.value;
    const text = step.sql.sql;
    if (declared !== null && !known.has(text)) {
      assertDeclared(migration, text, declared);
      if (known.size < MAX_KNOWN) known.add(text);
    }
    hook?.(text);
    let answer: unknown;
    try {
      answer = yield step;
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(answer);
  }
  return next.value;
}

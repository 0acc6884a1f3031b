/** The type of a check: one row with its questions, its judgement, and its appearance in reports and documents. */
import type { ErrorCode } from '../errors.ts';
import type { MaintenanceKind, MaintenanceRecord } from '../maintenance/history.ts';
import type { Thresholds } from '../options/thresholds.ts';
import type { Facts, QuestionName } from './questions.ts';
import type { Verdict } from './verdict.ts';

/** The state that health keeps besides current facts. */
export interface Memory {
  /** Device and inode of the opened file; null if unknown. */
  readonly opened: string | null;
  /** Calls refused in the last minutes. */
  readonly refused: number;
  /** Connections that died in the last minutes. */
  readonly lost: number;
  /** Verdicts that could not be stored in the history. */
  readonly unrecorded: ReadonlyMap<MaintenanceKind, MaintenanceRecord>;
  readonly readOnly: boolean;
  /** Milliseconds allowed for each question. */
  readonly deadlineMs: number;
}

/** Everything that is judged. */
export interface Case<Asked extends QuestionName = QuestionName> {
  readonly facts: Facts<Asked>;
  readonly thresholds: Thresholds;
  readonly memory: Memory;
}

/** How a check appears in reports and documents. */
export interface CheckDescription {
  /**
   * Its name in `application/health+json`: component and measurement (draft-inadarei-api-health-check-06, section 4).
   */
  readonly json: string;
  /** The kind of component in `application/health+json`. */
  readonly type: 'component' | 'datastore' | 'system';
  /** The unit of its observation; null for words. */
  readonly unit: string | null;
  readonly about: string;
}

/** One row of the table of checks. */
export interface Check<Name extends string, Asked extends QuestionName, Code extends string> extends CheckDescription {
  readonly name: Name;
  /** The questions whose answers it judges. */
  readonly ask: readonly Asked[];
  /** Its health codes with their conditions; it may also report the code of any error. */
  readonly codes: Readonly<Record<Code, string>>;
  /** Pure: the verdict follows from the case alone. */
  readonly judge: (state: Case<Asked>) => Verdict<ErrorCode | NoInfer<Code>>;
}

/** Defines a row. The compiler ensures that the judge uses only the row's questions and codes. */
export const check = <const Name extends string, const Asked extends QuestionName, const Code extends string>(
  row: Check<Name, Asked, Code>,
): Check<Name, Asked, Code> => row;

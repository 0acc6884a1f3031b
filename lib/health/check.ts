/** What a check is: one row that says what it asks, how it judges, and how it appears in reports and documents. */
import type { ErrorCode } from '../errors.ts';
import type { MaintenanceKind, MaintenanceRecord } from '../maintenance/history.ts';
import type { Thresholds } from '../options/thresholds.ts';
import type { Facts, QuestionName } from './questions.ts';
import type { Verdict } from './verdict.ts';

/** What health remembers beside the facts of the moment. */
export interface Memory {
  /** Device and inode of the file that was opened; null when that is not known. */
  readonly opened: string | null;
  /** Calls that were refused in the last minutes. */
  readonly refused: number;
  /** Connections that died in the last minutes. */
  readonly lost: number;
  /** Verdicts that are in no history, because the catalogue could not be written. */
  readonly unrecorded: ReadonlyMap<MaintenanceKind, MaintenanceRecord>;
  readonly readOnly: boolean;
  /** Milliseconds each question was given. */
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
  /** Its name in `application/health+json`: component and measurement (draft-inadarei-api-health-check-06, section 4). */
  readonly json: string;
  /** The kind of component in `application/health+json`. */
  readonly type: 'component' | 'datastore' | 'system';
  /** What it observes is counted in; null for words. */
  readonly unit: string | null;
  readonly about: string;
}

/** One row of the table of checks. */
export interface Check<Name extends string, Asked extends QuestionName, Code extends string> extends CheckDescription {
  readonly name: Name;
  /** The questions whose answers it judges. */
  readonly ask: readonly Asked[];
  /** Health's own codes that it may raise, and when; it may raise the code of any error as well. */
  readonly codes: Readonly<Record<Code, string>>;
  /** Pure: the verdict follows from the case alone. */
  readonly judge: (state: Case<Asked>) => Verdict<ErrorCode | NoInfer<Code>>;
}

/** Writes a row. The compiler sees to it that the judge looks at what the row asks, and raises what the row names. */
export const check = <const Name extends string, const Asked extends QuestionName, const Code extends string>(
  row: Check<Name, Asked, Code>,
): Check<Name, Asked, Code> => row;

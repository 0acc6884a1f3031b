/** Everything a check may look at. */
import type { MaintenanceKind, MaintenanceRecord } from '../maintenance/history.ts';
import type { Thresholds } from '../options/thresholds.ts';
import type { Facts } from './facts.ts';

/** What health remembers beside the facts of the moment. */
export interface Memory {
  /** Device and inode of the file that was opened; null when that is not known. */
  readonly opened: string | null;
  /** Calls that were refused, and connections that died, in the last minutes. */
  readonly refused: number;
  readonly lost: number;
  /** Verdicts that are in no history, because the catalogue could not be written. */
  readonly unrecorded: ReadonlyMap<MaintenanceKind, MaintenanceRecord>;
  readonly readOnly: boolean;
  /** Milliseconds each question was given. */
  readonly deadlineMs: number;
}

export interface Case {
  readonly facts: Facts;
  readonly thresholds: Thresholds;
  readonly memory: Memory;
}

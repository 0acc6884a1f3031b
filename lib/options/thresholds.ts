/**
 * The table of health thresholds: the option `thresholds` is checked against it, and the README shows it. lib/health
 * does the judging.
 */
import { checkObject, refuse } from '../validation.ts';
import { MIB } from '../values/byte-units.ts';
import { DAY_MS, MAX_TIMER_MS, MINUTE_MS } from '../values/intervals.ts';

/** The limits of health's figures; with null a figure is reported and never judged. */
export interface Thresholds {
  /** Milliseconds since the last verified backup, or since the catalogue was made. */
  readonly backupAgeMs: number | null;
  /** Milliseconds since a backup was last restored, in a drill or for real. */
  readonly restoreAgeMs: number | null;
  /** Milliseconds since the whole file was last checked. */
  readonly integrityAgeMs: number | null;
  /** Milliseconds since quotas or totals were last audited. */
  readonly auditAgeMs: number | null;
  /** Free bytes of the disk for each byte of the database. */
  readonly freeDisk: number | null;
  /** Growth of the database in a day, as a fraction of its size. */
  readonly growth: number | null;
  /** Size in bytes above which growth is judged. */
  readonly growthFromBytes: number;
  /** Fraction of the database's pages that are free. */
  readonly freePages: number | null;
  /** Fraction of failed transfers of today and yesterday (UTC). */
  readonly failedTransfers: number | null;
  /** Bytes of the write-ahead log. */
  readonly walBytes: number | null;
  /** Calls waiting for a connection, of each kind. */
  readonly waitingCalls: number | null;
  /** Milliseconds that one reading connection has been in use. */
  readonly oldestReaderMs: number | null;
  /** Milliseconds the writer has spent in one request, during which nothing can be changed. */
  readonly writerRequestMs: number | null;
  /** Changed files that are not in the search index yet. */
  readonly searchBacklog: number | null;
  /** Clients that have reached the warning threshold of their quota. */
  readonly quotaWarnings: number | null;
  /** Milliseconds a check of the whole file may take. */
  readonly checkMs: number;
}

/** One row of the table. */
export interface ThresholdRow {
  readonly threshold: keyof Thresholds;
  readonly default: number | null;
  readonly unit: 'milliseconds' | 'bytes' | 'part' | 'times' | 'calls' | 'files' | 'clients';
  /** Whether null (never judged) is accepted. */
  readonly nullable: boolean;
  readonly description: string;
}

/** The table. */
export const THRESHOLDS: readonly ThresholdRow[] = [
  {
    threshold: 'backupAgeMs',
    default: DAY_MS,
    unit: 'milliseconds',
    nullable: true,
    description: 'since the last verified backup, or since the catalogue was created',
  },
  {
    threshold: 'restoreAgeMs',
    default: 90 * DAY_MS,
    unit: 'milliseconds',
    nullable: true,
    description: 'since a backup was last restored, in a drill or for real',
  },
  {
    threshold: 'integrityAgeMs',
    default: null,
    unit: 'milliseconds',
    nullable: true,
    description: 'since the whole file was last checked',
  },
  {
    threshold: 'auditAgeMs',
    default: null,
    unit: 'milliseconds',
    nullable: true,
    description: 'since quotas or totals were last audited',
  },
  {
    threshold: 'freeDisk',
    default: 2,
    unit: 'times',
    nullable: true,
    description: 'free disk space, as a multiple of the size of the database',
  },
  {
    threshold: 'growth',
    default: 0.5,
    unit: 'part',
    nullable: true,
    description: 'growth of the database in a day, as a fraction of its size (0.5: half as large again)',
  },
  {
    threshold: 'growthFromBytes',
    default: 100 * MIB,
    unit: 'bytes',
    nullable: false,
    description: 'size above which growth is judged',
  },
  {
    threshold: 'freePages',
    default: 0.25,
    unit: 'part',
    nullable: true,
    description: 'free pages, as a fraction of all pages',
  },
  {
    threshold: 'failedTransfers',
    default: 0.1,
    unit: 'part',
    nullable: true,
    description: 'failed transfers of today and yesterday (UTC), as a fraction of all',
  },
  {
    threshold: 'walBytes',
    default: 256 * MIB,
    unit: 'bytes',
    nullable: true,
    description: 'size of the write-ahead log',
  },
  {
    threshold: 'waitingCalls',
    default: 4_096,
    unit: 'calls',
    nullable: true,
    description: 'reads, or writes, waiting for a connection',
  },
  {
    threshold: 'oldestReaderMs',
    default: MINUTE_MS,
    unit: 'milliseconds',
    nullable: true,
    description: 'how long one reading connection has been in use; the log cannot shrink meanwhile',
  },
  {
    threshold: 'writerRequestMs',
    default: MINUTE_MS / 2,
    unit: 'milliseconds',
    nullable: true,
    description: 'how long the writer has spent in one request; nothing can be changed meanwhile',
  },
  {
    threshold: 'searchBacklog',
    default: 10_000,
    unit: 'files',
    nullable: true,
    description: 'changed files that are not indexed yet, so every search reads them',
  },
  {
    threshold: 'quotaWarnings',
    default: 0,
    unit: 'clients',
    nullable: true,
    description: 'clients that have reached the warning threshold of their quota',
  },
  {
    threshold: 'checkMs',
    default: 10 * MINUTE_MS,
    unit: 'milliseconds',
    nullable: false,
    description: 'how long a check of the whole file may take before it is stopped',
  },
];

const NAMES: ReadonlySet<string> = new Set(THRESHOLDS.map(({ threshold }) => threshold));

function readOne({ threshold, default: usual, nullable }: ThresholdRow, value: unknown): number | null {
  if (value === undefined) return usual;
  if (value === null && nullable) return null;
  const isDeadline = threshold === 'checkMs';
  const [least, most] = isDeadline ? [1, MAX_TIMER_MS] : [0, Number.MAX_SAFE_INTEGER];
  if (typeof value === 'number' && value >= least && value <= most) return value;
  const accepted = isDeadline ? `milliseconds, 1 to ${MAX_TIMER_MS}` : 'a number of at least 0';
  return refuse(`thresholds.${threshold}`, value, nullable ? `${accepted}, or null for never` : accepted);
}

/**
 * Every threshold with its value.
 * @throws {ValidationError} for an unknown name (the hint proposes the nearest) or an unacceptable value
 */
export function resolveThresholds(given: unknown): Thresholds {
  const values = checkObject(given, 'thresholds', NAMES, 'thresholds.');
  const rows = THRESHOLDS.map((row) => [row.threshold, readOne(row, values[row.threshold])]);
  return Object.freeze(Object.fromEntries(rows));
}

/** What health tells: the report, its issues, and the table of everything that is looked at. */
import { DatabaseError, type ErrorCode } from '../errors.ts';
import type { CallOptions } from '../sql/engine.ts';

export type HealthStatus = 'pass' | 'warn' | 'fail';

/** The codes of what is no error of a call; an issue may have any code of an error as well. */
export const HEALTH_CODES = {
  HEALTH_CONNECTION_LOST: 'a connection died in the last five minutes and was replaced',
  HEALTH_QUEUE_LONG: 'more calls wait for a connection than `waitingCalls`',
  HEALTH_WAL_LARGE: 'the write-ahead log is larger than `walBytes`',
  HEALTH_READER_OLD: 'a reading connection has been in use for longer than `oldestReaderMs`',
  HEALTH_DISK_LOW: 'the disk has less free than `freeDisk` times the database',
  HEALTH_QUOTA_WARNING: 'more clients than `quotaWarnings` are near or over their quota',
  HEALTH_AUDIT_DRIFT: 'the last audit found figures that differ from the rows',
  HEALTH_AUDIT_OVERDUE: 'the last audit is older than `auditAgeMs`',
  HEALTH_BACKUP_OVERDUE: 'the last verified backup is older than `backupAgeMs`',
  HEALTH_RESTORE_UNPROVEN: 'the last proven restore is older than `restoreAgeMs`',
  HEALTH_INTEGRITY_OVERDUE: 'the last check of the whole file is older than `integrityAgeMs`',
  HEALTH_FOREIGN_KEYS: 'rows name a row that does not exist',
  HEALTH_GROWTH: 'the database grew by more than `growth` in a day',
  HEALTH_FREE_PAGES: 'more of the database than `freePages` holds nothing',
  HEALTH_TRANSFERS_FAILING: 'more transfers than `failedTransfers` failed',
  HEALTH_SEARCH_INDEX: 'the search index is behind, lacks files, or cannot be read or written',
  HEALTH_SECOND_NAME: 'the file of the catalogue is mounted by itself, or has several hard links',
  HEALTH_FOREIGN_TRIGGER: 'triggers that this release did not make are on tables of the catalogue',
  HEALTH_FILE_MODE: 'others than the owner may read or write the files of the catalogue',
} as const;

export type HealthCode = ErrorCode | keyof typeof HEALTH_CODES;

/** Something a person should know. */
export interface HealthIssue {
  readonly code: HealthCode;
  readonly severity: 'warn' | 'fail';
  readonly message: string;
  readonly hint: string;
}

/**
 * Everything that is looked at, with the names it has in `application/health+json`: component and measurement (section 4
 * of draft-inadarei-api-health-check-06), and the kind of component.
 */
export const HEALTH_CHECKS = {
  database: {
    json: 'database:size',
    type: 'datastore',
    unit: 'bytes',
    about: 'whether the file is there and can be read',
  },
  pool: {
    json: 'connections:inUse',
    type: 'component',
    unit: 'connections',
    about: 'whether calls get a connection; how many read',
  },
  writer: { json: 'writer:alive', type: 'component', unit: null, about: 'whether the writer is alive and can write' },
  queue: { json: 'calls:waiting', type: 'component', unit: 'calls', about: 'how many calls wait' },
  wal: { json: 'wal:size', type: 'datastore', unit: 'bytes', about: 'the size of the write-ahead log' },
  readers: {
    json: 'readers:oldest',
    type: 'component',
    unit: 'ms',
    about: 'how long the oldest reader has been in use',
  },
  disk: { json: 'disk:free', type: 'system', unit: 'bytes', about: 'the free space of the disk' },
  migrations: {
    json: 'migrations:pending',
    type: 'datastore',
    unit: 'migrations',
    about: 'migrations that are pending',
  },
  quotas: { json: 'quotas:warned', type: 'datastore', unit: 'clients', about: 'clients near or over their quota' },
  audit: { json: 'audit:age', type: 'datastore', unit: 'ms', about: 'the age of the last audit, and what it found' },
  backup: { json: 'backup:age', type: 'datastore', unit: 'ms', about: 'the age of the last verified backup' },
  restore: { json: 'restore:age', type: 'datastore', unit: 'ms', about: 'the age of the last proven restore' },
  integrity: {
    json: 'integrity:age',
    type: 'datastore',
    unit: 'ms',
    about: 'the last check of the whole file, and its age',
  },
  foreignKeys: { json: 'foreignKeys:violations', type: 'datastore', unit: 'rows', about: 'what the last check found' },
  growth: {
    json: 'database:growth',
    type: 'datastore',
    unit: 'part',
    about: 'growth a day, from what was measured before',
  },
  freePages: { json: 'database:freePages', type: 'datastore', unit: 'part', about: 'pages that hold nothing' },
  transfers: {
    json: 'transfers:failed',
    type: 'datastore',
    unit: 'part',
    about: 'failed transfers of today and yesterday',
  },
  search: {
    json: 'search:waiting',
    type: 'datastore',
    unit: 'files',
    about: 'the search index, and what waits for it',
  },
  fileModes: { json: 'files:mode', type: 'system', unit: null, about: 'who may read the files' },
} as const;

export type HealthCheckName = keyof typeof HEALTH_CHECKS;

/** How one check ended. */
export interface HealthCheckResult {
  /** `unknown`: it could not be looked at, because of another check's issue or in a schema that lacks it. */
  readonly status: HealthStatus | 'unknown';
  readonly observedValue: number | string | null;
  readonly observedUnit: string | null;
  /** What is wrong, in words; null where nothing is. */
  readonly output: string | null;
  /** When it was looked at, in UTC. */
  readonly time: string;
}

/** What `health` reports. */
export interface HealthReport {
  readonly status: HealthStatus;
  /** The last verdict on the whole file, of this process or another; null when there never was one. */
  readonly integrityCheck: boolean | null;
  /** Whether the last check found every foreign key kept; null when there never was one. */
  readonly foreignKeyCheck: boolean | null;
  readonly tableCount: number | null;
  readonly indexCount: number | null;
  readonly databaseBytes: number | null;
  readonly connectionPoolHealthy: boolean;
  /** Those that fail first. */
  readonly issues: HealthIssue[];
  /** Every check there is, in every state. */
  readonly checks: Readonly<Record<HealthCheckName, HealthCheckResult>>;
}

export interface HealthOptions extends CallOptions {
  /** Have SQLite check the whole file as well: seconds to minutes on a large one. Default false. */
  readonly full?: boolean | undefined;
}

/** The worst of what was found. */
export const worst = (issues: readonly HealthIssue[]): HealthStatus => {
  if (issues.some(({ severity }) => severity === 'fail')) return 'fail';
  return issues.length > 0 ? 'warn' : 'pass';
};

/** Codes of errors that say the file cannot be read, or not be trusted. */
const UNREADABLE: ReadonlySet<string> = new Set([
  'CATALOG_CORRUPT',
  'CATALOG_IO',
  'CATALOG_NOT_FOUND',
  'CATALOG_CLOSED',
  'CATALOG_FOREIGN_DATABASE',
]);

/** The issue that an error is. */
export function issueOf(error: unknown): HealthIssue {
  const { code, message, hint } =
    error instanceof DatabaseError
      ? error
      : new DatabaseError('CATALOG_IO', error instanceof Error ? error.message : String(error));
  return { code, severity: UNREADABLE.has(code) ? 'fail' : 'warn', message, hint };
}

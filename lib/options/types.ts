/** The options of a catalogue; defaults and checks are in the table of options. */
import type { Logger } from 'pino';
import type { Thresholds } from './thresholds.ts';

/** The progress of a migration. */
export interface MigrationProgress {
  readonly version: number;
  readonly name: string;
  /** The current step, such as `adoption.files`. */
  readonly step: string;
  /** Rows done, of `total`; both are 0 for a step without rows. */
  readonly done: number;
  readonly total: number;
  /** Milliseconds since the first migration began. */
  readonly elapsedMs: number;
}

/** Options of `DatabaseManager.open`; each has a row in the README's table. */
export interface CatalogOptions {
  /** The database file. Default `defensive.db`. */
  readonly database?: string | undefined;
  /** Create the file if it does not exist. Default true. */
  readonly create?: boolean | undefined;
  /** Refuse every change. Default false. */
  readonly readOnly?: boolean | undefined;
  /** `auto` brings the schema up to date at open, `off` refuses an outdated one. Default `auto`. */
  readonly migrate?: 'auto' | 'off' | undefined;
  /** Where the server stores contents; measured for statistics, never changed. Default `received_files`. */
  readonly storageDir?: string | undefined;
  /** Total number of connections, one of them the writer; 1 to 64. Default 5. */
  readonly poolSize?: number | undefined;
  /** Milliseconds a call may wait for a connection. Default 30,000. */
  readonly acquireTimeoutMs?: number | undefined;
  /** Milliseconds to wait for another process's write lock. Default 5,000. */
  readonly busyTimeoutMs?: number | undefined;
  /** Milliseconds `close` waits for accepted calls. Default 30,000. */
  readonly closeTimeoutMs?: number | undefined;
  /** How many reads, and how many writes, may wait. Default 32,768 each. */
  readonly queueLimit?: number | undefined;
  /**
   * `full`: an acknowledged change survives power loss; `normal`: it survives a crash of the process. Default `full`.
   */
  readonly durability?: 'full' | 'normal' | undefined;
  /** Bytes a new client may store, null for no limit. Default 1 GiB. */
  readonly defaultQuotaBytes?: number | null | undefined;
  /** Days to keep activity, 1 to 36,500. Default 90. */
  readonly activityRetentionDays?: number | undefined;
  /** Allow disks without write-ahead logging, and network file systems. Default false. */
  readonly allowRollbackJournal?: boolean | undefined;
  /** Make a verified copy before changing the schema of an existing file. Default true. */
  readonly migrationBackup?: boolean | undefined;
  /** Check integrity and foreign keys before and after changing the schema. Default true. */
  readonly migrationValidation?: boolean | undefined;
  /** Refuse undeclared statements of migrations that can lose data. Default true. */
  readonly blockDangerousOperations?: boolean | undefined;
  /** The folder of backups. Default `backups` beside the database. */
  readonly backupDir?: string | undefined;
  /** IANA name of the time zone of dates that an old server wrote without one. Default: the system's. */
  readonly legacyTimeZone?: string | undefined;
  /** Receives the progress of migrations while the catalogue opens. */
  readonly onMigrationProgress?: ((progress: MigrationProgress) => void) | undefined;
  /** Modules whose exported procedures the catalogue can run, as absolute URLs. Default none. */
  readonly procedureModules?: readonly (string | URL)[] | undefined;
  /** Node.js flags for connection threads, such as a loader for `procedureModules`. Default none. */
  readonly threadArgv?: readonly string[] | undefined;
  /** Limits at which `health` warns; the rest keep their defaults. */
  readonly thresholds?: { readonly [Name in keyof Thresholds]?: Thresholds[Name] | undefined } | undefined;
  /** A pino logger; every module logs through a child of it. Default: silent. */
  readonly logger?: Logger | undefined;
}

/** Options with every default filled in. */
export interface ResolvedOptions {
  readonly database: string;
  readonly create: boolean;
  readonly readOnly: boolean;
  readonly migrate: 'auto' | 'off';
  readonly storageDir: string;
  readonly poolSize: number;
  readonly acquireTimeoutMs: number;
  readonly busyTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly queueLimit: number;
  readonly durability: 'full' | 'normal';
  readonly defaultQuotaBytes: number | null;
  readonly activityRetentionDays: number;
  readonly allowRollbackJournal: boolean;
  readonly migrationBackup: boolean;
  readonly migrationValidation: boolean;
  readonly blockDangerousOperations: boolean;
  /** Undefined: `backups` beside the database. */
  readonly backupDir: string | undefined;
  /** Undefined: the system's, or UTC if the system names none. */
  readonly legacyTimeZone: string | undefined;
  readonly onMigrationProgress: ((progress: MigrationProgress) => void) | undefined;
  readonly procedureModules: readonly (string | URL)[];
  readonly threadArgv: readonly string[];
  readonly thresholds: Thresholds;
  readonly logger: Logger | undefined;
}

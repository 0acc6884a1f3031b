/** What a catalogue can be told when it is opened; defaults and checks are in the table of options. */
import type { Logger } from 'pino';
import type { Thresholds } from './thresholds.ts';

/** How far a migration has come. */
export interface MigrationProgress {
  readonly version: number;
  readonly name: string;
  /** What is being done, such as `adoption.files`. */
  readonly step: string;
  /** Rows done, of `total`; both 0 where a step has no rows. */
  readonly done: number;
  readonly total: number;
  /** Milliseconds since the first migration began. */
  readonly elapsedMs: number;
}

/** Options of `DatabaseManager.open`; each has a row in the README's table. */
export interface CatalogOptions {
  /** The database file. Default `defensive.db`. */
  readonly database?: string | undefined;
  /** Make the file when it does not exist. Default true. */
  readonly create?: boolean | undefined;
  /** Refuse every change. Default false. */
  readonly readOnly?: boolean | undefined;
  /** `auto` brings the schema up to date at open, `off` refuses a file that is not. Default `auto`. */
  readonly migrate?: 'auto' | 'off' | undefined;
  /** Where the server keeps contents; measured for statistics, never changed. Default `received_files`. */
  readonly storageDir?: string | undefined;
  /** Connections in all, one of them the writer; 1 to 64. Default 5. */
  readonly poolSize?: number | undefined;
  /** Milliseconds a call may wait for a connection. Default 30,000. */
  readonly acquireTimeoutMs?: number | undefined;
  /** Milliseconds to wait for another process's write lock. Default 5,000. */
  readonly busyTimeoutMs?: number | undefined;
  /** Milliseconds `close` waits for what was accepted. Default 30,000. */
  readonly closeTimeoutMs?: number | undefined;
  /** Reads, and writes, that may wait at once. Default 32,768 each. */
  readonly queueLimit?: number | undefined;
  /** `full`: an acknowledged change survives power loss; `normal`: it survives a crash of the process. Default `full`. */
  readonly durability?: 'full' | 'normal' | undefined;
  /** Bytes a new client may store, null for no limit. Default 1 GiB. */
  readonly defaultQuotaBytes?: number | null | undefined;
  /** Days that activity is kept, 1 to 36,500. Default 90. */
  readonly activityRetentionDays?: number | undefined;
  /** Go on where write-ahead logging is impossible, and on network file systems. Default false. */
  readonly allowRollbackJournal?: boolean | undefined;
  /** Make a verified copy before the schema of an existing file is changed. Default true. */
  readonly migrationBackup?: boolean | undefined;
  /** Check integrity and foreign keys before and after the schema is changed. Default true. */
  readonly migrationValidation?: boolean | undefined;
  /** Refuse statements of migrations that can lose data and are not declared. Default true. */
  readonly blockDangerousOperations?: boolean | undefined;
  /** The folder of backups. Default `backups` beside the database. */
  readonly backupDir?: string | undefined;
  /** IANA name of the zone in which an old server wrote dates without one. Default: the system's. */
  readonly legacyTimeZone?: string | undefined;
  /** Hears how far a migration has come while the catalogue is opened. */
  readonly onMigrationProgress?: ((progress: MigrationProgress) => void) | undefined;
  /** Modules whose exported procedures the catalogue can run, as absolute URLs. Default none. */
  readonly procedureModules?: readonly (string | URL)[] | undefined;
  /** Flags of Node.js for the threads of connections, such as a loader of `procedureModules`. Default none. */
  readonly threadArgv?: readonly string[] | undefined;
  /** What `health` warns of; what is left out keeps its default. */
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
  /** Undefined: the system's, or UTC where that names none. */
  readonly legacyTimeZone: string | undefined;
  readonly onMigrationProgress: ((progress: MigrationProgress) => void) | undefined;
  readonly procedureModules: readonly (string | URL)[];
  readonly threadArgv: readonly string[];
  readonly thresholds: Thresholds;
  readonly logger: Logger | undefined;
}

/** The public API. */
import './runtime/node-version.ts';

export type {
  ActivityFilter,
  ActivityPage,
  Analytics,
  ClientTotalsPage,
  GrowthOptions,
  PeriodOptions,
  StorageOptions,
  TotalsAuditOptions,
} from './analytics/analytics.ts';
export type { TotalsAudit, TotalsDifference } from './analytics/audit-procedures.ts';
export type { ClientTotals } from './analytics/client-totals.ts';
export type { Forecast, GrowthDay } from './analytics/growth.ts';
export type { Activity, TransferDay } from './analytics/series-procedures.ts';
export type {
  ClientStats,
  DatabaseInfo,
  FileStats,
  PerformanceInfo,
  StorageInfo,
  StorageStatistics,
} from './analytics/storage.ts';
export type { GroupTotal, SizeBand, TopClient } from './analytics/storage-procedures.ts';
export type { Backup, BackupOptions, BackupPruneOptions, Backups } from './backup/backups.ts';
export type { BackupEntry } from './backup/list.ts';
export type { CatalogCounts, Manifest } from './backup/manifest.ts';
export type { BackupPolicy, BackupPrune, PrunedBackup } from './backup/prune.ts';
export type { DrillResult } from './backup/restore/drill.ts';
export type { RestoreOptions, RestoreResult, RestoreStep } from './backup/restore/restore.ts';
export type { SnapshotProgress } from './backup/snapshot.ts';
export type { BackupVerdict } from './backup/verify.ts';
export type { CatalogEvents, Transaction, TransactionOptions } from './catalog/assembled-catalog.ts';
export type { Maintenance, RepairCounts, RepairOptions } from './catalog/maintenance.ts';
export type { CatalogModules } from './catalog/modules.ts';
export type { CatalogStatus, OpenOptions } from './catalog/open.ts';
export type { RestoreFileOptions } from './catalog/restore-file.ts';
export type { Categories, CategoryInput, Derivation } from './core/categories.ts';
export type { Category } from './core/category-procedures.ts';
export type { Client, ClientKeys } from './core/client-procedures.ts';
export type { ClientInput, ClientPage, Clients } from './core/clients.ts';
export type { CatalogFile } from './core/file-rows.ts';
export type { FailureInput, FilePage, Files, FileVerifyOptions, SaveManyOptions } from './core/files.ts';
export type { Deletion } from './core/freed-paths.ts';
export type { Quota } from './core/quota-rows.ts';
export type { ExecuteResult, QueryOptions, RawSql, SqlRow, SqlValue } from './core/raw-sql.ts';
export type {
  KeptVersion,
  PruneOptions,
  PrunePlan,
  PruneProgress,
  PruneResult,
  PruneScope,
  VersionPruning,
} from './core/retention.ts';
export type { RetentionPolicy } from './core/retention-policy.ts';
export type { QuotaWarning, SaveResult } from './core/save-file.ts';
export type { QuotaState } from './core/save-ledger.ts';
export type { SaveManyResult, SaveProgress } from './core/save-many.ts';
export type { FileVersion } from './core/version-rows.ts';
export type { Versions } from './core/versions.ts';
export { DatabaseManager, type OpenMigrations } from './database-manager.ts';
export * from './errors.ts';
export { type HealthCheck, healthCheck } from './health/health-check.ts';
export { type HealthJson, type HealthJsonCheck, toHealthJson } from './health/health-json.ts';
export type { HealthStatus } from './health/issue.ts';
export {
  HEALTH_CHECKS,
  HEALTH_CODES,
  type HealthCheckName,
  type HealthCheckResult,
  type HealthCode,
  type HealthIssue,
  type HealthOptions,
  type HealthReport,
} from './health/report.ts';
export type { IntegrityOptions, IntegrityProgress, IntegrityReport } from './maintenance/integrity.ts';
export type { Estimate, PlannedMigration } from './migrations/estimate.ts';
export type { AppliedMigration, MigrationStatus, PendingMigration } from './migrations/journal.ts';
export type { RanMigration } from './migrations/migration-run.ts';
export type { Migrator } from './migrations/migrator.ts';
export type { Rehearsal } from './migrations/rehearsal.ts';
export type {
  ChangeOptions,
  MigrationOutcome,
  MigrationPlan,
  MigrationRules,
  MigratorHost,
} from './migrations/schema-change.ts';
export type { AdoptionReport, SchemaVerdict } from './migrations/verification.ts';
export { OPTIONS, type OptionRow } from './options/table.ts';
export { THRESHOLDS, type ThresholdRow, type Thresholds } from './options/thresholds.ts';
export type { CatalogOptions, MigrationProgress } from './options/types.ts';
export type { QuotaAudit, QuotaDrift } from './quota/audit.ts';
export type { QuotaAuditOptions, QuotaInput, QuotaPage, Quotas } from './quota/quotas.ts';
export type { Reservation, Reservations, ReserveOptions } from './quota/reservations.ts';
export type { FreeBytes } from './runtime/disk-space.ts';
export { type DangerousStatement, findDangerousOperations } from './schema/dangerous-operations.ts';
export { fold } from './search/fold.ts';
export type { Search, SearchResult } from './search/search.ts';
export type { SearchFilter, SearchOrder, SearchSort } from './search/search-filter.ts';
export type { CallOptions, ConnectionFigures, EngineStats, WorkFigures } from './sql/engine.ts';
export type { Procedure } from './sql/procedure.ts';
export { type ProcedureTrace, TRACING_CHANNEL } from './sql/tracing.ts';
export type { DateInput } from './values/dates.ts';
export type { FileInput, SaveOptions } from './values/file-input.ts';
export type { IdInput } from './values/ids.ts';
export type { PageOptions } from './values/pages.ts';

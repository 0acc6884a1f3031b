/**
 * The registry of all procedures of the product. The thread of a connection imports this module and finds them by name.
 */
export * from '../analytics/audit-procedures.ts';
export * from '../analytics/client-totals.ts';
export * from '../analytics/series-procedures.ts';
export * from '../analytics/storage-procedures.ts';
export * from '../backup/restore/restore-procedures.ts';
export * from '../backup/sequence-procedures.ts';
export * from '../core/category-procedures.ts';
export * from '../core/client-deletion-procedures.ts';
export * from '../core/client-procedures.ts';
export * from '../core/file-changes.ts';
export * from '../core/file-procedures.ts';
export * from '../core/raw-sql.ts';
export * from '../core/retention-procedures.ts';
export * from '../core/save-file.ts';
export * from '../core/version-procedures.ts';
export * from '../health/health-procedures.ts';
export * from '../maintenance/history.ts';
export * from '../metrics/metrics-procedures.ts';
export * from '../migrations/schema-state.ts';
export * from '../quota/audit-procedures.ts';
export * from '../quota/quota-procedures.ts';
export * from '../quota/reservation-procedures.ts';
export * from '../search/search-index.ts';
export * from '../search/search-procedures.ts';

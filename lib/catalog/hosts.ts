/**
 * What the lower rooms may use of an open catalogue. They may not import it, so each declares a host interface, and
 * this module provides the hosts.
 */
import { recordSizes } from '../analytics/storage-procedures.ts';
import type { BackupHost } from '../backup/backups.ts';
import type { Stored } from '../core/save-file.ts';
import type { HealthHost } from '../health/health.ts';
import { AuditRecorder } from '../maintenance/audits.ts';
import type { Integrity, IntegrityHost } from '../maintenance/integrity.ts';
import type { SaveCounts } from '../metrics/metric-facts.ts';
import type { MetricsHost } from '../metrics/metrics.ts';
import { RELEASE_SCHEMA, standingOf } from '../migrations/journal.ts';
import { schemaState } from '../migrations/schema-state.ts';
import { LIBRARY_VERSION } from '../runtime/version.ts';
import { dayOf, now } from '../values/dates.ts';
import { assertTriggersEnd, foreignTriggersOf } from './foreign-triggers.ts';
import type { MaintenanceHost } from './maintenance.ts';
import type { ModuleContext } from './modules.ts';
import { type Catalog, migrateCopy } from './open.ts';
import { oldZoneOf } from './settings.ts';

/** For the modules; `onSaved` is called after each save. */
export function moduleContext(catalog: Catalog, onSaved: (stored: Stored) => void): ModuleContext {
  const { engine, settings } = catalog;
  const { storageDir, defaultQuotaBytes, readOnly } = settings;
  return {
    file: engine.file,
    storageDir,
    defaultQuotaBytes,
    dialect: engine.dialect,
    inTransaction: false,
    stats: () => engine.stats(),
    callLog: () => engine.callLog(),
    onSaved,
    audits: new AuditRecorder({ readOnly, logger: catalog.logger('health') }),
    readApart: (...call) => catalog.readApart(...call),
  };
}

/** For checks of the whole file. */
export function integrityHost(catalog: Catalog): IntegrityHost {
  const { engine, settings } = catalog;
  const { database, readOnly, thresholds } = settings;
  return { engine, database, readOnly, logger: catalog.logger('health'), deadlineMs: thresholds.checkMs };
}

/** For health. */
export function healthHost(catalog: Catalog, integrity: Integrity): HealthHost {
  const { engine, settings } = catalog;
  const { readOnly, thresholds, poolSize } = settings;
  return {
    engine,
    readOnly,
    poolSize,
    thresholds,
    integrity,
    logger: catalog.logger('health'),
    foreignTriggers: (call) => foreignTriggersOf(engine, call),
    standing: async (call) => standingOf(await engine.run(schemaState, null, call)),
    recordSizes: async (sizes) => {
      const measuredAt = now();
      const day = { date: dayOf(measuredAt), measuredAt, storageBytes: null };
      await engine.run(recordSizes, { ...sizes, ...day });
    },
  };
}

/** For metrics; `saves` counts the saves of this catalogue. */
export function metricsHost({ engine }: Catalog, openedAt: number, saves: () => SaveCounts): MetricsHost {
  return { engine, libraryVersion: LIBRARY_VERSION, openedAt, saves };
}

/** For backups. */
export function backupHost(catalog: Catalog): BackupHost {
  const { engine, settings } = catalog;
  const { database, backupDir, readOnly } = settings;
  return {
    engine,
    database,
    backupDir,
    readOnly,
    logger: catalog.logger('backups'),
    migrateCopy: (copy) => migrateCopy(settings, copy),
    release: RELEASE_SCHEMA,
  };
}

/** For maintenance. */
export function maintenanceHost(catalog: Catalog, integrity: Integrity): MaintenanceHost {
  const { engine, settings } = catalog;
  const { database, backupDir, defaultQuotaBytes } = settings;
  return {
    engine,
    database,
    backupDir,
    context: () => ({ timeZone: oldZoneOf(settings).legacyTimeZone, defaultQuotaBytes, legacy: false }),
    assumesZone: () => oldZoneOf(settings).assumesZone,
    assertTriggersEnd: (signal) => assertTriggersEnd(catalog, (copy) => migrateCopy(settings, copy), signal),
    integrity,
    logger: catalog.logger('maintenance'),
  };
}

/** The settings of a catalogue: its options and values derived from them, without reading the file. */
import { dirname, join, resolve } from 'node:path';
import type { Logger } from 'pino';
import type { MigrationRules } from '../migrations/schema-change.ts';
import type { ResolvedOptions } from '../options/types.ts';
import { silentLogger } from '../runtime/silent-logger.ts';
import { namedTimeZone, systemTimeZone } from '../runtime/time-zone.ts';

/** The options of a catalogue with every path absolute, and a logger in any case. */
export interface CatalogSettings extends Omit<ResolvedOptions, 'backupDir' | 'logger'> {
  readonly backupDir: string;
  readonly logger: Logger;
}

/** Derives the settings for a database from its options and path. */
export function settingsOf(options: ResolvedOptions, database: string): CatalogSettings {
  return {
    ...options,
    database,
    storageDir: resolve(options.storageDir),
    backupDir: resolve(options.backupDir ?? join(dirname(database), 'backups')),
    logger: options.logger ?? silentLogger,
  };
}

/** The settings of a copy that nobody else has open. */
export const copySettings = (settings: CatalogSettings, database: string): CatalogSettings => ({
  ...settings,
  database,
  readOnly: false,
  migrate: 'auto',
  poolSize: 2,
});

/** The time zone of old dates without one. */
interface OldZone {
  readonly legacyTimeZone: string;
  /** Whether it is UTC only because neither the caller nor the system names one. */
  readonly assumesZone: boolean;
}

/** Finds the time zone. Only for work with old dates: Intl takes 12 ms to name the system's, too long for opening. */
export const oldZoneOf = ({ legacyTimeZone }: CatalogSettings): OldZone => ({
  legacyTimeZone: legacyTimeZone ?? systemTimeZone(),
  assumesZone: legacyTimeZone === undefined && namedTimeZone() === undefined,
});

/** The rules of migrations; the time zone is found on demand. */
export const rulesOf = (settings: CatalogSettings): MigrationRules => ({
  ...settings,
  get legacyTimeZone() {
    return oldZoneOf(settings).legacyTimeZone;
  },
  get assumesZone() {
    return oldZoneOf(settings).assumesZone;
  },
});

/** The settings of a catalogue: its options, and what follows from them. Asks nothing of the file. */
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

/** The settings that follow from the options of a database at a path. */
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

/** The zone in which old dates without one are read. */
interface OldZone {
  readonly legacyTimeZone: string;
  /** Whether it is UTC only because neither the caller nor the system names one. */
  readonly assumesZone: boolean;
}

/** Finds the zone. Only for work that meets old dates: Intl takes 12 ms to name the system's, too long for an opening. */
export const oldZoneOf = ({ legacyTimeZone }: CatalogSettings): OldZone => ({
  legacyTimeZone: legacyTimeZone ?? systemTimeZone(),
  assumesZone: legacyTimeZone === undefined && namedTimeZone() === undefined,
});

/** The rules of migrations; the zone is found when a migration asks for it. */
export const rulesOf = (settings: CatalogSettings): MigrationRules => ({
  ...settings,
  get legacyTimeZone() {
    return oldZoneOf(settings).legacyTimeZone;
  },
  get assumesZone() {
    return oldZoneOf(settings).assumesZone;
  },
});

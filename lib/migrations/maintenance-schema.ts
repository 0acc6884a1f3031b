/** The catalogue's identity, and the history of its maintenance. */
import type { MigrationStep } from '../schema/migration.ts';

const maintenanceHistory: MigrationStep = {
  name: 'maintenance-history',
  up: [
    `CREATE TABLE catalog_identity (
      ID INTEGER PRIMARY KEY CHECK (ID = 1),
      DatabaseID VARCHAR(32) NOT NULL
    )`,
    'INSERT INTO catalog_identity (ID, DatabaseID) VALUES (1, lower(hex(randomblob(16))))',
    `CREATE TABLE maintenance_history (
      ID INTEGER PRIMARY KEY AUTOINCREMENT,
      Kind VARCHAR(50) NOT NULL,
      StartedAt TEXT NOT NULL,
      DurationMs INTEGER NOT NULL,
      Succeeded BOOLEAN NOT NULL,
      Detail TEXT
    )`,
    'CREATE INDEX idx_maintenance_history_kind ON maintenance_history(Kind, ID)',
  ],
  down: ['DROP TABLE maintenance_history', 'DROP TABLE catalog_identity'],
  declares: { down: ['DROP TABLE'] },
  loses: 'the identity by which its backups are known, and the history of backups, drills and restores',
  safeVersion: 5,
};

export const maintenanceSchema: readonly MigrationStep[] = [maintenanceHistory];

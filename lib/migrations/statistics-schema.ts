/**
 * Totals that every change updates, so that statistics never scan files: by kind of file, by client, and by client and
 * day. Triggers maintain them, so raw SQL and an old server are counted as well. `analytics.audit` recomputes them.
 */

import type { MigrationStep } from '../schema/migration.ts';
import { AS_STORED, kindOf, totalTriggers } from './counting-triggers.ts';

const TRIGGERS = totalTriggers(AS_STORED);

const TABLES: Readonly<Record<string, string>> = {
  file_totals: `(
    Category VARCHAR(50) NOT NULL,
    Extension VARCHAR(255) NOT NULL,
    SizeBand INTEGER NOT NULL,
    Verified INTEGER NOT NULL,
    Files INTEGER NOT NULL,
    Bytes INTEGER NOT NULL,
    PRIMARY KEY (Category, Extension, SizeBand, Verified)
  )`,
  daily_totals: `(
    Date TEXT NOT NULL,
    ClientID BLOB(16) NOT NULL REFERENCES clients(ID) ON DELETE CASCADE,
    Files INTEGER NOT NULL,
    Bytes INTEGER NOT NULL,
    UsedBytes INTEGER NOT NULL,
    PRIMARY KEY (ClientID, Date)
  )`,
  daily_sizes: `(
    Date TEXT PRIMARY KEY,
    DatabaseBytes INTEGER NOT NULL,
    FreeDiskBytes INTEGER NOT NULL,
    StorageBytes INTEGER,
    MeasuredAt TEXT NOT NULL
  )`,
};

const FILE = kindOf('files', AS_STORED);

export const runningTotals: MigrationStep = {
  name: 'running-totals',
  up: [
    ...Object.entries(TABLES).map(([name, columns]) => `CREATE TABLE ${name} ${columns}`),
    'ALTER TABLE client_quotas ADD COLUMN FileCount INTEGER NOT NULL DEFAULT 0',
    'ALTER TABLE client_quotas ADD COLUMN FileBytes INTEGER NOT NULL DEFAULT 0',
    `INSERT INTO file_totals (Category, Extension, SizeBand, Verified, Files, Bytes)
      SELECT ${FILE.category}, ${FILE.extension}, ${FILE.band}, ${FILE.verified}, count(*), sum(${FILE.bytes})
      FROM files GROUP BY 1, 2, 3, 4`,
    `UPDATE client_quotas SET
      FileCount = (SELECT count(*) FROM files WHERE files.ClientID = client_quotas.ClientID),
      FileBytes = (SELECT coalesce(sum(${FILE.bytes}), 0) FROM files WHERE files.ClientID = client_quotas.ClientID)`,
    `INSERT INTO daily_totals (Date, ClientID, Files, Bytes, UsedBytes)
      SELECT date('now'), ClientID, FileCount, FileBytes, coalesce(UsedBytes, 0) FROM client_quotas WHERE FileCount > 0`,
    ...Object.entries(TRIGGERS).map(([name, body]) => `CREATE TRIGGER ${name} ${body}`),
  ],
  down: [
    ...Object.keys(TRIGGERS).map((name) => `DROP TRIGGER ${name}`),
    'ALTER TABLE client_quotas DROP COLUMN FileBytes',
    'ALTER TABLE client_quotas DROP COLUMN FileCount',
    ...Object.keys(TABLES).map((name) => `DROP TABLE ${name}`),
  ],
  declares: { up: ['UPDATE without WHERE'], down: ['DROP COLUMN', 'DROP TABLE'] },
  loses: 'the daily totals of clients, and the daily sizes of database, disk and folder of contents',
  cost: { table: 'files', upMicroseconds: 0.9, downMicroseconds: 0, bytes: 0 },
  safeVersion: 5,
};

/**
 * Clients under deletion: a client with many files is deleted in slices, and any process that opens the catalogue can
 * finish.
 */
import type { MigrationStep } from '../schema/migration.ts';
import { finishDeletions } from './deletion-work.ts';

const clientDeletions: MigrationStep = {
  name: 'client-deletions',
  up: [
    `CREATE TABLE client_deletions (
      ClientID BLOB(16) PRIMARY KEY,
      StartedAt TEXT NOT NULL,
      TouchedAt TEXT NOT NULL,
      Owner VARCHAR(64) NOT NULL
    )`,
  ],
  down: ['DROP TABLE client_deletions'],
  // The older schema cannot show that such a client is half deleted.
  work: { revision: 1, down: [finishDeletions] },
  declares: { down: ['DROP TABLE'] },
  loses: null,
  safeVersion: 5,
};

export const deletionSchema: readonly MigrationStep[] = [clientDeletions];

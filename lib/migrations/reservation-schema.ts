/** Reservations hold room for uploads under way, in the database so that every process counts it. */
import type { MigrationStep } from '../schema/migration.ts';

// The first index alone answers the sum of a client's live reservations, which every save needs; the second finds
// expired ones. ExpiresAt is a text in the stored form of dates, which sorts by time.
const quotaReservations: MigrationStep = {
  name: 'quota-reservations',
  up: [
    `CREATE TABLE quota_reservations (
      ID BLOB(16) PRIMARY KEY,
      ClientID BLOB(16) NOT NULL REFERENCES clients(ID) ON DELETE CASCADE,
      Bytes INTEGER NOT NULL,
      ExpiresAt TEXT NOT NULL
    )`,
    'CREATE INDEX idx_quota_reservations_client ON quota_reservations(ClientID, ExpiresAt, Bytes)',
    'CREATE INDEX idx_quota_reservations_expiry ON quota_reservations(ExpiresAt)',
  ],
  down: ['DROP TABLE quota_reservations'],
  declares: { down: ['DROP TABLE'] },
  loses: 'room held for uploads under way',
  safeVersion: 5,
};

export const reservationSchema: readonly MigrationStep[] = [quotaReservations];

/** What tells the clients near their limit without a look at every client, and gives every client a quota. */
import { UNLIMITED_BYTES } from '../core/client-procedures.ts';
import { QUOTA_WARNED } from '../core/quota-warnings.ts';
import type { MigrationStep } from './migration.ts';

// Almost always empty: a save pays for two comparisons.
const quotaWarnings: MigrationStep = {
  name: 'quota-warnings',
  up: [`CREATE INDEX idx_client_quotas_warned ON client_quotas(ClientID) WHERE ${QUOTA_WARNED}`],
  down: ['DROP INDEX idx_client_quotas_warned'],
  safeVersion: 5,
};

const used = 'SELECT total(v.FileSize) FROM files f JOIN file_versions v ON v.FileID = f.ID WHERE f.ClientID = c.ID';
const DEFAULT_BYTES = 1_073_741_824; // the default of the column, which an old server's schema has as well

// A trigger, so that clients which raw SQL or an old server inserts are counted from their first file on. Without a
// conflict clause: that of the statement which fires a trigger takes the place of its own.
const quotaOfEveryClient: MigrationStep = {
  name: 'quota-of-every-client',
  up: [
    `ALTER TABLE catalog_identity ADD COLUMN DefaultQuotaBytes INTEGER NOT NULL DEFAULT ${DEFAULT_BYTES}`,
    `INSERT INTO client_quotas (ClientID, QuotaBytes, UsedBytes, LastUpdated, FileCount, FileBytes)
      SELECT c.ID, max(${DEFAULT_BYTES}, min(2 * (${used}), ${UNLIMITED_BYTES})), (${used}),
      strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), (SELECT count(*) FROM files f WHERE f.ClientID = c.ID),
      (SELECT coalesce(sum(CASE WHEN f.FileSize > 0 THEN f.FileSize ELSE 0 END), 0) FROM files f
        WHERE f.ClientID = c.ID)
      FROM clients c WHERE c.ID IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM client_quotas q WHERE q.ClientID = c.ID)`,
    `CREATE TRIGGER catalog_client_inserted AFTER INSERT ON clients WHEN NEW.ID IS NOT NULL BEGIN
      INSERT INTO client_quotas (ClientID, QuotaBytes, UsedBytes, LastUpdated)
      SELECT NEW.ID, DefaultQuotaBytes, 0, strftime('%Y-%m-%dT%H:%M:%fZ', 'now') FROM catalog_identity
      WHERE NOT EXISTS (SELECT 1 FROM client_quotas WHERE ClientID = NEW.ID); END`,
  ],
  down: ['DROP TRIGGER catalog_client_inserted', 'ALTER TABLE catalog_identity DROP COLUMN DefaultQuotaBytes'],
  declares: { down: ['DROP COLUMN'] },
  loses: 'what clients may store that another program inserts; the next opening tells it again',
  safeVersion: null, // an older release inserts the quota of a new client itself
};

export const quotaSchema: readonly MigrationStep[] = [quotaWarnings, quotaOfEveryClient];

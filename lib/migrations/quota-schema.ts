/** What tells the clients near their limit without a look at every client. */
import { QUOTA_WARNED } from '../core/quota-warnings.ts';
import type { MigrationStep } from '../schema/migration.ts';

// Almost always empty: a save pays for two comparisons.
const quotaWarnings: MigrationStep = {
  name: 'quota-warnings',
  up: [`CREATE INDEX idx_client_quotas_warned ON client_quotas(ClientID) WHERE ${QUOTA_WARNED}`],
  down: ['DROP INDEX idx_client_quotas_warned'],
  safeVersion: 5,
};

export const quotaSchema: readonly MigrationStep[] = [quotaWarnings];

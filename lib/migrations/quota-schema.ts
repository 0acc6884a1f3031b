/** Finds the clients near their limit without reading every client. */
import { QUOTA_WARNED } from '../core/quota-warnings.ts';
import type { MigrationStep } from '../schema/migration.ts';

// Almost always empty, so a save pays only for two comparisons.
const quotaWarnings: MigrationStep = {
  name: 'quota-warnings',
  up: [`CREATE INDEX idx_client_quotas_warned ON client_quotas(ClientID) WHERE ${QUOTA_WARNED}`],
  down: ['DROP INDEX idx_client_quotas_warned'],
  safeVersion: 5,
};

export const quotaSchema: readonly MigrationStep[] = [quotaWarnings];

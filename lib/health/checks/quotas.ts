/** Checks how many clients are near or over their quota. */
import { check } from '../check.ts';
import { warning } from '../issue.ts';
import { exceeds, found, judged, pass } from '../verdict.ts';

export const quotas = check({
  name: 'quotas',
  json: 'quotas:warned',
  type: 'datastore',
  unit: 'clients',
  about: 'clients near or over their quota',
  ask: ['quotas'],
  codes: { HEALTH_QUOTA_WARNING: 'more clients than `quotaWarnings` are near or over their quota' },
  judge: ({ facts, thresholds }) =>
    judged(facts.quotas, (clients) => {
      if (!exceeds(clients, thresholds.quotaWarnings)) return pass(clients);
      const message = `${clients} clients have reached the warning threshold of their quota`;
      return found(clients, warning('HEALTH_QUOTA_WARNING', message, 'Raise their quotas or prune old versions.'));
    }),
});

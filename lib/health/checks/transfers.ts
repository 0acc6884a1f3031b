/** Checks how many transfers of today and yesterday failed. */
import { check } from '../check.ts';
import { warning } from '../issue.ts';
import { transfersFrom } from '../questions.ts';
import { exceeds, found, judged, pass, rounded } from '../verdict.ts';

export const transfers = check({
  name: 'transfers',
  json: 'transfers:failed',
  type: 'datastore',
  unit: 'part',
  about: 'failed transfers of today and yesterday',
  ask: ['transfers'],
  codes: { HEALTH_TRANSFERS_FAILING: 'more transfers than `failedTransfers` failed' },
  judge: ({ facts, thresholds }) =>
    judged(facts.transfers, ({ attempts, failed }) => {
      const part = attempts === 0 ? 0 : rounded(failed / attempts);
      if (!exceeds(part, thresholds.failedTransfers)) return pass(part);
      const message = `${failed} of ${attempts} transfers since ${transfersFrom(facts.at)} failed`;
      return found(
        part,
        warning('HEALTH_TRANSFERS_FAILING', message, '`analytics.activity` lists them with the reasons.'),
      );
    }),
});

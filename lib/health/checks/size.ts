/** Checks how fast the database grows, and how much of it is free. */
import { DAY_MS } from '../../values/intervals.ts';
import { check } from '../check.ts';
import { warning } from '../issue.ts';
import { exceeds, found, judged, pass, percent, rounded, UNKNOWN } from '../verdict.ts';

const growth = check({
  name: 'growth',
  json: 'database:growth',
  type: 'datastore',
  unit: 'part',
  about: 'growth per day, from earlier measurements',
  ask: ['sizes', 'files'],
  codes: { HEALTH_GROWTH: 'the database grew by more than `growth` in a day' },
  judge: ({ facts: { at, sizes, files }, thresholds }) =>
    judged(sizes, ({ before }) => {
      if (before === null || before.bytes === 0 || !('value' in files)) return UNKNOWN;
      const { databaseBytes } = files.value;
      // Measurements of two days may be only minutes apart, which gives no rate.
      const days = Math.max(1, (at - Date.parse(before.measuredAt)) / DAY_MS);
      const perDay = rounded((databaseBytes - before.bytes) / before.bytes / days);
      const isJudged = databaseBytes > thresholds.growthFromBytes;
      if (!isJudged || !exceeds(perDay, thresholds.growth)) return pass(perDay);
      const message = `the database grew by ${percent(perDay)} a day, from ${before.bytes} to ${databaseBytes} bytes`;
      const hint =
        'Find out which client stores so much (`analytics.growth`, CLI: `stats`), and whether the disk is large enough.';
      return found(perDay, warning('HEALTH_GROWTH', message, hint));
    }),
});

const freePages = check({
  name: 'freePages',
  json: 'database:freePages',
  type: 'datastore',
  unit: 'part',
  about: 'free pages',
  ask: ['schema'],
  codes: { HEALTH_FREE_PAGES: 'more of the database than `freePages` is free' },
  judge: ({ facts, thresholds }) =>
    judged(facts.schema, (schema) => {
      const part = schema.pages === 0 ? 0 : rounded(schema.freePages / schema.pages);
      if (!exceeds(part, thresholds.freePages)) return pass(part);
      const message = `${percent(part)} of the database is free`;
      return found(part, warning('HEALTH_FREE_PAGES', message, 'New rows reuse it; VACUUM returns it to the disk.'));
    }),
});

export const SIZE = [growth, freePages] as const;

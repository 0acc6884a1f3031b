/** Whether the schema is the one of this release. */
import { check } from '../check.ts';
import { failure, warning } from '../issue.ts';
import { found, judged, pass } from '../verdict.ts';

export const migrations = check({
  name: 'migrations',
  json: 'migrations:pending',
  type: 'datastore',
  unit: 'migrations',
  about: 'migrations that are pending',
  ask: ['standing'],
  codes: {},
  judge: ({ facts }) =>
    judged(facts.standing, ({ pending, problem, isReadable }) => {
      if (!isReadable) {
        const hint = 'Another program took them away: restore the newest verified backup.';
        return found(pending, failure('CATALOG_CORRUPT', "the catalogue's own tables are not there", hint));
      }
      if (problem === undefined) return pass(pending);
      const { code, message, hint } = problem;
      return found(pending, warning(code, message, hint));
    }),
});

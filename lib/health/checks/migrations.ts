/** Checks whether the schema is that of this release. */
import { check } from '../check.ts';
import type { Answer } from '../deadline.ts';
import { failure, type Issue, warning } from '../issue.ts';
import { found, judged, pass } from '../verdict.ts';

const MOST_NAMED = 5; // triggers

function triggerIssues(answer: Answer<readonly string[]>): Issue<'HEALTH_FOREIGN_TRIGGER'>[] {
  if (!('value' in answer) || answer.value.length === 0) return [];
  const more = answer.value.length - MOST_NAMED;
  const names = `${answer.value.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  const message = `tables of the catalogue have triggers of another program: ${names}`;
  const hint = 'They run with every change. Keep them if they are yours and terminate; drop unknown ones.';
  return [warning('HEALTH_FOREIGN_TRIGGER', message, hint)];
}

export const migrations = check({
  name: 'migrations',
  json: 'migrations:pending',
  type: 'datastore',
  unit: 'migrations',
  about: 'pending migrations',
  ask: ['standing', 'foreignTriggers'],
  codes: { HEALTH_FOREIGN_TRIGGER: 'tables of the catalogue have triggers of another program' },
  judge: ({ facts }) => {
    const verdict = judged(facts.standing, ({ pending, problem, isReadable }) => {
      if (!isReadable) {
        const hint = 'Another program removed them: restore the newest verified backup.';
        return found(pending, failure('CATALOG_CORRUPT', "the catalogue's tables are missing", hint));
      }
      if (problem === undefined) return pass(pending);
      const { code, message, hint } = problem;
      return found(pending, warning(code, message, hint));
    });
    return { ...verdict, issues: [...verdict.issues, ...triggerIssues(facts.foreignTriggers)] };
  },
});

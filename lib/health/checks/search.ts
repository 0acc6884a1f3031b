/** Checks whether the search index is usable, and how far it is behind. */
import { check } from '../check.ts';
import { warning } from '../issue.ts';
import { exceeds, found, judged } from '../verdict.ts';

const REPAIR = 'Searches stay exact but are slow. Rebuild the index (`maintenance.repair`, CLI: `doctor --fix`).';
const BEHIND = 'Searches stay exact but are slower; the open catalogue indexes the backlog in the background.';

const problemOf = (message: string, hint: string) => warning('HEALTH_SEARCH_INDEX', message, hint);

export const search = check({
  name: 'search',
  json: 'search:waiting',
  type: 'datastore',
  unit: 'files',
  about: 'the search index and its backlog',
  ask: ['search'],
  codes: { HEALTH_SEARCH_INDEX: 'the search index is behind, lacks files, or cannot be read or written' },
  judge: ({ facts, thresholds }) => {
    const { failures, lastError } = facts.stats.beforeCommit;
    return judged(facts.search, ({ waiting, problem }) => {
      const issues = [];
      if (problem !== null) issues.push(problemOf(`the search index cannot be used: ${problem}`, REPAIR));
      if (exceeds(waiting, thresholds.searchBacklog)) {
        issues.push(problemOf(`at least ${waiting} files are not in the search index yet`, BEHIND));
      }
      if (failures > 0) {
        issues.push(problemOf(`keeping the search index failed ${failures} times: ${lastError}`, REPAIR));
      }
      return found(waiting, ...issues);
    });
  },
});

/** Checks whether other users may read or write the files. */
import { check } from '../check.ts';
import { warning } from '../issue.ts';
import { found, judged, pass } from '../verdict.ts';

export const fileModes = check({
  name: 'fileModes',
  json: 'files:mode',
  type: 'system',
  unit: null,
  about: 'who may read the files',
  ask: ['files'],
  codes: { HEALTH_FILE_MODE: 'other users may read or write the files of the catalogue' },
  judge: ({ facts }) =>
    judged(facts.files, ({ open }) => {
      if (open.length === 0) return pass('0600');
      const message = `other users may read or write ${open.join(', ')}`;
      return found(
        open.join(', '),
        warning('HEALTH_FILE_MODE', message, 'Set mode 600 (chmod 600), because the catalogue holds keys.'),
      );
    }),
});

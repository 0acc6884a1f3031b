/** `npm run lint:migrations`: reports what is wrong with the migrations, and exits with 1 if anything is. */
import { MIGRATIONS } from '../lib/migrations/migration-list.ts';
import { lintMigrations } from './migration-rules.ts';
import released from './released-migrations.json' with { type: 'json' };

const problems = lintMigrations(MIGRATIONS, released);
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

/** `npm run schema:dump`: updates docs/schema.sql. */
import { writeFileSync } from 'node:fs';
import { MIGRATIONS } from '../lib/migrations/migration-list.ts';
import { schemaText } from './schema-text.ts';

writeFileSync(new URL('../docs/schema.sql', import.meta.url), schemaText(MIGRATIONS));

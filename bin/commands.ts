/** The commands, in the order of the help. */
import type { CommandSpec } from './command.ts';
import { backup } from './commands/backup.ts';
import { backups } from './commands/backups.ts';
import { categories } from './commands/categories.ts';
import { checkCommand } from './commands/check.ts';
import { clients } from './commands/clients.ts';
import { completion } from './commands/completion.ts';
import { doctor } from './commands/doctor.ts';
import { health } from './commands/health.ts';
import { ingest } from './commands/ingest.ts';
import { migrate } from './commands/migrate.ts';
import { prune } from './commands/prune.ts';
import { query } from './commands/query.ts';
import { quota } from './commands/quota.ts';
import { restore } from './commands/restore.ts';
import { rollback } from './commands/rollback.ts';
import { search } from './commands/search.ts';
import { stats } from './commands/stats.ts';
import { status } from './commands/status.ts';
import { versions } from './commands/versions.ts';

export const COMMANDS: readonly CommandSpec[] = [
  ingest,
  status,
  stats,
  search,
  versions,
  clients,
  categories,
  quota,
  prune,
  backup,
  backups,
  restore,
  health,
  checkCommand,
  doctor,
  migrate,
  rollback,
  query,
  completion,
];

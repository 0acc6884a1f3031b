/** `backup`: makes a verified backup of the catalogue while it is in use, and prints where it is. */

import { showBackup } from '../backup-progress.ts';
import type { CommandSpec } from '../command.ts';
import { formatBytes, formatCount, printable } from '../format.ts';
import { interruptible } from '../interrupt.ts';
import { printJson, printLine, tell } from '../output.ts';

interface BackupSettings {
  readonly output?: string;
  readonly compress?: boolean;
  readonly reason?: string;
}

export const backup: CommandSpec<BackupSettings> = {
  name: 'backup',
  summary: 'Make a verified backup of the catalogue, also while it is in use; prints its path',
  example: 'backup --compress',
  configure: (command) =>
    command
      .option('--output <file>', 'where to (default: a file of its own in the folder of backups)')
      .option('--compress', 'store it compressed by zstd')
      .option('--reason <text>', 'kept in its manifest (default: manual)'),
  run: ({ options: { output: path, compress, reason }, json, logger, withCatalog }) =>
    withCatalog(async (db) => {
      const shown = showBackup(logger);
      const { onProgress } = shown;
      let stopped: number | undefined;
      try {
        const { result, stoppedBy } = await interruptible(async (signal) => {
          try {
            return await db.backups.create({ path, compress, reason, onProgress, signal });
          } catch (error) {
            if (signal.aborted) return undefined;
            throw error;
          }
        });
        stopped = stoppedBy;
        shown.stop();
        if (result === undefined) {
          tell('stopped: no backup was made');
        } else if (json) {
          printJson(result);
        } else {
          printLine(printable(result.path));
          const { clients, files, versions } = result.counts;
          const held = `${formatCount(clients)} clients, ${formatCount(files)} files, ${formatCount(versions)} versions`;
          tell(`verified: ${held}; ${formatBytes(result.bytes)}`);
        }
      } finally {
        shown.stop();
      }
      return stopped ?? 0;
    }),
};

/** `backup`: makes a verified backup of the catalogue while it is in use, and prints where it is. */
import type { Backup, SnapshotProgress } from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { UsageError } from '../errors.ts';
import { formatBytes, formatNumberOf, printable } from '../format.ts';
import { unlessStopped } from '../interrupt.ts';
import { printJson, printLine, tell } from '../output.ts';
import { withProgress } from '../progress.ts';

interface BackupSettings {
  readonly output?: string;
  readonly compress?: boolean;
  readonly reason?: string;
}

const LABELS = { copy: 'copying', check: 'checking' } as const;

function describe({ path, counts, bytes }: Backup): void {
  printLine(printable(path));
  const { clients, files, versions } = counts;
  const held = [
    formatNumberOf(clients, 'client'),
    formatNumberOf(files, 'file'),
    formatNumberOf(versions, 'version'),
  ].join(', ');
  tell(`verified: ${held}; ${formatBytes(bytes)}`);
}

/** @throws {UsageError} where the name of the file and `--compress` contradict each other */
function refuseEnding(path: string | undefined, compress: boolean): void {
  if (path === undefined || path === '' || path.endsWith('.zst') === compress) return;
  const accepted = compress
    ? 'a name that ends in .zst, because of --compress'
    : 'a name without .zst, or --compress with it';
  throw new UsageError(`--output: got ${printable(path)}; accepted: ${accepted}`);
}

export const backup: CommandSpec<BackupSettings> = {
  name: 'backup',
  summary: 'Make a verified backup of the catalogue, even while it is in use; prints its path',
  example: 'backup --compress',
  flags: { path: '--output' },
  configure: (command) =>
    command
      .option('--output <file>', 'the file to write (default: a new file in the folder of backups)')
      .option('--compress', 'compress it with zstd')
      .option('--reason <text>', 'a reason for the manifest (default: manual)'),
  run({ options: { output: path, compress, reason }, json, logger, withCatalog }) {
    refuseEnding(path, compress === true);
    return withCatalog(async (db) => {
      const { result, stoppedBy } = await withProgress(
        {
          shown: ({ step, done, total }: SnapshotProgress) => ({
            done,
            total,
            words: `${LABELS[step]}  ${formatBytes(done)} of ${formatBytes(total)}`,
          }),
          logged: (progress) => logger.debug({ ...progress }, 'backup'),
        },
        (onProgress) => unlessStopped((signal) => db.backups.create({ path, compress, reason, onProgress, signal })),
      );
      if (result === undefined) tell('stopped: no backup was made');
      else if (json) printJson(result);
      else describe(result);
      return stoppedBy ?? 0;
    }, 'record');
  },
};

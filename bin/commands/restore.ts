/** `restore`: replaces the catalogue, whatever its state, with a backup, after confirmation. */
import type { RestoreStep } from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { mayGoOn } from '../confirm.ts';
import { formatCount, formatDate, formatDuration, printable } from '../format.ts';
import { printJson, printLine, tell } from '../output.ts';
import { fields } from '../table.ts';

interface RestoreSettings {
  readonly yes?: boolean;
  readonly allowMissingManifest?: boolean;
}

const STEPS: Readonly<Record<RestoreStep, string>> = {
  read: 'reading and verifying the backup',
  migrate: 'bringing it up to date',
  check: 'checking the result',
  safety: 'backing up the present state',
  swap: 'putting it in place',
  health: 'checking the restored catalogue',
};

/** Prints the step of a restore that begins. */
const tellStep = ({ step }: { readonly step: RestoreStep }): void => tell(`${STEPS[step]} …`);

export const restore: CommandSpec<RestoreSettings> = {
  name: 'restore',
  summary: 'Replace a catalogue that is in use, damaged or lost with a backup; the old state is kept',
  flags: { from: '<file>' },
  example: 'restore backups/defensive-20251120T101500123Z.db',
  configure: (command) =>
    command
      .argument('<file>', 'the backup, which is verified before anything changes')
      .option('--yes', 'do not ask; needed where there is no terminal')
      .option('--allow-missing-manifest', 'accept a sound file without a manifest'),
  async run({ args: [file = ''], options, json, database, restoreCatalog }) {
    const text = `Replace the catalogue ${printable(database)} with ${printable(file)}?`;
    if (!(await mayGoOn(options.yes, { command: 'restore', text }))) return 0;
    const result = await restoreCatalog(file, {
      allowMissingManifest: options.allowMissingManifest === true,
      onProgress: tellStep,
    });
    if (json) {
      printJson(result);
      return 0;
    }
    const { manifest, counts, safetyCopy, damaged, durationMs } = result;
    printLine(
      fields([
        ['Restored', result.path],
        ['State of', manifest === null ? 'not known' : formatDate(manifest.createdAt)],
        ['Clients', formatCount(counts.clients)],
        ['Files', formatCount(counts.files)],
        ['Versions', formatCount(counts.versions)],
        ...(safetyCopy === null ? [] : [['Old state in', safetyCopy] as const]),
        ...damaged.map((path) => ['Damaged, kept as', path] as const),
        ['Took', formatDuration(durationMs)],
      ]),
    );
    return 0;
  },
};

/** `restore`: puts a backup in the place of the catalogue, whatever state that is in, once somebody has said yes. */
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
  safety: 'keeping the present state as a backup',
  swap: 'putting it in place',
  health: 'checking the restored catalogue',
};

/** Tells which part of a restore begins. */
const tellStep = ({ step }: { readonly step: RestoreStep }): void => tell(`${STEPS[step]} …`);

export const restore: CommandSpec<RestoreSettings> = {
  name: 'restore',
  summary: 'Restore a backup: in place of a catalogue that is in use, damaged or gone; what was there is kept',
  flags: { from: '<file>' },
  example: 'restore backups/defensive-20251120T101500123Z.db',
  configure: (command) =>
    command
      .argument('<file>', 'the backup; it is verified before anything is changed')
      .option('--yes', 'do not ask; needed where there is no terminal')
      .option('--allow-missing-manifest', 'take a file that has no manifest, if it is sound by itself'),
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
        ...(safetyCopy === null ? [] : [['Before is in', safetyCopy] as const]),
        ...damaged.map((path) => ['Damaged, kept as', path] as const),
        ['Took', formatDuration(durationMs)],
      ]),
    );
    return 0;
  },
};

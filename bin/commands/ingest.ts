/** `ingest`: catalogues a folder for a client, and creates the client if it does not exist. */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Option } from 'commander';
import { DatabaseError, type DatabaseManager } from '../../lib/index.ts';
import type { Call, CommandSpec, ExitCode } from '../command.ts';
import { FAILED, tellError, tellWarning, UsageError } from '../errors.ts';
import { formatBytes, formatCount, formatNumberOf, printable, withReadableSizes } from '../format.ts';
import { type IngestResult, ingest as ingestFiles } from '../ingest.ts';
import { showIngest } from '../ingest-progress.ts';
import { type Interruptible, interruptible } from '../interrupt.ts';
import { printJson, printLine, tell } from '../output.ts';
import { lookalikes } from './client-by-name.ts';
import { LIMIT_HELP, type Limit, limitBytes, parseLimit } from './limit.ts';

interface IngestOptions {
  readonly client: string;
  readonly quota?: Limit | undefined;
}

async function existingFolder(path: string): Promise<string> {
  // An unset variable of a script would otherwise mean the current folder.
  if (path === '') throw new UsageError('the name of the folder is empty; `.` is the current folder');
  const folder = resolve(path);
  try {
    if ((await stat(folder)).isDirectory()) return folder;
  } catch (error) {
    const hint = 'Check the path and its permissions.';
    throw new DatabaseError('CATALOG_IO', `${folder} cannot be read`, { cause: error, hint });
  }
  throw new UsageError(`${folder} is not a folder; give the folder that contains the file`);
}

/** The id of the client, which is created with its quota in one transaction if necessary. */
async function clientFor(db: DatabaseManager, { client: name, quota }: IngestOptions): Promise<string> {
  const { id, isNew } = await db.transaction(async (tx) => {
    const known = await tx.clients.getByName(name);
    if (known !== null) return { id: known.id, isNew: false };
    const made = await tx.clients.save({ name });
    await tx.quotas.set(made.id, { quotaBytes: limitBytes(quota ?? 'unlimited') });
    return { id: made.id, isNew: true };
  });
  if (isNew) await tellNew(db, { id, name });
  else if (quota !== undefined) tell(`client ${printable(name)} already exists; its quota was not changed`);
  return id;
}

/** Reports a new client, because a mistyped name would otherwise look like success. */
async function tellNew(db: DatabaseManager, client: { readonly id: string; readonly name: string }): Promise<void> {
  tell(`client ${printable(client.name)} is new`);
  for (const other of await lookalikes(db, client)) {
    tellWarning(`client ${printable(other)} differs from it only in case, blanks or Unicode form`);
  }
}

/** Catalogues a folder with a progress bar; a signal stops it early. */
export const ingestFolder = (
  { withCatalog, database, logger }: Pick<Call, 'withCatalog' | 'database' | 'logger'>,
  folder: string,
  options: IngestOptions,
): Promise<Interruptible<IngestResult>> =>
  interruptible((signal) =>
    withCatalog(async (db) => {
      const clientId = await clientFor(db, options);
      const shown = showIngest(folder, logger);
      try {
        const { onProgress } = shown;
        return await ingestFiles(db, { clientId, folder, database, signal, onProgress });
      } finally {
        await shown.stop();
      }
    }, 'create'),
  );

function leftOut({ symlinks, special, catalogue }: IngestResult['skipped']): string[] {
  return [
    ...(symlinks > 0 ? [formatNumberOf(symlinks, 'symbolic link')] : []),
    ...(special > 0 ? [`${formatCount(special)} pipes, sockets or devices`] : []),
    ...(catalogue > 0 ? [`${formatNumberOf(catalogue, 'file')} of the catalogue itself`] : []),
  ];
}

/** The summary, for people. */
export function describeIngest({ files, saved, unchanged, skipped, bytes }: IngestResult): string {
  const what = `${formatNumberOf(files, 'file')} catalogued, ${formatBytes(bytes)}`;
  const lines = [`${what}: ${formatCount(saved)} new or changed, ${formatCount(unchanged)} unchanged`];
  const reasons = leftOut(skipped);
  if (reasons.length > 0) lines.push(`left out: ${reasons.join(', ')}`);
  return lines.join('\n');
}

/** Prints warnings and failures, and returns the exit code. */
export function concludeIngest({ result: { failed, warnings }, stoppedBy }: Interruptible<IngestResult>): ExitCode {
  for (const { path, message } of warnings) tellWarning(`${printable(path)}: ${printable(message)}`);
  for (const { path, message } of failed) tellError(`${printable(path)}: ${printable(withReadableSizes(message))}`);
  if (failed.length > 0) tell(`${formatNumberOf(failed.length, 'path')} could not be catalogued; everything else was`);
  if (stoppedBy !== undefined) tell('stopped early: the counted files were saved; run the same command to continue');
  return stoppedBy ?? (failed.length > 0 ? FAILED : 0);
}

export const ingest: CommandSpec<Partial<IngestOptions>> = {
  name: 'ingest',
  summary:
    'Catalogue a folder: sizes, dates and CRC-32 of every file; unchanged files add no version. Skips and lists what it cannot read and names that are not UTF-8 (shown with their bytes as \\xff); the exit code is then 1',
  flags: { name: '--client' },
  example: 'ingest ~/documents --client laptop',
  configure: (command) =>
    command
      .argument('<dir>', 'the folder; files are identified by their path in it, and symbolic links are not followed')
      .option('--client <name>', 'the client that owns the files; created if it does not exist')
      .addOption(
        new Option('--quota <bytes>', `what a new client may store: ${LIMIT_HELP} (default: unlimited)`).argParser(
          parseLimit,
        ),
      ),
  async run({ args: [dir = ''], options: { client, quota }, json, ...around }) {
    // Checked here, because commander would report it before a misspelt option.
    if (client === undefined) throw new UsageError("required option '--client <name>' not specified");
    const folder = await existingFolder(dir);
    // Reported, because a mistyped name or folder would otherwise look like success.
    const isKnown = existsSync(around.database);
    const done = await ingestFolder(around, folder, { client, quota });
    if (!isKnown) tell(`${printable(around.database)} is a new catalogue`);
    if (json) printJson(done.result);
    else printLine(describeIngest(done.result));
    return concludeIngest(done);
  },
};

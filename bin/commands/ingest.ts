/** `ingest`: catalogues a real folder for a client, which is made if there is none of that name. */
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
  // A variable of a script that was never set would else be the folder it happens to run in.
  if (path === '') throw new UsageError('the folder has no name; `.` is the one you are in');
  const folder = resolve(path);
  try {
    if ((await stat(folder)).isDirectory()) return folder;
  } catch (error) {
    const hint = 'Check the path and its permissions.';
    throw new DatabaseError('CATALOG_IO', `${folder} cannot be read`, { cause: error, hint });
  }
  throw new UsageError(`${folder} is no folder; give the folder that holds the file`);
}

/** The id of the client, made with its quota in one transaction if need be. */
async function clientFor(db: DatabaseManager, { client: name, quota }: IngestOptions): Promise<string> {
  const { id, isNew } = await db.transaction(async (tx) => {
    const known = await tx.clients.getByName(name);
    if (known !== null) return { id: known.id, isNew: false };
    const made = await tx.clients.save({ name });
    await tx.quotas.set(made.id, { quotaBytes: limitBytes(quota ?? 'unlimited') });
    return { id: made.id, isNew: true };
  });
  if (isNew) await tellNew(db, { id, name });
  else if (quota !== undefined) tell(`client ${printable(name)} exists already: its quota stays as it is`);
  return id;
}

/** Reports a new client, since a name that was mistyped looks like success otherwise. */
async function tellNew(db: DatabaseManager, client: { readonly id: string; readonly name: string }): Promise<void> {
  tell(`client ${printable(client.name)} is new`);
  for (const other of await lookalikes(db, client)) {
    tellWarning(`client ${printable(other)} differs from it by case, blanks or Unicode form alone`);
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

/** What was done, for people. */
export function describeIngest({ files, saved, unchanged, skipped, bytes }: IngestResult): string {
  const what = `${formatNumberOf(files, 'file')} catalogued, ${formatBytes(bytes)}`;
  const lines = [`${what}: ${formatCount(saved)} new or changed, ${formatCount(unchanged)} unchanged`];
  const reasons = leftOut(skipped);
  if (reasons.length > 0) lines.push(`left out: ${reasons.join(', ')}`);
  return lines.join('\n');
}

/** Tells what is wrong and what failed, and the exit code that says so. */
export function concludeIngest({ result: { failed, warnings }, stoppedBy }: Interruptible<IngestResult>): ExitCode {
  for (const { path, message } of warnings) tellWarning(`${printable(path)}: ${printable(message)}`);
  for (const { path, message } of failed) tellError(`${printable(path)}: ${printable(withReadableSizes(message))}`);
  if (failed.length > 0) tell(`${formatNumberOf(failed.length, 'path')} could not be catalogued; the rest was`);
  if (stoppedBy !== undefined) tell('stopped early: what is counted was saved; the same command goes on from there');
  return stoppedBy ?? (failed.length > 0 ? FAILED : 0);
}

export const ingest: CommandSpec<Partial<IngestOptions>> = {
  name: 'ingest',
  summary:
    'Catalogue a folder: sizes, dates and CRC-32 of every file; unchanged files add no version. What cannot be read, or has a name that is not UTF-8 (shown with its bytes as \\xff), is left out and told; the exit code is 1 then',
  flags: { name: '--client' },
  example: 'ingest ~/documents --client laptop',
  configure: (command) =>
    command
      .argument('<dir>', 'the folder; its files are known by their path in it, symbolic links are not followed')
      .option('--client <name>', 'whose files they are; made if it does not exist')
      .addOption(
        new Option('--quota <bytes>', `what a new client may store: ${LIMIT_HELP} (default: unlimited)`).argParser(
          parseLimit,
        ),
      ),
  async run({ args: [dir = ''], options: { client, quota }, json, ...around }) {
    // Not by commander, which asks for it before it reports a misspelt one.
    if (client === undefined) throw new UsageError("required option '--client <name>' not specified");
    const folder = await existingFolder(dir);
    // Told, because a name or a folder that was mistyped looks like success otherwise.
    const isKnown = existsSync(around.database);
    const done = await ingestFolder(around, folder, { client, quota });
    if (!isKnown) tell(`${printable(around.database)} is a new catalogue`);
    if (json) printJson(done.result);
    else printLine(describeIngest(done.result));
    return concludeIngest(done);
  },
};

/** `versions`: lists the versions of one file, given by id, name or path, and by client if several have such a file. */
import { basename, posix, win32 } from 'node:path';
import {
  type CatalogFile,
  type Client,
  ConflictError,
  type DatabaseManager,
  fold,
  NotFoundError,
  ValidationError,
} from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { UsageError } from '../errors.ts';
import { formatBytes, formatCrc, formatDate, printable } from '../format.ts';
import { canonical } from '../names.ts';
import { printJson, printLine } from '../output.ts';
import { table } from '../table.ts';
import { requireClient } from './client-by-name.ts';

interface VersionSettings {
  readonly client?: string;
  readonly path?: string;
}

const MOST_NAMED = 5; // files that an error names before "and others"

/** The file with this id; null if the text is not an id or no file has it. */
async function byId(db: DatabaseManager, text: string): Promise<CatalogFile | null> {
  try {
    return await db.files.get(text);
  } catch (error) {
    if (error instanceof ValidationError) return null;
    throw error;
  }
}

/** The path of one of several files with a name, and its client unless one was given. */
async function placeOf(db: DatabaseManager, file: CatalogFile, client: Client | null): Promise<string> {
  const path = printable(file.originalPath ?? '(none)');
  if (client !== null) return path;
  const owner = await db.clients.get(file.clientId);
  return `${path} of ${printable(owner?.name ?? file.clientId)}`;
}

/** A path rather than a name, possibly of Windows. */
const isPath = (text: string) => /[\\/]/.test(text);

/** How a text matches a file: exactly by name or path, or by a canonically equal one. */
function meaningOf({ fileName, originalPath, pathName }: CatalogFile, text: string): 'exact' | 'equal' | undefined {
  const names = isPath(text) ? [fileName, originalPath ?? '', pathName] : [fileName];
  if (names.includes(text)) return 'exact';
  return names.map(canonical).includes(canonical(text)) ? 'equal' : undefined;
}

/** Every possible match, some twice. */
async function* candidates(db: DatabaseManager, client: Client | null, text: string): AsyncGenerator<CatalogFile> {
  const clientId = client?.id;
  const names = isPath(text) ? [posix.basename(text), win32.basename(text)] : [text];
  for (const term of new Set(names)) {
    // The most relevant come first: files with this name, in any case.
    for await (const file of db.files.searchAll({ term, clientId })) {
      if (fold(file.fileName) !== fold(term)) break;
      yield file;
    }
  }
  // The content may have a different name than the file.
  if (isPath(text)) yield* db.files.searchAll({ term: text, clientId });
}

/** The only file with this name or path, of the client if one is given. */
async function onlyOne(db: DatabaseManager, client: Client | null, name: string): Promise<CatalogFile> {
  const found = { exact: new Map<string, CatalogFile>(), equal: new Map<string, CatalogFile>() };
  for await (const file of candidates(db, client, name)) {
    const meaning = meaningOf(file, name);
    if (meaning !== undefined) found[meaning].set(file.id, file);
    if (found.exact.size > MOST_NAMED) break;
  }
  const same = [...(found.exact.size > 0 ? found.exact : found.equal).values()];
  const [first, ...others] = same;
  const whose = client === null ? '' : ' of this client';
  if (first === undefined)
    throw new NotFoundError(`a file called ${printable(name)}${whose}`, {
      hint: 'Give the id or the name that `search` shows.',
    });
  if (others.length === 0) return first;
  const places = await Promise.all(same.slice(0, MOST_NAMED).map((file) => placeOf(db, file, client)));
  const rest = same.length > MOST_NAMED ? ' and others' : '';
  const options = `Choose one with ${client === null ? '--client and ' : ''}--path.`;
  throw new ConflictError(`several files are called ${printable(name)}: ${places.join(', ')}${rest}`, {
    hint: isPath(name) ? 'Give the id that `search` shows.' : options,
  });
}

async function findFile(db: DatabaseManager, name: string, settings: VersionSettings): Promise<CatalogFile> {
  const { client, path = name.includes('/') ? name : undefined } = settings;
  if (client === undefined) return (await byId(db, name)) ?? onlyOne(db, null, name);
  const owner = await requireClient(db, client);
  const found = path === undefined ? null : await db.files.find(owner.id, basename(name), path);
  if (found !== null) return found;
  if (settings.path === undefined) return onlyOne(db, owner, name);
  throw new NotFoundError(`a file of this client with the original path ${printable(settings.path)}`, {
    hint: '`backup-catalog search` shows the paths.',
  });
}

const COLUMNS = [
  { title: 'VERSION', align: 'right' },
  { title: '' },
  { title: 'SIZE', align: 'right' },
  { title: 'MODIFIED' },
  { title: 'SAVED' },
  { title: 'CRC-32' },
  { title: 'VERIFIED' },
  { title: 'PATH' },
] as const;

export const versions: CommandSpec<VersionSettings> = {
  name: 'versions',
  summary: 'List the versions of a file; * marks the current one',
  flags: { name: '--client' },
  example: 'versions report.pdf --client laptop --path work/report.pdf',
  configure: (command) =>
    command
      .argument('<file>', 'the id of a file, its name, or its path')
      .option('--client <name>', 'the client, if several have a file of this name')
      .option('--path <original>', 'the original path, if the client has several files of this name'),
  async run({ args: [name = ''], options, json, withCatalog }) {
    if (options.path !== undefined && options.client === undefined) {
      throw new UsageError('--path needs --client and the name of the file');
    }
    if (name === '') throw new UsageError('<file>: got ""; accepted: the id of a file, its name, or its path');
    return withCatalog(async (db) => {
      const { id } = await findFile(db, name, options);
      const list = await db.versions.list(id);
      if (json) {
        printJson(list);
        return 0;
      }
      const rows = list.map((version) => [
        String(version.versionNumber),
        version.isActive ? '*' : '',
        formatBytes(version.fileSize),
        formatDate(version.modificationDate),
        formatDate(version.createdDate),
        formatCrc(version.crc),
        version.verified ? 'yes' : 'no',
        version.pathName,
      ]);
      printLine(table(COLUMNS, rows));
      return 0;
    });
  },
};

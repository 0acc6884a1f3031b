/** `versions`: every version of one file, named by its id or by client, name and original path. */
import { basename } from 'node:path';
import {
  type CatalogFile,
  ConflictError,
  type DatabaseManager,
  fold,
  NotFoundError,
  ValidationError,
} from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { UsageError } from '../errors.ts';
import { formatBytes, formatCrc, formatDate, printable } from '../format.ts';
import { printJson, printLine } from '../output.ts';
import { table } from '../table.ts';
import { requireClient } from './client-by-name.ts';

interface VersionSettings {
  readonly client?: string;
  readonly path?: string;
}

const MOST_NAMED = 5; // files an error names before it says "and others"

async function requireFile(db: DatabaseManager, id: string): Promise<CatalogFile> {
  try {
    const found = await db.files.get(id);
    if (found !== null) return found;
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error;
    throw new UsageError(`${printable(id)} is no id; give the one that \`search\` shows, or --client with a name`);
  }
  throw new NotFoundError(`file ${id}`, { hint: 'Give the id that `search` shows, or a name with --client.' });
}

/** The only file of this name that the client has. */
async function onlyOne(db: DatabaseManager, clientId: string, fileName: string): Promise<CatalogFile> {
  const same: CatalogFile[] = [];
  // The most relevant come first: those of this name, in any case.
  for await (const file of db.files.searchAll({ term: fileName, clientId })) {
    if (file.fileName === fileName) same.push(file);
    if (same.length > MOST_NAMED || fold(file.fileName) !== fold(fileName)) break;
  }
  const [first, ...others] = same;
  if (first === undefined)
    throw new NotFoundError(`a file called ${printable(fileName)} of this client`, { hint: 'See `search`.' });
  if (others.length === 0) return first;
  const paths = same.slice(0, MOST_NAMED).map(({ originalPath }) => printable(originalPath ?? '(none)'));
  const rest = same.length > MOST_NAMED ? ' and others' : '';
  throw new ConflictError(`several files are called ${printable(fileName)}: ${paths.join(', ')}${rest}`, {
    hint: 'Say which one with --path.',
  });
}

async function findFile(db: DatabaseManager, name: string, settings: VersionSettings): Promise<CatalogFile> {
  // No name has a slash in it: this is a path.
  const { client, path = name.includes('/') ? name : undefined } = settings;
  if (client === undefined) return requireFile(db, name);
  const owner = await requireClient(db, client);
  if (path === undefined) return onlyOne(db, owner.id, name);
  const found = await db.files.find(owner.id, basename(name), path);
  if (found === null)
    throw new NotFoundError(`a file of this client with the original path ${printable(path)}`, {
      hint: 'See `search`.',
    });
  return found;
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
  summary: 'List the versions of a file, the current one marked with *',
  example: 'versions report.pdf --client laptop --path work/report.pdf',
  configure: (command) =>
    command
      .argument('<file>', 'the id of a file, or with --client its name or original path')
      .option('--client <name>', 'whose file it is, when it is given by its name')
      .option('--path <original>', 'its original path, when the client has several files of this name'),
  async run({ args: [name = ''], options, json, withCatalog }) {
    if (options.path !== undefined && options.client === undefined) {
      throw new UsageError('--path goes with --client and the name of the file');
    }
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

/**
 * The catalogues a run measures on: made through the library itself, so that schema, indexes, triggers and search index
 * are those of this release, then copied for each contestant while nothing has them open.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CatalogOptions } from '../lib/catalog-options.ts';
import { DatabaseManager } from '../lib/index.ts';
import { checksumOf } from '../lib/migrations/migration.ts';
import { MIGRATIONS } from '../lib/migrations/migration-list.ts';
import { note } from './notes.ts';
import { CLIENTS, clientName, sampleFile } from './sample-files.ts';

/** A catalogue on the disk that nobody has open. */
export interface StoredCatalogue {
  readonly path: string;
  readonly clientIds: readonly string[];
  /** Files it holds: numbers 0 to `files - 1` of the sample. */
  readonly files: number;
}

const OPTIONS = { defaultQuotaBytes: null } as const;

// Part of a kept catalogue's name: one of another schema is not found again.
const SCHEMA = createHash('sha256').update(MIGRATIONS.map(checksumOf).join()).digest('hex').slice(0, 8);

/** Opens a catalogue the way every suite does. */
export const openCatalogue = (database: string, options: CatalogOptions = {}): Promise<DatabaseManager> =>
  DatabaseManager.open({ ...OPTIONS, database, ...options });

/** A directory of this run's own, removed at its end. */
export class Workplace implements AsyncDisposable {
  readonly directory: string;
  readonly #cache: string;
  #copies = 0;

  private constructor(directory: string, cache: string) {
    this.directory = directory;
    this.#cache = cache;
  }

  static async make(cache: string | null): Promise<Workplace> {
    const directory = await mkdtemp(join(tmpdir(), 'catalog-bench-'));
    if (cache !== null) await mkdir(cache, { recursive: true });
    return new Workplace(directory, cache ?? directory);
  }

  /** A catalogue with clients and no files; made once, then found again. */
  async empty(): Promise<StoredCatalogue> {
    const path = join(this.#cache, `empty-${SCHEMA}.db`);
    if (!(await exists(path))) await makeWhole(path, addClients);
    const db = await openCatalogue(path);
    const { clients } = await db.clients.list({ limit: CLIENTS });
    await db.close();
    return { path, files: 0, clientIds: clients.map(({ id }) => id) };
  }

  /** The same with so many files. */
  async filled(files: number): Promise<StoredCatalogue> {
    const empty = await this.empty();
    const path = join(this.#cache, `filled-${files}-${SCHEMA}.db`);
    if (!(await exists(path))) {
      await makeWhole(path, async (unfinished) => {
        await copyFile(empty.path, unfinished);
        await addFiles(unfinished, files, empty.clientIds);
      });
    }
    return { ...empty, path, files };
  }

  /** A copy for one contestant. */
  async copy({ path }: StoredCatalogue): Promise<string> {
    this.#copies += 1;
    const target = join(this.directory, `copy-${this.#copies}.db`);
    await copyFile(path, target);
    return target;
  }

  /** Removes copies that no suite needs any more; a million files take a gigabyte each. */
  async discard(...paths: readonly string[]): Promise<void> {
    const files = paths.flatMap((path) => [path, `${path}-wal`, `${path}-shm`]);
    await Promise.all(files.map((file) => rm(file, { force: true })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Makes a file under another name first, so that one which was interrupted is never taken for a whole one. */
async function makeWhole(path: string, make: (unfinished: string) => Promise<void>): Promise<void> {
  const unfinished = `${path}.unfinished`;
  await rm(unfinished, { force: true });
  await make(unfinished);
  await rename(unfinished, path);
}

async function addClients(path: string): Promise<void> {
  const db = await openCatalogue(path);
  for (let number = 0; number < CLIENTS; number += 1) await db.clients.save({ name: clientName(number) });
  await db.close();
}

async function addFiles(path: string, files: number, clientIds: readonly string[]): Promise<void> {
  note(`filling a catalogue with ${files} files …`);
  const db = await openCatalogue(path, { durability: 'normal' });
  const { saved } = await db.files.saveMany(everySample(files, clientIds));
  await db.close();
  if (saved !== files) throw new Error(`only ${saved} of ${files} files could be saved`);
}

function* everySample(files: number, clientIds: readonly string[]) {
  for (let number = 0; number < files; number += 1) yield sampleFile(number, clientIds);
}

/**
 * The catalogues a run measures on: the measured library makes them, so that schema, indexes, triggers and search index
 * are its own; each contestant gets a copy, made while nothing has them open.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseManager } from '../lib/index.ts';
import type { CatalogOptions } from '../lib/options/types.ts';
import type { Library } from './library.ts';
import { note } from './notes.ts';
import { OthersWatch } from './others.ts';
import { CLIENTS, clientName, sampleFile } from './sample-files.ts';

/** A catalogue on the disk that nobody has open. */
export interface StoredCatalogue {
  readonly path: string;
  readonly clientIds: readonly string[];
  /** Files it holds: numbers 0 to `files - 1` of the sample. */
  readonly files: number;
}

/** How files were loaded into an empty catalogue by one `saveMany`, at full durability. */
export interface Loading {
  readonly files: number;
  readonly seconds: number;
  /** The date: a later release may load faster. */
  readonly at: string;
  /** Processors that other processes used meanwhile. */
  readonly others: number;
}

const MS_PER_SECOND = 1_000;

const OPTIONS = { defaultQuotaBytes: null } as const;

/** Where a run works. */
export interface Place {
  readonly library: Library;
  /** The folder of the run; its creator removes it. */
  readonly folder: string;
  /** Where filled catalogues are kept; null keeps them in the folder of the run. */
  readonly cache: string | null;
}

/** The library that is measured, its catalogues, and copies of them that are removed at the end. */
export class Workplace implements AsyncDisposable {
  readonly directory: string;
  readonly library: Library;
  readonly #cache: string;
  #schema: Promise<string> | undefined;
  #copies = 0;

  private constructor(directory: string, library: Library, cache: string) {
    this.directory = directory;
    this.library = library;
    this.#cache = cache;
  }

  static async make({ library, folder, cache }: Place): Promise<Workplace> {
    if (cache !== null) await mkdir(cache, { recursive: true, mode: 0o700 });
    return new Workplace(await mkdtemp(join(folder, 'work-')), library, cache ?? folder);
  }

  /** Opens a catalogue the way every suite does. */
  open(database: string, options: CatalogOptions = {}): Promise<DatabaseManager> {
    return this.library.DatabaseManager.open({ ...OPTIONS, database, ...options });
  }

  /** A catalogue with clients and no files; made once, then used again. */
  async empty(): Promise<StoredCatalogue> {
    const path = join(this.#cache, `empty-${await this.#schemaName()}.db`);
    if (!(await exists(path))) await makeWhole(path, (unfinished) => this.#addClients(unfinished));
    const db = await this.open(path);
    const { clients } = await db.clients.list({ limit: CLIENTS });
    await db.close();
    return { path, files: 0, clientIds: clients.map(({ id }) => id) };
  }

  /** The same with this many files. */
  async filled(files: number): Promise<StoredCatalogue> {
    const empty = await this.empty();
    const path = join(this.#cache, `filled-${files}-${await this.#schemaName()}.db`);
    if (!(await exists(path))) {
      await makeWhole(path, async (unfinished) => {
        await copyFile(empty.path, unfinished);
        const loading = await this.#addFiles(unfinished, files, empty.clientIds);
        await writeFile(loadingPath(path), JSON.stringify(loading));
      });
    }
    return { ...empty, path, files };
  }

  /** How the files of a filled catalogue were loaded, whenever that was. */
  async loading({ path }: StoredCatalogue): Promise<Loading> {
    return JSON.parse(await readFile(loadingPath(path), 'utf8'));
  }

  /** A file that is made once and used again, such as one of another program; `make` gets the path. */
  async kept(name: string, make: (path: string) => Promise<void> | void): Promise<string> {
    const path = join(this.#cache, name);
    if (!(await exists(path))) await makeWhole(path, async (unfinished) => make(unfinished));
    return path;
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

  // Part of a kept catalogue's name, so that a library with another schema does not use it.
  #schemaName(): Promise<string> {
    this.#schema ??= (async () => {
      const db = await this.open(join(this.directory, 'schema.db'));
      const journal = await db.query('SELECT checksum FROM catalog_migrations ORDER BY version');
      await db.close();
      const checksums = journal.map(({ checksum }) => checksum).join();
      return createHash('sha256').update(checksums).digest('hex').slice(0, 8);
    })();
    return this.#schema;
  }

  async #addClients(path: string): Promise<void> {
    const db = await this.open(path);
    for (let number = 0; number < CLIENTS; number += 1) await db.clients.save({ name: clientName(number) });
    await db.close();
  }

  async #addFiles(path: string, files: number, clientIds: readonly string[]): Promise<Loading> {
    note(`filling a catalogue with ${files} files …`);
    const db = await this.open(path);
    const watch = new OthersWatch();
    const start = performance.now();
    const { saved } = await db.files.saveMany(everySample(files, clientIds));
    const seconds = (performance.now() - start) / MS_PER_SECOND;
    const others = watch.processors();
    await db.close();
    if (saved !== files) throw new Error(`only ${saved} of ${files} files could be saved`);
    return { files, seconds, others, at: new Date().toISOString() };
  }
}

const loadingPath = (catalogue: string) => `${catalogue}.loading.json`;

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Makes a file under another name first, so that an unfinished file is never taken for a complete one. */
async function makeWhole(path: string, make: (unfinished: string) => Promise<void>): Promise<void> {
  const unfinished = `${path}.unfinished`;
  await rm(unfinished, { force: true });
  await make(unfinished);
  await rename(unfinished, path);
}

function* everySample(files: number, clientIds: readonly string[]) {
  for (let number = 0; number < files; number += 1) yield sampleFile(number, clientIds);
}

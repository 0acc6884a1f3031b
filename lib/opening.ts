/**
 * Opens the engine on a file after the file was looked at: one that is evidently ours on the thread that will write it,
 * any other one by a process of its own. What must not be touched is refused before anything of it was changed.
 */
import { dirname, extname, join } from 'node:path';
import { type Logger, pino } from 'pino';
import type { CatalogOptions, ResolvedOptions } from './catalog-options.ts';
import { DatabaseError } from './errors.ts';
import { inspectFile } from './migrations/inspection.ts';
import { statusOf } from './migrations/journal.ts';
import { lookAtFile, schemaState } from './migrations/migration-procedures.ts';
import { Migrator } from './migrations/migrator.ts';
import { resolveOptions } from './options.ts';
import { prepareDatabaseFile } from './pool/database-file.ts';
import { SqliteEngine } from './pool/sqlite-engine.ts';
import { keepIndex } from './search/search-index.ts';
import type { Engine } from './sql/engine.ts';

// Sources run as .ts, the published package as .js.
const PROCEDURES = new URL(`./procedures${extname(import.meta.url)}`, import.meta.url).href;

/** A file with an engine on it; its schema may still be an older one. */
export interface OpenedFile {
  readonly engine: Engine;
  readonly options: ResolvedOptions & { readonly backupDir: string };
  readonly logger: Logger;
  readonly migrator: Migrator;
}

/** Codes of the first look after which a thorough one tells more. */
const UNCLEAR = new Set(['CATALOG_FOREIGN_DATABASE', 'CATALOG_CORRUPT', 'CATALOG_SQL', 'CATALOG_READ_ONLY']);

async function openEngine(path: string, options: ResolvedOptions): Promise<Engine> {
  const procedureModules = [PROCEDURES, ...options.procedureModules.map(String)];
  const settings = { ...options, database: path, procedureModules, beforeCommit: keepIndex.name };
  try {
    return await SqliteEngine.open({ ...settings, look: lookAtFile.name });
  } catch (error) {
    if (!(error instanceof DatabaseError) || !UNCLEAR.has(error.code)) throw error;
    const verdict = await inspectFile(path);
    if (verdict === 'legacy' && (options.readOnly || options.migrate === 'off')) throw notAdopted(path);
    return SqliteEngine.open(settings);
  }
}

const notAdopted = (path: string) =>
  new DatabaseError('CATALOG_MIGRATION_PENDING', `${path} was made by an old server and has not been adopted yet`);

/**
 * Opens a file without migrating it.
 * @throws {ValidationError} for an option that is unknown or not accepted
 * @throws {DatabaseError} why the file cannot be used; it is then as it was
 */
export async function openFile(given: CatalogOptions): Promise<OpenedFile> {
  const resolved = resolveOptions(given);
  const logger = (resolved.logger ?? pino({ level: 'silent' })).child({ module: 'database' });
  const { path, created } = await prepareDatabaseFile(resolved.database, resolved);
  const options = { ...resolved, database: path, backupDir: resolved.backupDir ?? join(dirname(path), 'backups') };
  const engine = await openEngine(path, options);
  const openCopy = (copy: string) => openEngine(copy, { ...options, readOnly: false, poolSize: 2 });
  const migrator = new Migrator({ engine, database: path, rules: options, logger, openCopy });
  logger.info({ database: path, created }, 'database open');
  return { engine, options, logger, migrator };
}

/**
 * Brings the schema of an open file up to date.
 * @throws {DatabaseError} CATALOG_MIGRATION_PENDING where that is not allowed; what a failing migration throws
 */
export async function bringUpToDate({ engine, options, migrator }: OpenedFile): Promise<void> {
  const { pending } = statusOf((await engine.run(schemaState, null)).journal);
  if (pending.length === 0) return;
  if (options.migrate === 'off' || options.readOnly) {
    const names = pending.map(({ version, name }) => `${version} (${name})`).join(', ');
    throw new DatabaseError('CATALOG_MIGRATION_PENDING', `the schema lacks ${pending.length} migrations: ${names}`);
  }
  await migrator.up({ onProgress: options.onMigrationProgress });
}

/** The type of a CLI command: data that main.ts passes to commander. The commands are in commands/. */
import type { Command } from 'commander';
import type { Logger } from 'pino';
import type { DatabaseManager, OpenMigrations, RestoreOptions, RestoreResult } from '../lib/index.ts';
import type { TypedWords } from './typed-names.ts';

/** 0: done, warnings included; 1: failed or unhealthy; 2: wrong usage; above 128: stopped by a signal. */
export type ExitCode = number;

/**
 * How a command uses the catalogue. `read`: changes nothing, so the file need not be writable; `record`: the same, but
 * records its result in the maintenance history if possible; `write`: changes an existing catalogue; `create`: turns an
 * empty file into a catalogue, and `withCatalog` also creates the file and brings its schema up to date.
 */
export type Access = 'read' | 'record' | 'write' | 'create';

/** The typed arguments and options, and the tools of a command. */
export interface Call<Options = unknown> {
  /** Arguments in the order of the usage; omitted ones are undefined. */
  readonly args: readonly (string | undefined)[];
  readonly options: Options;
  /** Print the library's result as JSON instead of text. */
  readonly json: boolean;
  /** The absolute path of the database. */
  readonly database: string;
  readonly logger: Logger;
  /** The whole program, for commands that describe it. */
  readonly program: Command;
  /**
   * Opens the catalogue for `use` and closes it again; the default access is `read`. The file must exist and have no
   * pending migrations, unless it may be created.
   * @throws {DatabaseError} why it cannot be opened
   */
  withCatalog<Result>(use: (db: DatabaseManager) => Promise<Result>, access?: Access): Promise<Result>;
  /**
   * Opens the migrations of an existing file without running any, and closes it again; the default access is `read`.
   * @throws {DatabaseError} why it cannot be opened
   */
  withMigrations<Result>(use: (migrations: OpenMigrations) => Promise<Result>, access?: Access): Promise<Result>;
  /** Restores the catalogue from a backup, whatever its state. @throws {DatabaseError} if that fails */
  restoreCatalog(from: string, how: RestoreOptions): Promise<RestoreResult>;
}

export interface CommandSpec<Options = unknown> {
  readonly name: string;
  readonly summary: string;
  /** An example for the help, without the program's name. */
  readonly example: string;
  /** Options with another name than in the library: `dateFrom` is `--from`. */
  readonly flags?: Readonly<Record<string, string>>;
  /** What to type instead of a refused value, by the library's name of it. */
  readonly words?: TypedWords;
  /** Declares arguments and options. */
  configure?(command: Command): void;
  run(call: Call<Options>): Promise<ExitCode>;
}

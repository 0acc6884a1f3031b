/** What a command of the CLI is: data that main.ts hands to commander. The commands themselves are in commands/. */
import type { Command } from 'commander';
import type { Logger } from 'pino';
import type { DatabaseManager, OpenMigrations, RestoreOptions, RestoreResult } from '../lib/index.ts';
import type { TypedWords } from './typed-names.ts';

/** 0: done, warnings included; 1: failed or unhealthy; 2: asked wrongly; above 128: stopped by a signal. */
export type ExitCode = number;

/**
 * What a command does with the catalogue. `read`: nothing is changed, and a file that may not be written will do; `record`:
 * the same, but what was found or done is kept in the history of maintenance where that can be written; `write`: an
 * existing catalogue is changed; `create`: an empty file becomes a catalogue, and `withCatalog` also makes the file and
 * brings its schema up to date.
 */
export type Access = 'read' | 'record' | 'write' | 'create';

/** What was typed, and what a command may do with it. */
export interface Call<Options = unknown> {
  /** Arguments in the order of the usage; those left out are undefined. */
  readonly args: readonly (string | undefined)[];
  readonly options: Options;
  /** Print the library's own result for machines instead of text for people. */
  readonly json: boolean;
  /** Names the database that is meant; an absolute path. */
  readonly database: string;
  readonly logger: Logger;
  /** The whole program, for commands that tell of it. */
  readonly program: Command;
  /**
   * Opens the catalogue for `use` and closes it again; to read it, if nothing else is said. The file must exist, with no
   * migrations pending, unless it may be created.
   * @throws {DatabaseError} why it cannot be opened
   */
  withCatalog<Result>(use: (db: DatabaseManager) => Promise<Result>, access?: Access): Promise<Result>;
  /**
   * Opens the migrations of a file that exists, without running any, and closes it again; to read them, if nothing
   * else is said.
   * @throws {DatabaseError} why it cannot be opened
   */
  withMigrations<Result>(use: (migrations: OpenMigrations) => Promise<Result>, access?: Access): Promise<Result>;
  /** Restores the catalogue from a backup, whatever state it is in. @throws {DatabaseError} why that cannot be */
  restoreCatalog(from: string, how: RestoreOptions): Promise<RestoreResult>;
}

export interface CommandSpec<Options = unknown> {
  readonly name: string;
  readonly summary: string;
  /** What follows the program's name, for the help. */
  readonly example: string;
  /** Names of the library whose option is called otherwise, and that option: `dateFrom` is `--from`. */
  readonly flags?: Readonly<Record<string, string>>;
  /** What to type instead of a refused value, by the library's name of it. */
  readonly words?: TypedWords;
  /** Declares arguments and options. */
  configure?(command: Command): void;
  run(call: Call<Options>): Promise<ExitCode>;
}

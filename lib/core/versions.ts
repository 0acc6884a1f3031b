/** `db.versions`: the versions of files. */
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkInteger } from '../validation.ts';
import { checkId, type IdInput } from '../values/ids.ts';
import type { CatalogFile } from './file-rows.ts';
import { pruningOf, type VersionPruning } from './retention.ts';
import { activateVersion, getVersion, listVersions } from './version-procedures.ts';
import type { FileVersion } from './version-rows.ts';

/** `db.versions`: lists the versions of files, chooses the current one, prunes them by a policy. */
export interface Versions extends VersionPruning {
  /** Every version of a file, oldest first; empty if the file does not exist. */
  list(fileId: IdInput, options?: CallOptions): Promise<FileVersion[]>;

  /** One version, or null. */
  get(fileId: IdInput, versionNumber: number, options?: CallOptions): Promise<FileVersion | null>;

  /**
   * Makes a version current, and returns the file with its facts. Adds no version.
   * @throws {NotFoundError} when the file or the version does not exist
   */
  activate(fileId: IdInput, versionNumber: number, options?: CallOptions): Promise<CatalogFile>;
}

const checkKey = (fileId: unknown, versionNumber: unknown) => ({
  fileId: checkId(fileId, 'fileId'),
  versionNumber: checkInteger(versionNumber, 'versionNumber', 1, Number.MAX_SAFE_INTEGER),
});

/**
 * Builds `db.versions`.
 * @internal
 */
export const versionsOf = (executor: Executor): Versions => ({
  ...pruningOf(executor),
  list: async (fileId, options) => executor.run(listVersions, checkId(fileId, 'fileId'), options),
  get: async (fileId, number, options) => executor.run(getVersion, checkKey(fileId, number), options),
  activate: async (fileId, number, options) => executor.run(activateVersion, checkKey(fileId, number), options),
});

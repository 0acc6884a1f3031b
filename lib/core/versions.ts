/** `db.versions`: every version of a file, and which one is current. */
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkInteger } from '../validation.ts';
import { checkId, type IdInput } from '../values/ids.ts';
import type { CatalogFile } from './file-rows.ts';
import { createRetention } from './retention.ts';
import { activateVersion, getVersion, listVersions } from './version-procedures.ts';
import type { FileVersion } from './version-rows.ts';

const checkKey = (fileId: unknown, versionNumber: unknown) => ({
  fileId: checkId(fileId, 'fileId'),
  versionNumber: checkInteger(versionNumber, 'versionNumber', 1, Number.MAX_SAFE_INTEGER),
});

/** The calls of `db.versions`. */
export function createVersions(executor: Executor) {
  return {
    ...createRetention(executor),

    /** Every version of a file, oldest first; empty for a file that does not exist. */
    async list(fileId: IdInput, options?: CallOptions): Promise<FileVersion[]> {
      return executor.run(listVersions, checkId(fileId, 'fileId'), options);
    },

    /** One version, or null. */
    async get(fileId: IdInput, versionNumber: number, options?: CallOptions): Promise<FileVersion | null> {
      return executor.run(getVersion, checkKey(fileId, versionNumber), options);
    },

    /**
     * Makes a version the current one and returns the file with every fact of it. Adds no version.
     * @throws {NotFoundError} when the file or the version does not exist
     */
    async activate(fileId: IdInput, versionNumber: number, options?: CallOptions): Promise<CatalogFile> {
      return executor.run(activateVersion, checkKey(fileId, versionNumber), options);
    },
  };
}

/** The calls of `db.versions`. */
export type Versions = ReturnType<typeof createVersions>;

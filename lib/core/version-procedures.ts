/** The statements behind `db.versions`. */

import { NotFoundError } from '../errors.ts';
import { columnList, expressions } from '../sql/named-values.ts';
import { procedure, row, rows, run, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';
import { CURRENT_FACTS, inFiles, inFileVersions } from '../values/file-facts.ts';
import { idBytes } from '../values/ids.ts';
import { type CatalogFile, type FileRow, fileColumns, toFile } from './file-rows.ts';
import { type FileVersion, toVersion, type VersionRow, versionColumns } from './version-rows.ts';

/** A version by its file and number. */
export interface VersionKey {
  readonly fileId: string;
  readonly versionNumber: number;
}

export const listVersions = procedure(
  'versions.list',
  'read',
  function* (fileId: string, dialect) {
    return yield* rows<VersionRow>(sql`SELECT ${versionColumns(dialect)} FROM file_versions v
      WHERE v.FileID = ${idBytes(fileId)} ORDER BY v.VersionNumber`);
  },
  { decode: (found): FileVersion[] => found.map(toVersion) },
);

export const getVersion = procedure(
  'versions.get',
  'read',
  function* ({ fileId, versionNumber }: VersionKey, dialect) {
    return yield* row<VersionRow>(sql`SELECT ${versionColumns(dialect)} FROM file_versions v
      WHERE v.FileID = ${idBytes(fileId)} AND v.VersionNumber = ${versionNumber}`);
  },
  { decode: (found): FileVersion | null => (found === undefined ? null : toVersion(found)) },
);

// The facts of a file, and their columns in the version.
const CURRENT = raw(columnList(inFiles(CURRENT_FACTS)));
const OF_VERSION = expressions(inFileVersions(CURRENT_FACTS), 'v');

/** Makes a version current: the file takes all its facts. */
export const activateVersion = procedure(
  'versions.activate',
  'write',
  function* ({ fileId, versionNumber }: VersionKey, dialect): Steps<FileRow> {
    const id = idBytes(fileId);
    const { changes } = yield* run(sql`UPDATE files SET (${CURRENT})
      = (SELECT ${OF_VERSION} FROM file_versions v WHERE v.FileID = ${id} AND v.VersionNumber = ${versionNumber})
      WHERE ID = ${id} AND EXISTS (SELECT 1 FROM file_versions v
        WHERE v.FileID = ${id} AND v.VersionNumber = ${versionNumber})`);
    if (changes === 0) throw new NotFoundError(`version ${versionNumber} of file ${fileId}`);
    yield* run(sql`UPDATE file_versions SET IsActive = CASE WHEN VersionNumber = ${versionNumber} THEN 1 ELSE 0 END
      WHERE FileID = ${id} AND (IsActive = 1 OR VersionNumber = ${versionNumber})`);
    const found = yield* row<FileRow>(sql`SELECT ${fileColumns(dialect)} FROM files f WHERE f.ID = ${id}`);
    if (found === undefined) throw new NotFoundError(`file ${fileId}`);
    return found;
  },
  { decode: (found): CatalogFile => toFile(found) },
);

/** The statements behind the reading calls of `db.files`. */

import type { Dialect } from '../sql/dialect.ts';
import { one, procedure, row, rows, type Steps } from '../sql/procedure.ts';
import { type Sql, sql } from '../sql/template.ts';
import { idBytes } from '../values/ids.ts';
import type { PageRequest } from '../values/pages.ts';
import { otherSpellings, type Spelling } from '../values/unicode-forms.ts';
import { type CatalogFile, type FileRow, fileColumns, toFile } from './file-rows.ts';

/** The identity of a file. */
export interface FileIdentity {
  readonly clientId: string;
  readonly fileName: string;
  readonly originalPath: string | null;
}

const fileBy = (condition: Sql, dialect: Dialect) =>
  row<FileRow>(sql`SELECT ${fileColumns(dialect)} FROM files f WHERE ${condition} LIMIT 1`);

const toFileOrNull = (found: FileRow | undefined): CatalogFile | null => (found === undefined ? null : toFile(found));

const toFiles = (found: FileRow[]): CatalogFile[] => found.map(toFile);

export const getFile = procedure(
  'files.get',
  'read',
  function* (id: string, dialect) {
    return yield* fileBy(sql`f.ID = ${idBytes(id)}`, dialect);
  },
  { decode: toFileOrNull, brief: true },
);

const fileOf = (clientId: string, { fileName, originalPath }: Spelling, dialect: Dialect) => {
  const path = sql`coalesce(f.OriginalPath, '') = ${originalPath}`;
  return fileBy(sql`f.ClientID = ${idBytes(clientId)} AND f.FileName = ${fileName} AND ${path}`, dialect);
};

/** Finds a file by exact name and path; if there is none, by canonically equal ones. */
export const findFile = procedure(
  'files.find',
  'read',
  function* ({ clientId, fileName, originalPath }: FileIdentity, dialect): Steps<FileRow | undefined> {
    const given = { fileName, originalPath: originalPath ?? '' };
    const exact = yield* fileOf(clientId, given, dialect);
    if (exact !== undefined) return exact;
    for (const other of otherSpellings(given)) {
      const found = yield* fileOf(clientId, other, dialect);
      if (found !== undefined) return found;
    }
    return undefined;
  },
  { decode: toFileOrNull, brief: true },
);

/** A page of every file by id, oldest first, one row more than asked for. */
export const listFiles = procedure(
  'files.list',
  'read',
  function* ({ limit, after }: PageRequest, dialect) {
    const [id] = after ?? [];
    const condition = id === undefined ? sql`1 = 1` : sql`f.ID > ${idBytes(String(id))}`;
    return yield* rows<FileRow>(sql`SELECT ${fileColumns(dialect)} FROM files f WHERE ${condition}
      ORDER BY f.ID LIMIT ${dialect.unplanned(limit + 1)}`);
  },
  { decode: toFiles, brief: true },
);

/** Where the next page of a client's files begins. */
type ClientPageRequest = PageRequest & { readonly clientId: string };

const ofClient = (clientId: string, condition: Sql, limit: number, dialect: Dialect) =>
  rows<FileRow>(sql`SELECT ${fileColumns(dialect)} FROM files f WHERE f.ClientID = ${idBytes(clientId)} AND ${condition}
    ORDER BY f.FileName, coalesce(f.OriginalPath, ''), f.ID LIMIT ${dialect.unplanned(limit)}`);

/**
 * A page of a client's files by name and original path, one row more than asked for. The rest of the last name and the
 * names after it are two queries: in one comparison of all three keys SQLite would use only the name and read every
 * file of that name again.
 */
export const listFilesOfClient = procedure(
  'files.forClient',
  'read',
  function* ({ clientId, limit, after }: ClientPageRequest, dialect): Steps<FileRow[]> {
    if (after === null) return yield* ofClient(clientId, sql`1 = 1`, limit + 1, dialect);
    const [name, path, id] = after.map(String);
    const place = sql`coalesce(f.OriginalPath, '')`;
    const sameName = yield* ofClient(
      clientId,
      sql`f.FileName = ${name} AND ${place} >= ${path} AND (${place} > ${path} OR f.ID > ${idBytes(id ?? '')})`,
      limit + 1,
      dialect,
    );
    const room = limit + 1 - sameName.length;
    if (room === 0) return sameName;
    return [...sameName, ...(yield* ofClient(clientId, sql`f.FileName > ${name}`, room, dialect))];
  },
  { decode: toFiles, brief: true },
);

const figure = function* (text: Sql): Steps<number> {
  const found = yield* one<{ figure: number }>(text);
  return found?.figure ?? 0;
};

export const countFiles = procedure(
  'files.count',
  'read',
  function* (_: null): Steps<number> {
    return yield* figure(sql`SELECT coalesce(sum(Files), 0) AS "figure" FROM file_totals`);
  },
  { brief: true },
);

/** The bytes of every file's current version; exact up to 2^53-1, rounded above. */
export const totalFileBytes = procedure('files.totalBytes', 'read', function* (_: null, dialect): Steps<number> {
  return yield* figure(sql`SELECT coalesce(sum(${dialect.float('Bytes')}), 0) AS "figure" FROM file_totals`);
});

/** Finding files by a part of their name or path: a scan in name order that folds each row. Exact, and linear. */
import sql from 'sql-template-tag';
import { type CatalogFile, type FileRow, fileColumns, toFile } from '../core/file-rows.ts';
import { idBytes } from '../core/ids.ts';
import type { PageRequest } from '../core/pages.ts';
import { procedure, rows, type Steps } from '../sql/procedure.ts';
import { fold } from './fold.ts';

/** A checked search. */
export interface SearchRequest extends PageRequest {
  /** What to find, folded. */
  readonly term: string;
}

/** The matches of a page, one more than asked for, and how many there are in all. */
export interface SearchFound {
  readonly files: readonly CatalogFile[];
  readonly total: number;
}

const SCAN_ROWS = 2_000; // rows in memory at once

type Names = readonly [id: string, fileName: string, pathName: string];

const isAfter = ([id, fileName]: Names, after: PageRequest['after']) =>
  after === null || fileName > String(after[0]) || (fileName === after[0] && id > String(after[1]));

export const searchFiles = procedure(
  'files.search',
  'read',
  function* ({ term, limit, after }: SearchRequest, dialect): Steps<{ files: FileRow[]; total: number }> {
    const wanted: string[] = [];
    let total = 0;
    let last: Names | undefined;
    do {
      const from = last === undefined ? sql`1 = 1` : sql`(FileName, ID) > (${last[1]}, ${idBytes(last[0])})`;
      const found: Names[] = yield* rows<Names>(sql`SELECT ${dialect.hex('ID')}, FileName, PathName FROM files
        WHERE ${from} ORDER BY FileName, ID LIMIT ${SCAN_ROWS}`);
      const matches = found.filter(
        ([, fileName, pathName]) => fold(fileName).includes(term) || fold(pathName).includes(term),
      );
      total += matches.length;
      const room = limit + 1 - wanted.length;
      wanted.push(
        ...matches
          .filter((names) => isAfter(names, after))
          .slice(0, room)
          .map(([id]) => id),
      );
      last = found.length < SCAN_ROWS ? undefined : found.at(-1);
    } while (last !== undefined);
    const files: FileRow[] = [];
    for (const id of wanted) {
      files.push(
        ...(yield* rows<FileRow>(sql`SELECT ${fileColumns(dialect)} FROM files f WHERE f.ID = ${idBytes(id)}`)),
      );
    }
    return { files, total };
  },
  { decode: ({ files, total }): SearchFound => ({ files: files.map(toFile), total }), alone: true },
);

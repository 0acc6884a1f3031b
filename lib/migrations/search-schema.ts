/**
 * The search index: a trigram index of folded names and paths, and the list of rows to index. Triggers only add rowids
 * to that list, with SQL that any SQLite knows, so that a server whose SQLite lacks full-text search can still write.
 * lib/search updates the index before a commit.
 */
import { SEARCH_INDEX_TABLE } from '../core/search-index-table.ts';
import type { MigrationStep } from '../schema/migration.ts';

// The conflict clause of the firing statement would override an `OR IGNORE` in a trigger.
const note = (row: string) =>
  `INSERT INTO search_todo (FileRow) SELECT ${row} WHERE NOT EXISTS (SELECT 1 FROM search_todo WHERE FileRow = ${row});`;

// REPLACE deletes the old row without firing a delete trigger, unless recursive triggers are on.
const noteReplaced = `INSERT INTO search_todo (FileRow) SELECT rowid FROM files
      WHERE ID = NEW.ID AND rowid NOT IN (SELECT FileRow FROM search_todo);`;

const TRIGGERS: Readonly<Record<string, string>> = {
  search_file_replaced: `BEFORE INSERT ON files BEGIN ${noteReplaced} END`,
  search_file_inserted: `AFTER INSERT ON files BEGIN ${note('NEW.rowid')} END`,
  search_file_renamed: `AFTER UPDATE OF FileName, PathName ON files
    WHEN OLD.FileName IS NOT NEW.FileName OR OLD.PathName IS NOT NEW.PathName BEGIN ${note('NEW.rowid')} END`,
  search_file_identified: `BEFORE UPDATE OF ID ON files WHEN OLD.ID IS NOT NEW.ID BEGIN ${noteReplaced} END`,
  search_file_moved: `AFTER UPDATE ON files
    WHEN OLD.rowid <> NEW.rowid BEGIN ${note('OLD.rowid')} ${note('NEW.rowid')} END`,
  search_file_deleted: `AFTER DELETE ON files BEGIN ${note('OLD.rowid')} END`,
};

const searchIndex: MigrationStep = {
  name: 'search-index',
  up: [
    'CREATE TABLE search_todo (FileRow INTEGER PRIMARY KEY)',
    SEARCH_INDEX_TABLE,
    'CREATE VIRTUAL TABLE search_vocabulary USING fts5vocab(search_index, row)',
    ...Object.entries(TRIGGERS).map(([name, body]) => `CREATE TRIGGER ${name} ${body}`),
    'INSERT INTO search_todo (FileRow) SELECT rowid FROM files',
  ],
  down: [
    ...Object.keys(TRIGGERS).map((name) => `DROP TRIGGER ${name}`),
    'DROP TABLE search_vocabulary',
    'DROP TABLE search_index',
    'DROP TABLE search_todo',
  ],
  declares: { down: ['DROP TABLE'] },
  loses: null,
  cost: { table: 'files', upMicroseconds: 0.3, downMicroseconds: 1, bytes: 9 },
  safeVersion: 5,
};

export const searchSchema: readonly MigrationStep[] = [searchIndex];

const FOLDED_OTHERWISE = `INSERT INTO search_todo (FileRow) SELECT rowid FROM files
  WHERE (instr(FileName, 'ẞ') > 0 OR instr(PathName, 'ẞ') > 0) AND rowid NOT IN (SELECT FileRow FROM search_todo)`;

/** The capital ẞ is now folded like ß and ss; files indexed before would no longer be found by their own name. */
const capitalSharpS: MigrationStep = {
  name: 'capital-sharp-s',
  up: [FOLDED_OTHERWISE],
  down: [FOLDED_OTHERWISE],
  cost: { table: 'files', upMicroseconds: 0.2, downMicroseconds: 0.2, bytes: 0 },
  safeVersion: 5,
};

export const foldSchema: readonly MigrationStep[] = [capitalSharpS];
